/** ONNX's Attention operator (opset 23, and 24's length of unpadded keys). */

import { isFloat, type Tensor } from "../tensor.ts";
import { type Attend, allKeys, attend, captureOf } from "./attention.ts";
import {
  flag,
  type Kernel,
  type KernelCall,
  type KernelTable,
  maybe,
  num,
  operand,
} from "./kernel.ts";
import { lanes, reshaped, seal } from "./lanes.ts";
import { concat } from "./movement.ts";
import { transposed } from "./strided.ts";

/** [B, S, H * D] as [B, H, S, D]. */
export function splitHeads(x: Tensor, heads: number): Tensor {
  const [batch = 1, tokens = 1, hidden = 1] = x.shape;
  return transposed(reshaped(x, [batch, tokens, heads, hidden / heads]), [0, 2, 1, 3]);
}

/** [B, H, S, D] as [B, S, H * D]. */
export function joinHeads(x: Tensor): Tensor {
  const [batch = 1, heads = 1, tokens = 1, depth = 1] = x.shape;
  return reshaped(transposed(x, [0, 2, 1, 3]), [batch, tokens, heads * depth]);
}

/** A mask of truths as numbers to add: 0 where true, -inf where false. */
function additive(mask: Tensor): Tensor {
  if (isFloat(mask.elem)) return mask;
  const data = Float32Array.from(lanes(mask), (v) => (v === 0 ? -Infinity : 0));
  return { elem: "f32", shape: mask.shape, data };
}

/** A mask may end before the keys do; what it does not mention is masked out. */
function stretched(mask: Tensor, keys: number): Tensor {
  const width = mask.shape.at(-1) ?? 1;
  if (width === keys || width === 1) return mask;
  const shape = mask.shape.with(-1, keys - width);
  const rest = new Float32Array((mask.data.length / width) * (keys - width)).fill(-Infinity);
  return concat([mask, seal(mask.elem, shape, rest)], -1);
}

/** Attributes of opset 23 number the stages at which scores are given. */
const STAGES = ["product", "capped", "masked", "softmax"] as const;

/** Without past keys ONNX aligns causality top-left; past or unpadded keys move the diagonal. */
function visibleKeys(
  call: KernelCall,
  queries: number,
  keys: number,
  past: number,
): Attend["keys"] {
  const lengths = maybe(call, 6);
  const causal = flag(call, "is_causal");
  if (!lengths) return causal ? (_, i) => [0, i + past + 1] : allKeys(keys);
  const ends = lanes(lengths);
  return (b, i) => {
    const end = ends[b] as number;
    return [0, causal ? Math.min(end, i + end - queries + 1) : end];
  };
}

const attention: Kernel = (call) => {
  const [query, mask] = [operand(call, 0), maybe(call, 3)];
  const flat = query.shape.length === 3;
  const heads = (x: Tensor, name: string) => (flat ? splitHeads(x, num(call, name)) : x);
  const q = heads(query, "q_num_heads");
  const grown = (i: number) => {
    const fresh = heads(operand(call, i), "kv_num_heads");
    const past = maybe(call, i + 3);
    return past ? concat([past, fresh], 2) : fresh;
  };
  const [k, v] = [grown(1), grown(2)];
  const [batch = 1, count = 1, queries = 1, depth = 1] = q.shape;
  const keys = k.shape[2] ?? 1;
  const shape = [batch, count, queries, keys];
  const stage = STAGES[num(call, "qk_matmul_output_mode", 0)] ?? "product";
  const capture = captureOf(stage, shape);
  const y = attend({
    q,
    k,
    v,
    scale: num(call, "scale", 1 / Math.sqrt(depth)),
    masks: mask ? [stretched(additive(mask), keys)] : [],
    keys: visibleKeys(call, queries, keys, maybe(call, 4)?.shape[2] ?? 0),
    softcap: num(call, "softcap", 0),
    capture,
  });
  return [flat ? joinHeads(y) : y, k, v, seal(q.elem, shape, capture.scores)];
};

export const ONNX_ATTENTION: KernelTable = { Attention: attention };
