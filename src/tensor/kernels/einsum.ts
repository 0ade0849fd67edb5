/** Einsum: any number of operands, contracted two at a time through the matrix product. */

import { sizeOf, stridesOf, type Tensor } from "../tensor.ts";
import { KernelFault, type KernelTable, operand, text } from "./kernel.ts";
import { reshaped } from "./lanes.ts";
import { matmulOf } from "./matmul.ts";
import { sumOver } from "./reduce.ts";
import { expanded, gatherWalk } from "./strided.ts";

/** A tensor whose axes are named, each name once. */
interface Term {
  readonly labels: readonly string[];
  readonly tensor: Tensor;
}

/** The axes that "..." stands for, counted from the end so that they broadcast: ".1" is the last. */
const dots = (count: number): string[] => Array.from({ length: count }, (_, i) => `.${count - i}`);

function labelsOf(term: string, rank: number): string[] {
  const [before = "", after] = term.split("...");
  const plain = [...before, ...(after ?? "")];
  return after === undefined ? plain : [...before, ...dots(rank - plain.length), ...after];
}

/** Names the axes; a name that occurs twice takes the diagonal. */
function termOf(labels: readonly string[], t: Tensor): Term {
  const names = [...new Set(labels)];
  const own = stridesOf(t.shape);
  const strides = names.map((name) =>
    labels.reduce((sum, l, i) => (l === name ? sum + (own[i] ?? 0) : sum), 0),
  );
  const shape = names.map((name) => t.shape[labels.indexOf(name)] ?? 1);
  return { labels: names, tensor: gatherWalk(t, shape, { at: 0, strides }) };
}

/** Sums away the axes that nobody asks for. */
function keepOnly({ labels, tensor }: Term, wanted: ReadonlySet<string>): Term {
  const axes = [...labels.keys()].filter((i) => !wanted.has(labels[i] ?? ""));
  if (axes.length === 0) return { labels, tensor };
  return { labels: labels.filter((l) => wanted.has(l)), tensor: sumOver(tensor, axes, false) };
}

/** The tensor with axes in this order, as sizes and values; absent axes have size 1. */
function arranged({ labels, tensor }: Term, order: readonly string[]): Tensor {
  const own = stridesOf(tensor.shape);
  const at = order.map((l) => labels.indexOf(l));
  const shape = at.map((i) => (i < 0 ? 1 : (tensor.shape[i] ?? 1)));
  return gatherWalk(tensor, shape, { at: 0, strides: at.map((i) => (i < 0 ? 0 : (own[i] ?? 0))) });
}

/** Contracts two terms: shared names that are still wanted are a batch, the others are summed. */
function contract(a: Term, b: Term, wanted: ReadonlySet<string>): Term {
  const both = a.labels.filter((l) => b.labels.includes(l));
  const summed = both.filter((l) => !wanted.has(l));
  const batch = both.filter((l) => wanted.has(l));
  const x = keepOnly(a, new Set([...wanted, ...summed]));
  const y = keepOnly(b, new Set([...wanted, ...summed]));
  const left = x.labels.filter((l) => !both.includes(l));
  const right = y.labels.filter((l) => !both.includes(l));
  const sizeIn = (l: string) =>
    Math.max(...[x, y].map((t) => t.tensor.shape[t.labels.indexOf(l)] ?? 1));
  const sizes = (labels: readonly string[]) => labels.map(sizeIn);
  const [m, k, n] = [sizeOf(sizes(left)), sizeOf(sizes(summed)), sizeOf(sizes(right))];
  const side = (t: Term, order: readonly string[], matrix: readonly number[]) => {
    const full = expanded(arranged(t, order), sizes(order));
    return reshaped(full, [...sizes(batch), ...matrix]);
  };
  const product = matmulOf(
    side(x, [...batch, ...left, ...summed], [m, k]),
    side(y, [...batch, ...summed, ...right], [k, n]),
  );
  const labels = [...batch, ...left, ...right];
  return { labels, tensor: reshaped(product, sizes(labels)) };
}

/** Without "->", the result has the dots and then every name that occurs once, in order. */
function implicitResult(inputs: readonly (readonly string[])[]): string[] {
  const all = inputs.flat();
  const plain = [...new Set(all.filter((l) => !l.startsWith(".")))].sort();
  const count = Math.max(0, ...all.filter((l) => l.startsWith(".")).map((l) => Number(l.slice(1))));
  return [...dots(count), ...plain.filter((l) => all.indexOf(l) === all.lastIndexOf(l))];
}

/** The names of each operand's axes and of the result's; the operands have these ranks. */
export function axesOf(
  equation: string,
  ranks: readonly number[],
): { readonly inputs: readonly (readonly string[])[]; readonly output: readonly string[] } {
  const [terms = "", result] = equation.replaceAll(" ", "").split("->");
  const inputs = terms.split(",").map((t, i) => labelsOf(t, ranks[i] ?? 0));
  const dotted = inputs.flat().filter((l) => l.startsWith("."));
  const count = Math.max(0, ...dotted.map((l) => +l.slice(1)));
  const output =
    result === undefined
      ? implicitResult(inputs)
      : labelsOf(result, result.replace("...", "").length + count);
  return { inputs, output };
}

function einsum(equation: string, tensors: readonly Tensor[]): Tensor {
  const ranks = tensors.map((t) => t.shape.length);
  const { inputs, output } = axesOf(equation, ranks);
  const named = inputs.map((labels, i) => termOf(labels, tensors[i] as Tensor));
  const [first, ...rest] = named;
  if (!first) throw new KernelFault("einsum without operands");
  const total = rest.reduce((term, next, i) => {
    const later = rest.slice(i + 1).flatMap((t) => t.labels);
    return contract(term, next, new Set([...output, ...later]));
  }, first);
  return arranged(keepOnly(total, new Set(output)), output);
}

export const EINSUM: KernelTable = {
  Einsum: (call) => [
    einsum(
      text(call, "equation"),
      call.inputs.map((_, i) => operand(call, i)),
    ),
  ],
};
