/**
 * Normalisations of rows. Layer norm takes the mean first, then gathers the differences from it and their squares: what the
 * mean was off by comes out as the mean of the differences. Results are within 1e-5 of the largest, also where the mean is
 * many times the deviation.
 */

import { sizeOf } from "../../tensor/tensor.ts";
import { axisOf, given, number, wanted } from "../blocks.ts";
import { allInSingle } from "../in-single.ts";
import {
  type Block,
  type Generate,
  type GeneratorTable,
  KernelGap,
  type KernelRequest,
  type PhaseAssembler,
} from "../kernel.ts";
import type { F, X } from "../register.ts";
import { onRows, type Rows } from "../row-loops.ts";
import { eachIndex } from "../row-walk.ts";
import { type Compute, FLOAT_BYTES, type Stream, strips } from "../strip.ts";
import { byteStrides, eachRun, type Walker } from "../walk.ts";

const EPSILON = 1e-5;

/** y = (x - middle) scale + shift. */
interface Moments {
  /** 0 where the rows are not centred. */
  readonly middle: F | null;
  readonly scale: F;
  readonly shift: F | null;
  /** The mean of the row. */
  readonly mean: F;
}

interface Constants {
  readonly zero: F;
  readonly one: F;
  readonly perElement: F;
  readonly epsilon: F;
}

function constantsOf(k: PhaseAssembler, width: number, epsilon: number): Constants {
  return {
    zero: k.constant(0),
    one: k.constant(1),
    perElement: k.constant(1 / width),
    epsilon: k.constant(epsilon),
  };
}

/** 1 / sqrt(variance + epsilon). */
function inverse(k: PhaseAssembler, variance: F, { one, epsilon }: Constants): F {
  return k.f("fdiv.s", one, k.f("fsqrt.s", k.f("fadd.s", variance, epsilon)));
}

/** Of rows whose mean counts as 0. */
function rootMeanSquare<T, I>(
  k: PhaseAssembler,
  rows: Rows<T, I>,
  x: Stream,
  width: number,
  constants: Constants,
): Moments {
  const squares = rows.total("add", constants.zero);
  rows.loop({
    inputs: [x],
    output: null,
    count: width,
    totals: [squares],
    step: ([v], [total]) => {
      rows.l.accumulate(total, v, v);
      return null;
    },
  });
  const variance = k.f("fmul.s", rows.gathered(squares), constants.perElement);
  const scale = inverse(k, variance, constants);
  return { middle: null, scale, shift: null, mean: constants.zero };
}

function centred<T, I>(
  k: PhaseAssembler,
  rows: Rows<T, I>,
  x: Stream,
  width: number,
  constants: Constants,
): Moments {
  const { l } = rows;
  const { zero, perElement } = constants;
  const all = { inputs: [x], output: null, count: width };
  const sum = rows.total("add", zero);
  rows.loop({
    ...all,
    totals: [sum],
    step: ([v], [total]) => {
      l.gather("add", total, v);
      return null;
    },
  });
  const middle = k.f("fmul.s", rows.gathered(sum), perElement);
  const totals = [rows.total("add", zero), rows.total("add", zero)] as const;
  rows.loop({
    ...all,
    totals,
    step: ([v], [off, squares]) => {
      const difference = l.sub(v, middle);
      l.gather("add", off, difference);
      l.accumulate(squares, difference, difference);
      return null;
    },
  });
  const off = k.f("fmul.s", rows.gathered(totals[0]), perElement);
  const meanSquare = k.f("fmul.s", rows.gathered(totals[1]), perElement);
  const variance = k.f("fnmsub.s", off, off, meanSquare);
  const scale = inverse(k, variance, constants);
  const shift = k.f("fmul.s", k.f("fsgnjn.s", off, off), scale);
  return { middle, scale, shift, mean: k.f("fadd.s", middle, off) };
}

/** Writes a row: normalised, then times `gain` plus `bias`, where there are any. */
function written<T, I>(
  rows: Rows<T, I>,
  { middle, scale, shift }: Moments,
  [x, gain, bias]: readonly [Stream, Stream | null, Stream | null],
  output: Stream,
  count: number,
): void {
  const { l } = rows;
  const inputs = [x, ...(gain ? [gain] : []), ...(bias ? [bias] : [])];
  rows.loop({
    inputs,
    output,
    count,
    step: ([v, second, third]) => {
      const from = middle ? l.sub(v, middle) : v;
      const y = shift ? l.fma(from, scale, shift) : l.mul(from, scale);
      const last = gain ? third : second;
      if (gain && bias) return l.accumulate(l.copy(last), y, second);
      if (gain) return l.mul(y, second);
      return bias ? l.add(y, last) : y;
    },
  });
}

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
    return { phases: width === 0 || count === 0 ? [] : [phase] };
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
