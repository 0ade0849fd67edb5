/**
 * Einsum of one operand whose axes are put in another order, and of two that are multiplied: a product of matrices, which
 * are first arranged where their axes do not lie so. Sums are those of matrix products.
 */

import { axesOf } from "../../tensor/kernels/einsum.ts";
import { bytesPer, sizeOf } from "../../tensor/tensor.ts";
import { copyWalk } from "../copy.ts";
import {
  type Generate,
  type GeneratorTable,
  KernelGap,
  type KernelRequest,
  type Phase,
} from "../kernel.ts";
import { contraction, type Sources } from "../product/phase.ts";
import type { View } from "../product/view.ts";
import { given, wanted, word } from "../request.ts";
import { byteStrides } from "../walk.ts";

/** Axes by name, with the size that they have in the equation and the operand's stride. */
interface Term {
  readonly labels: readonly string[];
  readonly strideOf: (label: string) => number;
  readonly source: Sources["a"];
}

/** A name that occurs twice takes the diagonal; an axis of size 1 repeats. */
function termOf(request: KernelRequest, i: number, labels: readonly string[]): Term {
  const { elem, shape } = given(request, i);
  const own = byteStrides(shape, bytesPer(elem));
  const strideOf = (label: string): number =>
    labels.reduce((sum, l, axis) => {
      return l === label && shape[axis] !== 1 ? sum + (own[axis] ?? 0) : sum;
    }, 0);
  return { labels: [...new Set(labels)], strideOf, source: (k) => k.operand(i) };
}

type SizeOf = (label: string) => number;

function sizesOf(request: KernelRequest, inputs: readonly (readonly string[])[]): SizeOf {
  const sizes = new Map<string, number>();
  for (const [i, labels] of inputs.entries()) {
    const { shape } = given(request, i);
    for (const [axis, l] of labels.entries()) {
      const [size = 1, known = 1] = [shape[axis], sizes.get(l)];
      sizes.set(l, known === 1 ? size : known);
    }
  }
  return (label) => sizes.get(label) ?? 1;
}

/** The stride of axes that are walked as one; null where they cannot be. */
function mergedStride(labels: readonly string[], size: SizeOf, stride: SizeOf): number | null {
  const kept = labels.filter((l) => size(l) !== 1);
  const joins = kept.every((l, i) => {
    const next = kept[i + 1];
    return next === undefined || stride(l) === size(next) * stride(next);
  });
  const last = kept.at(-1);
  return joins ? (last === undefined ? 0 : stride(last)) : null;
}

/** Names of the axes of a stack of matrices. */
interface Arrangement {
  readonly batch: readonly string[];
  readonly rows: readonly string[];
  readonly columns: readonly string[];
}

const volume = (labels: readonly string[], size: SizeOf): number => sizeOf(labels.map(size));
const shapeOf = ({ batch, rows, columns }: Arrangement, size: SizeOf): readonly number[] => [
  ...batch.map(size),
  volume(rows, size),
  volume(columns, size),
];

/** The matrices as they lie; null where they have to be arranged. */
function viewOf(a: Arrangement, size: SizeOf, stride: SizeOf): View | null {
  const [rows, columns] = [a.rows, a.columns].map((l) => mergedStride(l, size, stride));
  if (rows === null || rows === undefined || columns === null || columns === undefined) return null;
  return { shape: shapeOf(a, size), strides: [...a.batch.map(stride), rows, columns] };
}

const WORD = 4;

/** Room in the scratch memory, one piece behind the other. */
class Scratch {
  bytes = 0;
  take(bytes: number): Sources["a"] {
    const at = this.bytes;
    this.bytes += bytes;
    return (k) => k.add(k.scratch(), at);
  }
}

interface Laid {
  readonly view: View;
  readonly at: Sources["a"];
  readonly phases: readonly Phase[];
}

/** An operand as matrices, copied into the scratch memory where it has to be. */
function laid(term: Term, a: Arrangement, size: SizeOf, scratch: Scratch): Laid {
  const view = viewOf(a, size, term.strideOf);
  if (view) return { view, at: term.source, phases: [] };
  const labels = [...a.batch, ...a.rows, ...a.columns];
  const dims = labels.map(size);
  const at = scratch.take(sizeOf(dims) * WORD);
  const copy: Phase = (k) => {
    const from = { address: term.source(k), strides: labels.map(term.strideOf) };
    copyWalk(k, dims, WORD, from, { address: at(k), strides: byteStrides(dims, WORD) });
  };
  const shape = shapeOf(a, size);
  return { view: { shape, strides: byteStrides(shape, WORD) }, at, phases: [copy] };
}

/** Where the axes of the result lie. */
function strideIn(request: KernelRequest, output: readonly string[]): SizeOf {
  const own = byteStrides(wanted(request).shape, bytesPer(wanted(request).elem));
  return (label) => own[output.indexOf(label)] ?? 0;
}

function product(
  request: KernelRequest,
  [x, y]: readonly [Term, Term],
  output: readonly string[],
  size: SizeOf,
): ReturnType<Generate> {
  const both = x.labels.filter((l) => y.labels.includes(l));
  const summed = both.filter((l) => !output.includes(l));
  const batch = both.filter((l) => output.includes(l));
  const [left, right] = [x, y].map((t) => t.labels.filter((l) => !both.includes(l)));
  if (!left || !right || [...left, ...right].some((l) => !output.includes(l))) {
    throw new KernelGap("sums of an axis that one operand has");
  }
  const scratch = new Scratch();
  const a = laid(x, { batch, rows: left, columns: summed }, size, scratch);
  const b = laid(y, { batch, rows: summed, columns: right }, size, scratch);
  const stride = strideIn(request, output);
  const form = { batch, rows: left, columns: right };
  const direct = viewOf(form, size, stride);
  const labels = [...batch, ...left, ...right];
  const dims = labels.map(size);
  const at = direct ? null : scratch.take(sizeOf(dims) * WORD);
  const shape = shapeOf(form, size);
  const out = direct ?? { shape, strides: byteStrides(shape, WORD) };
  const from: Sources = { a: a.at, b: b.at, out: at ?? ((k) => k.result(0)) };
  const last: Phase[] = at
    ? [
        (k) => {
          const to = { address: k.result(0), strides: labels.map(stride) };
          copyWalk(k, dims, WORD, { address: at(k), strides: byteStrides(dims, WORD) }, to);
        },
      ]
    : [];
  const multiply = contraction({ a: a.view, b: b.view, out }, from, request.isa, request.cores);
  return {
    phases: [...a.phases, ...b.phases, multiply, ...last],
    scratchBytes: scratch.bytes,
  };
}

const einsum: Generate = (request) => {
  const ranks = request.operands.map((_, i) => given(request, i).shape.length);
  const { inputs, output } = axesOf(word(request, "equation", ""), ranks);
  const size = sizesOf(request, inputs);
  const { elem, shape } = wanted(request);
  if (output.some((l, i) => size(l) !== shape[i])) throw new KernelGap("a part of the result");
  const [x, y, more] = inputs.map((labels, i) => termOf(request, i, labels));
  if (!x || more) throw new KernelGap(`${inputs.length} operands`);
  if (y) {
    if (elem !== "f32") throw new KernelGap(`elements of type ${elem}`);
    return product(request, [x, y], output, size);
  }
  if (x.labels.some((l) => !output.includes(l))) throw new KernelGap("sums of one operand");
  const bytes = bytesPer(elem);
  return {
    phases: [
      (k) => {
        const from = { address: k.operand(0), strides: output.map(x.strideOf) };
        copyWalk(k, shape, bytes, from, {
          address: k.result(0),
          strides: byteStrides(shape, bytes),
        });
      },
    ],
  };
};

export const EINSUM: GeneratorTable = { Einsum: einsum };
