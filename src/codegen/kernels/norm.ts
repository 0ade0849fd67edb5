/**
 * Normalisations of rows. Layer norm takes the mean first, then gathers the differences from it and their squares: what the
 * mean was off by comes out as the mean of the differences. Results are within 1e-5 of the largest, also where the mean is
 * many times the deviation.
 */

import { sizeOf } from "../../tensor/tensor.ts";
import { allInSingle } from "../in-single.ts";
import {
  type Block,
  type Generate,
  type GeneratorTable,
  KernelGap,
  type KernelRequest,
  type PhaseAssembler,
} from "../kernel.ts";
import { centred, constantsOf, rootMeanSquare, written } from "../moments.ts";
import type { X } from "../register.ts";
import { axisOf, given, number, wanted } from "../request.ts";
import { onRows } from "../row-loops.ts";
import { eachIndex } from "../row-walk.ts";
import { type Compute, FLOAT_BYTES, type Stream, strips } from "../strip.ts";
import { byteStrides, eachRun, type Walker } from "../walk.ts";
import { dividedNorm } from "./divided-norm.ts";

const EPSILON = 1e-5;

interface Norm {
  readonly centred: boolean;
  /** Where the second result lies, of those that are asked for: the mean, or the inverse deviation. */
  readonly second: "mean" | "scale";
}

/** Over the trailing axes from `axis` on. Operands: x, gain?, bias?. */
const overTrailing =
  (how: Norm): Generate =>
  (request) => {
    const [x, y] = [given(request, 0), wanted(request)];
    const axis = axisOf(number(request, "axis", -1), x.shape.length);
    const width = sizeOf(x.shape.slice(axis));
    const count = sizeOf(x.shape.slice(0, axis));
    for (const block of [...request.operands, y]) refuseOthers(block);
    const steps = [1, 2].map((i) => stepOf(request.operands[i] ?? null, width));
    const phase = (k: PhaseAssembler): void => {
      const constants = constantsOf(k, width, number(request, "epsilon", EPSILON));
      const [gain = null, bias = null] = steps.map((step, i) =>
        step === null ? null : { address: k.operand(i + 1), step },
      );
      const rowBytes = width * FLOAT_BYTES;
      const walkers: Walker[] = [
        { address: k.operand(0), strides: [rowBytes] },
        ...request.results.map((_, i) => ({
          address: k.result(i),
          strides: [i === 0 ? rowBytes : FLOAT_BYTES],
        })),
      ];
      onRows(k, k.request.isa, 4, (rows) => {
        const measure = how.centred ? centred : rootMeanSquare;
        eachIndex(k, [count], walkers, ([from, to, ...more]) => {
          const [source, target] = [side(from), side(to)];
          const moments = measure(k, rows, source, width, constants);
          written(rows, moments, [source, gain, bias], target, width);
          const others = [moments.mean, moments.scale].slice(how.second === "mean" ? 0 : 1);
          more.forEach((address, i) => {
            k.emit("fsw", others[i] ?? constants.zero, 0, address);
          });
        });
      });
    };
    if (width === 0 || count === 0) return { phases: [] };
    return dividedNorm(request, { ...how, width, count, steps }) ?? { phases: [phase] };
  };

/** Elements side by side. */
const side = (address: X | undefined): Stream => ({ address: address as X, step: FLOAT_BYTES });

function refuseOthers(block: Block | null): void {
  if (block && block.elem !== "f32") throw new KernelGap(`elements of type ${block.elem}`);
}

/** Bytes from one element of gain or bias to the next; null where there is none. */
function stepOf(block: Block | null, width: number): number | null {
  if (!block) return null;
  if (sizeOf(block.shape) === 1) return 0;
  if (sizeOf(block.shape) === width) return FLOAT_BYTES;
  throw new KernelGap("a scale that is not the same for all rows");
}

/** Groups of channels over everything but the batch; each channel has its gain and bias. */
const grouped =
  (groupsOf: (request: KernelRequest) => number): Generate =>
  (request) => {
    const [x, y] = [given(request, 0), wanted(request)];
    for (const block of [...request.operands, y]) refuseOthers(block);
    const [batch = 1, channels = 1] = x.shape;
    const inner = sizeOf(x.shape.slice(2));
    const groups = groupsOf(request);
    const each = channels / groups;
    const width = each * inner;
    const phase = (k: PhaseAssembler): void => {
      const constants = constantsOf(k, width, number(request, "epsilon", EPSILON));
      const [rowBytes, channelBytes] = [width * FLOAT_BYTES, each * FLOAT_BYTES];
      const walkers: Walker[] = [
        ...[k.operand(0), k.result(0)].map((address) => ({
          address,
          strides: [groups * rowBytes, rowBytes],
        })),
        ...[k.operand(1), k.operand(2)].map((address) => ({ address, strides: [0, channelBytes] })),
      ];
      onRows(k, k.request.isa, 4, (rows) => {
        eachIndex(k, [batch, groups], walkers, (at) => {
          const moments = centred(k, rows, side(at[0]), width, constants);
          const own = at.map((p) => k.copy(p)) as [X, X, X, X];
          const [from, to, gain, bias] = own;
          k.repeat(each, () => {
            const affine = [gain, bias].map((address) => ({ address, step: 0 }));
            const [g = null, b = null] = affine;
            written(rows, moments, [side(from), g, b], side(to), inner);
            for (const p of [from, to]) k.addTo(p, p, inner * FLOAT_BYTES);
            for (const p of [gain, bias]) k.addTo(p, p, FLOAT_BYTES);
          });
        });
      });
    };
    return { phases: sizeOf(x.shape) === 0 ? [] : [phase] };
  };

/** Inference: the running mean and variance of each channel are operands. */
const batchNorm: Generate = (request) => {
  const [x, y] = [given(request, 0), wanted(request)];
  for (const block of [...request.operands, y]) refuseOthers(block);
  const [batch = 1, channels = 1] = x.shape;
  const dims = [batch, channels, sizeOf(x.shape.slice(2))];
  const phase = (k: PhaseAssembler): void => {
    const [one, epsilon] = [k.constant(1), k.constant(number(request, "epsilon", EPSILON))];
    const walkers: Walker[] = [
      ...[k.result(0), k.operand(0)].map((address) => ({
        address,
        strides: byteStrides(dims, FLOAT_BYTES),
      })),
      ...[1, 2, 3, 4].map((i) => ({ address: k.operand(i), strides: [0, FLOAT_BYTES, 0] })),
    ];
    const affine: Compute = (l) => (v, scale, bias, mean, variance) => {
      const deviation = l.sqrt(l.add(variance as typeof v, epsilon));
      const by = l.mul(l.divFrom(one, deviation), scale);
      return l.accumulate(l.copy(bias as typeof v), l.sub(v, mean as typeof v), by);
    };
    const run = strips(k, k.request.isa, affine, 5);
    eachRun(k, dims, walkers, ({ at, steps, count }) => {
      const [to, ...from] = at.map((address, i) => ({ address, step: steps[i] ?? 0 }));
      if (to) run(from, { ...to, step: to.step || FLOAT_BYTES }, count);
    });
  };
  return { phases: [phase] };
};

const layerNorm = overTrailing({ centred: true, second: "mean" });
const rmsNorm = overTrailing({ centred: false, second: "scale" });

export const NORM: GeneratorTable = allInSingle({
  LayerNormalization: layerNorm,
  RMSNormalization: rmsNorm,
  SimplifiedLayerNormalization: rmsNorm,
  BatchNormalization: batchNorm,
  InstanceNormalization: grouped((r) => given(r, 0).shape[1] ?? 1),
  GroupNormalization: grouped((r) => number(r, "num_groups", 1)),
  "nn.layer_norm": layerNorm,
  "nn.rms_norm": rmsNorm,
});
