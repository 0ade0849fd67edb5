/** Scaled dot-product attention: the core that all attention operators share, and nn.attention. */

import { Heads } from "../heads.ts";
import { float32s, sizeOf, type Tensor } from "../tensor.ts";
import { flag, type Kernel, type KernelTable, maybe, num, operand } from "./kernel.ts";
import { isHalf, type Lanes, lanes, seal } from "./lanes.ts";
import { broadcastWalk, type Walk } from "./strided.ts";

/** What is added to, or cut from, the scores. */
export interface Attend {
  /** [B, H, Sq, D], [B, Hk, Sk, D] and [B, Hk, Sk, Dv]; Hk divides H. */
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly scale: number;
  /** Added to the scores; each broadcasts to [B, H, Sq, Sk]. */
  readonly masks: readonly Tensor[];
  /** The score of one more key whose value is zero; broadcasts to [B, H, Sq, 1]. */
  readonly sink?: Tensor | undefined;
  /** Keys that query i of batch b sees: from first (included) to end (excluded). */
  readonly keys: (b: number, i: number) => readonly [first: number, end: number];
  /** softcap * tanh(score / softcap) before the masks; 0 is none. */
  readonly softcap: number;
  /** Where the scores [B, H, Sq, Sk] are wanted as well: at which of ONNX's stages. */
  readonly capture?: {
    readonly stage: "product" | "capped" | "masked" | "softmax";
    scores: Float32Array;
  };
}

export const allKeys =
  (count: number): Attend["keys"] =>
  () => [0, count];

/** Bottom-right aligned: the last query sees every key; a window bounds how far back. */
export function causalKeys(queries: number, keys: number, window: number): Attend["keys"] {
  const offset = keys - queries;
  return (_, i) => [window > 0 ? Math.max(0, i + offset - window + 1) : 0, i + offset + 1];
}

const asF32 = (t: Tensor): Float32Array => {
  const values = lanes(t);
  return values instanceof Float32Array ? values : Float32Array.from(values);
};

interface Mask {
  readonly values: Lanes;
  readonly walk: Walk;
}

/** Adds the mask's part of one head to its scores [Sq, Sk]. */
function addMask({ scores, stride }: Heads, mask: Mask, b: number, h: number, keys: number): void {
  const [sb = 0, sh = 0, sq = 0, sk = 0] = mask.walk.strides;
  for (let i = 0; i * stride < scores.length; i++) {
    const from = b * sb + h * sh + i * sq;
    for (let j = 0; j < keys; j++) {
      const at = i * stride + j;
      scores[at] = (scores[at] as number) + (mask.values[from + j * sk] as number);
    }
  }
}

type Seen = readonly [first: number, end: number];

/** Both within the keys that there are. */
const bounded = ([first, end]: Seen, keys: number): Seen => [
  Math.min(keys, first),
  Math.max(0, Math.min(keys, end)),
];

/** Softmax over the keys that a query sees and its sink, 0 elsewhere; a query that sees none gets all zeros. */
function attendRow(heads: Heads, i: number, [from, to]: Seen, sink: number) {
  const { scores, stride } = heads;
  const at = i * stride;
  scores.fill(0, at, at + from);
  scores.fill(0, at + to, at + stride);
  if (to <= from) return;
  heads.softmax(at + from, to - from, sink);
  if (Number.isNaN(scores[at + from]) && isMasked(scores, at + from, to - from)) {
    scores.fill(0, at + from, at + to);
  }
}

/** True when softmax found only -inf: all of its results are NaN then. */
const isMasked = (row: Float32Array, at: number, n: number): boolean =>
  row.subarray(at, at + n).every(Number.isNaN);

/** The sink of each query of one head. */
function sinksOf({ q, sink }: Attend, b: number, h: number): (i: number) => number {
  if (!sink) return () => -Infinity;
  const values = lanes(sink);
  const [sb = 0, sh = 0, sq = 0] = broadcastWalk(sink.shape, [...q.shape.slice(0, 3), 1]).strides;
  return (i) => values[b * sb + h * sh + i * sq] as number;
}

function cutRow({ scores, stride }: Heads, i: number, [from, to]: Seen) {
  scores.fill(-Infinity, i * stride, i * stride + from);
  scores.fill(-Infinity, i * stride + to, (i + 1) * stride);
}

/** softmax(scale * q·kᵀ + mask)·v, [B, H, Sq, Dv], head by head. */
export function attend(how: Attend): Tensor {
  const { q, k, v } = how;
  const [batch = 1, heads = 1, queries = 1, depth = 1] = q.shape;
  const [, keyHeads = 1, keys = 1] = k.shape;
  const width = v.shape.at(-1) ?? 1;
  const [qs, ks, vs] = [asF32(q), asF32(k), asF32(v)];
  const all = [batch, heads, queries, keys];
  const masks = how.masks.map((m) => ({ values: lanes(m), walk: broadcastWalk(m.shape, all) }));
  const out = float32s(batch * heads * queries * width);
  const share = heads / keyHeads;
  const place = new Heads({ queries, keys, depth, width });
  const part = (t: Float32Array, at: number, size: number) =>
    t.subarray(at * size, (at + 1) * size);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const kv = b * keyHeads + Math.floor(h / share);
      const at = b * heads + h;
      // Query heads that share a key head follow one another, so its keys are moved once.
      if (h % share === 0) place.look(part(ks, kv, keys * depth), part(vs, kv, keys * width));
      place.score(part(qs, at, queries * depth), how.scale);
      weigh(how, masks, place, b, h);
      place.mix(part(out, at, queries * width));
    }
  }
  const values = isHalf(q.elem) || q.elem === "f32" ? out : Float64Array.from(out);
  return seal(q.elem, [batch, heads, queries, width], values);
}

/** From scaled products to weights, in place. */
function weigh(how: Attend, masks: readonly Mask[], place: Heads, b: number, h: number): void {
  const [, heads = 1, queries = 1] = how.q.shape;
  const keys = how.k.shape[2] ?? 1;
  const { scores, stride } = place;
  const keep = (stage: string) => {
    if (how.capture?.stage !== stage) return;
    const first = (b * heads + h) * queries;
    for (let i = 0; i < queries; i++) {
      how.capture.scores.set(scores.subarray(i * stride, i * stride + keys), (first + i) * keys);
    }
  };
  keep("product");
  const cap = how.softcap;
  if (cap > 0) {
    for (let i = 0; i < scores.length; i++)
      scores[i] = cap * Math.tanh((scores[i] as number) / cap);
  }
  keep("capped");
  for (const mask of masks) addMask(place, mask, b, h, keys);
  const seen = (i: number) => bounded(how.keys(b, i), keys);
  if (how.capture?.stage === "masked") {
    for (let i = 0; i < queries; i++) cutRow(place, i, seen(i));
    keep("masked");
  }
  const sink = sinksOf(how, b, h);
  for (let i = 0; i < queries; i++) attendRow(place, i, seen(i), sink(i));
  keep("softmax");
}

/** Operands: q, k, v, mask?, sink?. A block of queries keeps its distance to the last key. */
const attention: Kernel = (call) => {
  const [q, k, v, mask] = [operand(call, 0), operand(call, 1), operand(call, 2), maybe(call, 3)];
  const [queries, keys] = [q.shape[2] ?? 1, k.shape[2] ?? 1];
  const window = num(call, "window", 0);
  const causal = flag(call, "causal") || window > 0;
  return [
    attend({
      q,
      k,
      v,
      scale: num(call, "scale"),
      masks: mask ? [mask] : [],
      sink: maybe(call, 4) ?? undefined,
      keys: causal ? causalKeys(queries, keys, window) : allKeys(keys),
      softcap: num(call, "softcap", 0),
    }),
  ];
};

export const ATTENTION: KernelTable = { "nn.attention": attention };

/** Storage for captured scores. */
export const captureOf = (
  stage: "product" | "capped" | "masked" | "softmax",
  shape: readonly number[],
) => ({ stage, scores: float32s(sizeOf(shape)) });
