/** Mixture of experts, gates, and the partial sums of split weights. */

import { sizeOf, type Tensor } from "../tensor.ts";
import { times } from "./elementwise.ts";
import { flag, type Kernel, KernelFault, type KernelTable, num, operand, text } from "./kernel.ts";
import { type Lanes, lanes, seal, workspace } from "./lanes.ts";
import { topPositions } from "./select.ts";
import { softmaxRow } from "./softmax.ts";
import { activation, map, mapTimes, sigmoid } from "./unary.ts";

/** Scores of logits, in place of them. */
function score(values: Float64Array, name: string): void {
  if (name === "softmax") softmaxRow(values, values, 0, values.length);
  else if (name === "sigmoid") values.set(values.map(sigmoid));
  else throw new KernelFault(`a router cannot score by '${name}'`);
}

interface Routing {
  readonly topK: number;
  readonly normalize: boolean;
  readonly score: string;
  /** Score all experts and keep the best, or keep the best logits and score those. */
  readonly first: string;
}

/** Dense weights of one token's experts, 0 where not chosen. */
function routeToken(logits: Float64Array, how: Routing): Float64Array {
  const out = new Float64Array(logits.length);
  const scores = logits.slice();
  if (how.first === "score") score(scores, how.score);
  const chosen = topPositions(scores, 0, scores.length, how.topK, true);
  const weights = Float64Array.from(chosen, (e) => scores[e] as number);
  if (how.first !== "score") score(weights, how.score);
  const total = how.normalize ? weights.reduce((a, b) => a + b, 0) : 1;
  chosen.forEach((e, i) => {
    out[e] = (weights[i] as number) / total;
  });
  return out;
}

/** logits [T, E] -> weights [T, E]. */
const router: Kernel = (call) => {
  const x = operand(call, 0);
  const experts = x.shape.at(-1) ?? 1;
  const how: Routing = {
    topK: num(call, "top_k"),
    normalize: flag(call, "normalize"),
    score: text(call, "score", "softmax"),
    first: text(call, "first", "score"),
  };
  const from = lanes(x);
  const out = workspace(x.elem, from.length);
  for (let at = 0; at < from.length; at += experts) {
    out.set(routeToken(Float64Array.from(from.subarray(at, at + experts)), how), at);
  }
  return [seal(x.elem, x.shape, out)];
};

/** routing [T, E] and E results [T, D] -> [T, D]; experts that were not chosen do not count. */
const combine: Kernel = (call) => {
  const routing = operand(call, 0);
  const experts = call.inputs.length - 1;
  const weights = lanes(routing);
  const first = operand(call, 1);
  const width = first.shape.at(-1) ?? 1;
  const out = workspace(first.elem, first.data.length);
  for (let e = 0; e < experts; e++) {
    const y = lanes(operand(call, e + 1));
    for (let t = 0; t * width < out.length; t++) {
      const w = weights[t * experts + e] as number;
      // A row that was never computed may hold anything.
      if (w !== 0) addScaled(out, y, t * width, width, w);
    }
  }
  return [seal(first.elem, first.shape, out)];
};

function addScaled(out: Lanes, y: Lanes, at: number, n: number, by: number): void {
  for (let i = at; i < at + n; i++) out[i] = (out[i] as number) + by * (y[i] as number);
}

/** f(gate) * up. */
const gated: Kernel = (call) => {
  const [gate, up] = [operand(call, 0), operand(call, 1)];
  const fn = activation(text(call, "function"));
  return [mapTimes(gate, fn, up) ?? times(map(gate, fn), up)];
};

/** Elements that go through the tree at once: they stay in the processor's first cache. */
const AT_ONCE = 1024;

/**
 * Partial sums [R, ...] -> [...]: neighbours are added in pairs until one is left, each addition
 * rounded to float32, as the clusters do it.
 */
function treeSum(partials: Tensor): Tensor {
  const [count = 0, ...shape] = partials.shape;
  const size = sizeOf(shape);
  const from = lanes(partials);
  const out = workspace(partials.elem, size);
  if (count === 2) {
    addRows(from, 0, size, out, 0, size);
    return seal(partials.elem, shape, out);
  }
  const pairs = Math.ceil(count / 2);
  const tree = workspace(partials.elem, pairs * AT_ONCE);
  for (let at = 0; count > 0 && at < size; at += AT_ONCE) {
    const n = Math.min(AT_ONCE, size - at);
    addPairs(from, at, size, count, tree, n);
    for (let left = pairs; left > 1; left = Math.ceil(left / 2)) {
      addPairs(tree, 0, AT_ONCE, left, tree, n);
    }
    out.set(n === tree.length ? tree : tree.subarray(0, n), at);
  }
  return seal(partials.elem, shape, out);
}

/** Rows of n elements, `step` apart, in pairs: each sum at the place of its number in `to`, which may be `from`. */
function addPairs(from: Lanes, at: number, step: number, count: number, to: Lanes, n: number) {
  for (let pair = 0; 2 * pair < count; pair++) {
    const first = at + 2 * pair * step;
    const out = pair * AT_ONCE;
    if (2 * pair + 1 < count) addRows(from, first, first + step, to, out, n);
    else to.set(from.subarray(first, first + n), out);
  }
}

function addRows(from: Lanes, first: number, second: number, to: Lanes, out: number, n: number) {
  for (let i = 0; i < n; i++) {
    to[out + i] = (from[first + i] as number) + (from[second + i] as number);
  }
}

export const MOE: KernelTable = {
  "nn.router": router,
  "nn.combine": combine,
  "nn.gated": gated,
  "aimc.sum": (call) => [treeSum(operand(call, 0))],
};
