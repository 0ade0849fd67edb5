"""The standard product of bench/peers.ts on AIHWKIT (github.com/IBM/aihwkit), if it is installed.

    python3 on_aihwkit.py FOLDER

FOLDER holds request.json and the float32 arrays that it names: weights [in, out] and inputs [vectors, in]. Prints one
JSON object; see `Answer` in peers.ts. Everything runs on one thread.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from aihwkit.simulator.parameters.enums import WeightNoiseType
from aihwkit.simulator.presets.inference import StandardHWATrainingPreset
from aihwkit.simulator.tiles.inference import InferenceTile

torch.set_num_threads(1)

folder = Path(sys.argv[1])
request = json.loads((folder / "request.json").read_text())
rows, cols = request["rows"], request["cols"]


def array(name, *shape):
    return torch.from_numpy(np.fromfile(folder / name, dtype=np.float32).reshape(shape))


weights = array("weights.f32", rows, cols)
inputs = array("inputs.f32", -1, rows)
exact = inputs @ weights


def tile_of(w, change=lambda config: None):
    """A tile of the preset without scales of its own; noise of programming only where it is asked for."""
    config = StandardHWATrainingPreset()
    config.mapping.max_input_size = 0
    config.mapping.weight_scaling_omega = 0.0
    config.mapping.weight_scaling_columnwise = False
    config.mapping.learn_out_scaling = False
    config.mapping.out_scaling_columnwise = False
    config.pre_post.input_range.enable = False
    change(config)
    tile = InferenceTile(w.shape[1], w.shape[0], config)
    tile.set_weights(w.t().contiguous(), apply_weight_scaling=False)
    return tile.eval()


def through(tile, x):
    with torch.no_grad():
        return tile.forward(x)


def only(**kept):
    """The preset with these sources of noise and converters, and no others."""

    def change(config):
        io = config.forward
        io.inp_res = kept.get("inp_res", -1)
        io.out_res = kept.get("out_res", -1)
        io.out_noise = kept.get("out_noise", 0.0)
        io.ir_drop = kept.get("ir_drop", 0.0)
        io.w_noise = kept.get("w_noise", 0.0)
        io.w_noise_type = WeightNoiseType.PCM_READ if "w_noise" in kept else WeightNoiseType.NONE
        config.drift_compensation = None

    return change


def relative(y):
    """The mean norm of the error by the mean norm of the exact result."""
    return float((y - exact).norm(dim=1).mean() / exact.norm(dim=1).mean())


def deviations(change, repeats):
    """Of each result of the first vector, over repeated products."""
    tile = tile_of(weights, change)
    x = inputs[:1].expand(repeats, rows).contiguous()
    return through(tile, x).std(dim=0).double().tolist()


def bins(values, targets, edges):
    """Mean and deviation of the held weights, by the size of their targets; both in units of the target's sign."""
    sizes = targets.abs()
    signed = values * torch.sign(targets)
    found = []
    for low, high in zip(edges, edges[1:]):
        inside = signed[(sizes >= low) & (sizes < high)].double()
        found.append({"count": len(inside), "mean": inside.mean().item(), "deviation": inside.std().item()})
    return found


def devices():
    """What the devices hold at each time, before any compensation, over all chips."""

    def change(config):
        config.drift_compensation = None

    held = {str(t): [] for t in request["times"]}
    for seed in range(request["chips"]):
        torch.manual_seed(seed)
        tile = tile_of(weights, change)
        tile.program_weights()
        for t in request["times"]:
            tile.drift_weights(float(t))
            held[str(t)].append(tile.tile.get_weights().t().clone())
    targets = weights.repeat(request["chips"], 1)
    return {t: bins(torch.cat(all_), targets, request["edges"]) for t, all_ in held.items()}


def products():
    """Relative errors of the full model, and factors of compensation, by time and chip."""
    errors = {str(t): [] for t in request["times"]}
    factors = {str(t): [] for t in request["times"]}
    for seed in range(request["chips"]):
        torch.manual_seed(seed)
        tile = tile_of(weights)
        tile.program_weights()
        for t in request["times"]:
            tile.drift_weights(float(t))
            errors[str(t)].append(relative(through(tile, inputs)))
            factors[str(t)].append(float(tile.alpha))
    return errors, factors


def shortest(run, repeats=5):
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - began))
    return min(times)


def timed(shape):
    """Milliseconds of 128 vectors through the full model, of programming, and of drift with compensation."""
    w = torch.tanh(torch.randn(*shape) / 4)
    x = 2 * torch.rand(128, shape[0]) - 1
    tile = tile_of(w)
    program = shortest(tile.program_weights, 3)
    drift = shortest(lambda: tile.drift_weights(3600.0), 3)
    return {"product": shortest(lambda: through(tile, x)), "program": program, "drift": drift}


errors, factors = products()
some = inputs[: request["shown"]]
answer = {
    "converted": through(tile_of(weights, only(inp_res=254.0, out_res=254.0)), some).flatten().tolist(),
    "dropped": through(tile_of(weights, only(ir_drop=1.0)), some).flatten().tolist(),
    "read": deviations(only(w_noise=0.0175), request["repeats"]),
    "output": deviations(only(out_noise=0.04), request["repeats"]),
    "held": devices(),
    "errors": errors,
    "factors": factors,
    "times": [timed(shape) for shape in request["timed"]],
}
json.dump(answer, sys.stdout)
