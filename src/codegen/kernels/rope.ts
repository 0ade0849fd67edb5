/** Rotary position embedding: x cos + turned(x) sin, the same bits as src/tensor's kernel. */

import { allInSingle } from "../in-single.ts";
import { type Generate, type GeneratorTable, KernelGap, type PhaseAssembler } from "../kernel.ts";
import { given, number, wanted } from "../request.ts";
import { type Compute, FLOAT_BYTES, strips } from "../strip.ts";
import { broadcastStrides, byteStrides, eachRun, type Walker } from "../walk.ts";

/** Of each pair, the first becomes a cos - b sin with the other as b, the second b cos + a sin. */
const first: Compute = (l) => (own, other, cos, sin) =>
  l.sub(l.mul(own, cos as typeof own), l.mul(other, sin as typeof own));
const second: Compute = (l) => (own, other, cos, sin) =>
  l.add(l.mul(own, cos as typeof own), l.mul(other, sin as typeof own));

const rope: Generate = (request) => {
  const [x, cos, sin, y] = [...[0, 1, 2].map((i) => given(request, i)), wanted(request)] as const;
  if (!x || !cos || !sin || !y) throw new KernelGap("an absent operand");
  for (const { elem } of [x, cos, sin, y]) {
    if (elem !== "f32") throw new KernelGap(`elements of type ${elem}`);
  }
  const half = (y.shape.at(-1) ?? 0) / 2;
  const interleaved = number(request, "interleaved", 0) !== 0;
  // Elements of a pair are `apart`, and pairs `step` elements from each other.
  const [apart, step] = interleaved ? [1, 2] : [half, 1];
  const pairs = y.shape.with(-1, half);
  const last = y.shape.length - 1;
  const phase = (k: PhaseAssembler): void => {
    const tensors = [k.result(0), k.operand(0), k.operand(1), k.operand(2)];
    const strides = [
      ...[y, x].map(({ shape }) => byteStrides(shape, FLOAT_BYTES)),
      ...[cos, sin].map(({ shape }) => broadcastStrides(shape, y.shape, FLOAT_BYTES)),
    ];
    /** The elements of all pairs that come first, or second. */
    const side = (tensor: number, offset: 0 | 1): Walker => {
      const own = strides[tensor] ?? [];
      const by = own[last] ?? 0;
      const address = tensors[tensor] ?? k.operand(0);
      return {
        address: offset * apart * by === 0 ? address : k.add(address, offset * apart * by),
        strides: own.with(last, by * step),
      };
    };
    for (const [offset, compute] of [first, second].entries()) {
      const [here, there] = offset === 0 ? ([0, 1] as const) : ([1, 0] as const);
      const run = strips(k, k.request.isa, compute, 4);
      const walkers = [side(0, here), side(1, here), side(1, there), side(2, here), side(3, here)];
      eachRun(k, pairs, walkers, ({ at, steps, count }) => {
        const [to, ...from] = at.map((address, i) => ({ address, step: steps[i] ?? 0 }));
        if (to) run(from, { ...to, step: to.step || FLOAT_BYTES }, count);
      });
    }
  };
  return { phases: [phase] };
};

export const ROPE: GeneratorTable = allInSingle({ "nn.rope": rope });
