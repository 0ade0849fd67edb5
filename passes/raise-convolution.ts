/**
 * raise-convolution: convolutions become linears on the patches of x that they look at.
 *
 * Before: Conv with constant filters, in groups of more than one channel if any.
 * After: data movement that lays out the patches as rows, nn.linear with the filters' own bytes as its
 *   matrix, and the rows turned back into channels where somebody reads them as such.
 * Why: a tile holds the filters once and every patch is one of its inputs (im2col, Chellapilla et al.,
 *   2006); a patch embedding, whose kernel is its stride, takes a reshape and a transposition only.
 */

import { intAttr, intsAttr, stringAttr } from "../src/ir/attrs.ts";
import type { Op, Value } from "../src/ir/op.ts";
import { sizeOf } from "../src/tensor/tensor.ts";
import type { Builder } from "./expand/builder.ts";
import { reshape, transpose } from "./expand/write.ts";
import type { Pass } from "./pass.ts";
import { type Graph, raiseOps } from "./raise/graph.ts";
import { delivered, inputOf, written } from "./raise/product.ts";
import { MOST_MATRICES, sideBySide, stackIn } from "./raise/stacks.ts";
import { filtersOf } from "./raise/weights.ts";

/** A kernel sliding over the spatial axes of x. */
interface Window {
  /** Batch and channels of x. */
  readonly batch: number;
  readonly channels: number;
  readonly spatial: readonly number[];
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** Positions of the kernel, the spatial dimensions of the result. */
  readonly places: readonly number[];
}

function windowOf(op: Op): Window | null {
  const [x, w] = op.operands.map((v) => v?.type.shape ?? []);
  const [result] = op.results;
  const shapes = [x, w, result?.type.shape].flatMap((s) => s ?? [null]);
  if (!x || !w || !result || shapes.includes(null)) return null;
  const [batch = 0, channels = 0, ...spatial] = x.map(Number);
  const kernel = w.slice(2).map(Number);
  const ones = kernel.map(() => 1);
  const strides = intsAttr(op, "strides", ones);
  const dilations = intsAttr(op, "dilations", ones);
  const places = result.type.shape.slice(2).map(Number);
  const auto = stringAttr(op, "auto_pad", "NOTSET");
  const explicit = intsAttr(
    op,
    "pads",
    [...ones, ...ones].map(() => 0),
  );
  const pads = kernel.map((size, i): readonly [number, number] => {
    const extent = (size - 1) * at(dilations, i) + 1;
    const missing = Math.max(0, (at(places, i) - 1) * at(strides, i) + extent - at(spatial, i));
    const half = Math.floor(missing / 2);
    if (auto === "SAME_UPPER") return [half, missing - half];
    if (auto === "SAME_LOWER") return [missing - half, half];
    if (auto === "VALID") return [0, 0];
    return [explicit[i] ?? 0, explicit[i + kernel.length] ?? 0];
  });
  const [before, after] = [pads.map(([a]) => a), pads.map(([, b]) => b)];
  return { batch, channels, spatial, kernel, strides, dilations, before, after, places };
}

const at = (list: readonly number[], i: number): number => list[i] ?? 1;

/** The kernel's positions lie side by side and cover x. */
const isTiling = (w: Window): boolean =>
  w.kernel.every((size, i) => size === at(w.strides, i) && at(w.dilations, i) === 1) &&
  [...w.before, ...w.after].every((pad) => pad === 0) &&
  w.spatial.every((size, i) => size === at(w.places, i) * at(w.kernel, i));

/** Rows [N, places, channels · kernel] in the order of the filters' elements. */
function patches(b: Builder, x: Value, whole: Window): Value {
  const w = { ...whole, channels: Number(x.type.shape[1]) };
  // Every spatial axis becomes two: where the kernel lies, and where in the kernel.
  const parts = isTiling(w) ? tiled(b, x, w) : gathered(b, x, w);
  const places = w.places.map((_, i) => 2 + 2 * i);
  const rows = transpose(b, parts, [0, ...places, 1, ...places.map((axis) => axis + 1)]);
  return reshape(b, rows, [w.batch, sizeOf(w.places), w.channels * sizeOf(w.kernel)]);
}

const tiled = (b: Builder, x: Value, w: Window): Value =>
  reshape(b, x, [w.batch, w.channels, ...w.places.flatMap((n, i) => [n, at(w.kernel, i)])]);

/** The same where the kernel's positions overlap or leave gaps: some elements more than once. */
function gathered(b: Builder, x: Value, w: Window): Value {
  const pads = [0, 0, ...w.before, 0, 0, ...w.after];
  const padded = pads.some((p) => p > 0) ? b.op("Pad", [x, b.ints(pads)], { mode: "constant" }) : x;
  return w.kernel.reduce((parts, size, i) => {
    const count = at(w.places, i);
    const indices = Array.from({ length: count * size }, (_, k) => {
      const [place, inside] = [Math.floor(k / size), k % size];
      return place * at(w.strides, i) + inside * at(w.dilations, i);
    });
    return b.op("Gather", [parts, b.ints(indices, [count, size])], { axis: 2 + 2 * i });
  }, padded);
}

function fromConv(op: Op, graph: Graph): readonly Op[] | null {
  const [x, w, bias] = op.operands;
  const window = windowOf(op);
  if (!x || !w) return null;
  if (!window) return graph.refuse(NAME, "the sizes of its operands depend on data", op);
  if (graph.isConstant(x)) return graph.refuse(NAME, "it reads a constant", op);
  const groups = intAttr(op, "group", 1);
  if (groups > 1) return inGroups(op, graph, { x, w, bias, window, groups });
  const matrix = filtersOf(graph, w);
  if (!matrix) return graph.refuse(NAME, "its filters are no constants", op);
  const b = graph.builder(op);
  const input = inputOf(graph, b, x, matrix);
  const rows = patches(b, input.x, window);
  const product = { input: { ...input, x: rows }, matrix, bias: bias ?? undefined };
  return asChannels(b, written(graph, b, op, { ...product, role: "patch" }), op);
}

const NAME = "linear layer on patches";

/** Rows [N, places, channels] as the result of the convolution. */
function asChannels(b: Builder, rows: Value, op: Op): readonly Op[] {
  const channels = transpose(b, rows, [0, 2, 1]);
  const shape = op.results[0]?.type.shape.map(Number) ?? [];
  return delivered(b, reshape(b, channels, shape), op);
}

interface Grouped {
  readonly x: Value;
  readonly w: Value;
  readonly bias: Value | null | undefined;
  readonly window: Window;
  readonly groups: number;
}

/** The filters of each group on the patches of its own channels. */
function inGroups(op: Op, graph: Graph, grouped: Grouped): readonly Op[] | null {
  const { x, w, bias, window, groups } = grouped;
  const [filters = 0, channels = 0] = w.type.shape.map(Number);
  const size = channels * sizeOf(window.kernel);
  if (channels === 1) {
    const why = `its filters see one channel each: a tile would hold ${size} cells of each column`;
    return graph.refuse(NAME, why, op);
  }
  if (groups > MOST_MATRICES) {
    return graph.refuse(NAME, `its filters are in ${groups} groups, each a matrix of its own`, op);
  }
  const stack = stackIn(graph, w, [groups, filters / groups, size], true);
  if (!stack) return graph.refuse(NAME, "its filters are no real constants", op);
  const b = graph.builder(op);
  const rows = (part: Value) => patches(b, part, window);
  const y = sideBySide(graph, b, op, { x, axis: 1, stack, rows });
  return asChannels(b, bias ? b.op("Add", [y, bias]) : y, op);
}

/** The rows where v holds them as [N, channels, places], reshaped at most. */
function turnedRows(graph: Graph, v: Value): Value | undefined {
  const op = graph.producer(v);
  const [from] = op?.operands ?? [];
  if (!op || !from || graph.uses(v) > 1) return undefined;
  if (op.kind === "onnx.Reshape") return turnedRows(graph, from);
  return op.kind === "onnx.Transpose" && String(op.attrs["perm"]) === "0,2,1" ? from : undefined;
}

/** Channels that are turned into rows again: the rows as they were. */
function turnedBack(op: Op, graph: Graph): readonly Op[] | null {
  const [x] = op.operands;
  const rows = x && String(op.attrs["perm"]) === "0,2,1" ? turnedRows(graph, x) : undefined;
  const last = rows && graph.producer(rows);
  const same = rows?.type.shape.join() === op.results[0]?.type.shape.join();
  if (!last || !same || !RAISED.has(last.kind)) return null;
  return [{ ...last, results: op.results, origin: graph.originOf(op, last.operands) }];
}

/** What the rows of a convolution end in. */
const RAISED = new Set(["nn.linear", "onnx.Add", "onnx.Mul", "onnx.Concat"]);

export const raiseConvolution: Pass = {
  name: "raise-convolution",
  summary: "recognise convolutions as linear layers on patches",
  needs: ["typed", "folded"],
  gives: [],
  run: (module, context) =>
    raiseOps(module, context, (op, graph) => {
      if (op.kind === "onnx.Conv") return fromConv(op, graph);
      return op.kind === "onnx.Transpose" ? turnedBack(op, graph) : null;
    }),
};
