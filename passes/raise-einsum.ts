/**
 * raise-einsum: contractions of two operands as matrix products.
 *
 * Before: Einsum of two operands in which every index that one operand has alone is in the result.
 * After: MatMul with the transpositions and reshapes that the order of the indices asks for. The weighted
 *   sum over experts stays, because raise-moe knows it as it is.
 */

import type { Op, Value } from "../src/ir/op.ts";
import { sizeOf } from "../src/tensor/tensor.ts";
import type { Builder } from "./expand/builder.ts";
import { reshape, transpose } from "./expand/write.ts";
import type { Pass } from "./pass.ts";
import { type Graph, raiseOps } from "./raise/graph.ts";
import { delivered } from "./raise/product.ts";

const EXPERTS = /^(\w)(\w),\2\1(\w)->\1\3$/;

interface Contraction {
  readonly left: string;
  readonly right: string;
  readonly result: string;
  /** In both operands and the result. */
  readonly batch: string;
  /** In both operands, summed. */
  readonly inner: string;
  readonly rows: string;
  readonly columns: string;
}

const without = (all: string, ...others: readonly string[]): string =>
  [...all].filter((i) => !others.some((o) => o.includes(i))).join("");

const distinct = (indices: string): boolean => new Set(indices).size === indices.length;

/** The equation with letters of their own for the axes that an ellipsis stands for in both operands. */
function spelledOut(equation: string, ranks: readonly number[]): string {
  const parts = equation.split(/,|->/);
  const hidden = ranks.map((rank, i) => rank - (parts[i] ?? "").replace("...", "").length);
  const [axes = 0] = hidden;
  const all = parts.every((p) => p.includes("...")) && hidden.every((n) => n === axes);
  const free = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"].filter((i) => !equation.includes(i));
  return all ? equation.replaceAll("...", free.slice(0, axes).join("")) : equation;
}

function contractionOf(equation: string): Contraction | null {
  const [, left, right, result] = /^(\w+),(\w+)->(\w+)$/.exec(equation) ?? [];
  if (!left || !right || !result || ![left, right, result].every(distinct)) return null;
  const shared = [...left].filter((i) => right.includes(i)).join("");
  const inner = without(shared, result);
  const batch = without(shared, inner);
  const [rows, columns] = [without(left, shared), without(right, shared)];
  const isWhole = [...rows, ...columns].every((i) => result.includes(i));
  return isWhole && inner ? { left, right, result, batch, inner, rows, columns } : null;
}

/** Axes in the order of the indices, those of each group joined. */
function arranged(
  b: Builder,
  v: Value,
  own: string,
  groups: readonly string[],
  sizes: ReadonlyMap<string, number>,
): Value {
  const order = groups.join("");
  const perm = [...order].map((i) => own.indexOf(i));
  const turned = perm.every((p, i) => p === i) ? v : transpose(b, v, perm);
  const shape = groups.map((g) => sizeOf([...g].map((i) => sizes.get(i) ?? 1)));
  return turned.type.shape.join() === shape.join() ? turned : reshape(b, turned, shape);
}

/** MatMul as it is, also where a dimension depends on data. */
function isNatural({ left, right, result, rows, columns, inner }: Contraction, x: Value, y: Value) {
  const sums = [x.type.shape.at(-1), y.type.shape.at(-2)];
  const isMatrix = inner.length === 1 && columns.length === 1 && sums[0] === sums[1];
  const isPlain = left === rows + inner && right === inner + columns && result === rows + columns;
  return isMatrix && isPlain && sums[0] !== null;
}

function asProduct(op: Op, graph: Graph): readonly Op[] | null {
  const [x, y, more] = op.operands;
  const ranks = [x, y].map((v) => v?.type.shape.length ?? 0);
  const equation = spelledOut(String(op.attrs["equation"] ?? "").replaceAll(" ", ""), ranks);
  const c = more || EXPERTS.test(equation) ? null : contractionOf(equation);
  const dims = [x, y].flatMap((v) => v?.type.shape ?? []);
  if (x && y && c && isNatural(c, x, y)) return [{ ...op, kind: "onnx.MatMul", attrs: {} }];
  if (!x || !y || !c || dims.some((d) => d === null || d === 0)) return null;
  const sizes = new Map([...c.left, ...c.right].map((i, at) => [i, Number(dims[at])]));
  // An index of size one in one operand broadcasts, which a product of matrices does not say.
  if ([...c.left, ...c.right].some((i, at) => sizes.get(i) !== dims[at])) return null;
  const b = graph.builder(op);
  const lead = [...c.batch];
  const left = arranged(
    b,
    x,
    c.left,
    [...lead, ...(lead.length > 0 ? [c.rows] : c.rows), c.inner],
    sizes,
  );
  const right = arranged(b, y, c.right, [...lead, c.inner, c.columns], sizes);
  const product = b.op("MatMul", [left, right]);
  const natural = c.batch + c.rows + c.columns;
  const apart = [...natural].map((i) => sizes.get(i) ?? 1);
  const split = product.type.shape.join() === apart.join() ? product : reshape(b, product, apart);
  const perm = [...c.result].map((i) => natural.indexOf(i));
  const last = perm.every((p, i) => p === i) ? split : transpose(b, split, perm);
  return delivered(b, last, op);
}

export const raiseEinsum: Pass = {
  name: "raise-einsum",
  summary: "write contractions of two operands as matrix products",
  needs: ["typed", "folded"],
  gives: [],
  run: (module, context) =>
    raiseOps(module, context, (op, graph) =>
      op.kind === "onnx.Einsum" ? asProduct(op, graph) : null,
    ),
};
