/** Whether ONNX Runtime's own answer is good enough to judge ours. */

import { readFileSync } from "node:fs";
import { drawInputs, type Sample } from "../../src/data/sample.ts";
import { decodeModel } from "../../src/onnx/proto.ts";
import { runModel } from "../../src/reference/run.ts";
import type { Artifact } from "../../src/sim/load.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import { type Elem, isFloat, type Tensor } from "../../src/tensor/tensor.ts";

/** A tenth of what our answer may differ by. */
const STEADY = 1e-4;

/**
 * False where integers were drawn that are no indices: they may be axes, lengths or shapes, and then mean
 * nothing. False, too, where ONNX Runtime does not agree with itself once it may not optimise, or once the
 * inputs change in their last digits: damaged weights make models that amplify any rounding.
 */
export async function isDecided({ manifest, model }: Artifact): Promise<boolean> {
  const { inputs } = manifest.model;
  if (!inputs.every((p) => isFloat(p.elem as Elem) || p.below)) return false;
  if (writesNothing(model)) return false;
  const drawn = drawInputs(inputs, 0);
  const told = await runModel(model, drawn);
  const others = [
    await runModel(model, drawn, undefined, { optimisation: "disabled" }),
    ...(await Promise.all([1e-6, -3e-6, 1e-5].map((by) => runModel(model, shifted(drawn, by))))),
  ];
  return others.every((other) => [...told].every(([name, t]) => isNear(t, other.get(name))));
}

/** ONNX Runtime leaves the result of a Cast that may not saturate as it found it, unless it is of 8-bit floats. */
const writesNothing = (model: string): boolean =>
  (decodeModel(readFileSync(model), model).graph?.node ?? []).some((n) =>
    (n.attribute ?? []).some((a) => a.name === "saturate" && Number(a.i) !== 1),
  );

const shifted = (sample: Sample, by: number): Sample =>
  new Map([...sample].map(([name, t]) => [name, isFloat(t.elem) ? scaled(t, by) : t]));

/** Every other value a little larger, the rest a little smaller. */
const scaled = (t: Tensor, by: number): Tensor =>
  fromNumbers(
    t.elem,
    t.shape,
    toNumbers(t).map((v, i) => v * (1 + (i % 2 ? by : -by))),
  );

function isNear(a: Tensor, b: Tensor | undefined): boolean {
  if (!b || a.shape.join() !== b.shape.join()) return false;
  const [x, y] = [toNumbers(a), toNumbers(b)];
  const largest = x.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
  return x.every((v, i) => Object.is(v, y[i]) || Math.abs(v - (y[i] ?? 0)) <= STEADY * largest);
}
