/** Rotary position embedding. */

import type { Tensor } from "../tensor.ts";
import { plus, times } from "./elementwise.ts";
import { take } from "./gather.ts";
import { flag, type Kernel, type KernelTable, maybe, num, operand } from "./kernel.ts";
import { lanes, reshaped, seal, workspace } from "./lanes.ts";
import { concat, part } from "./movement.ts";
import { transposed } from "./strided.ts";

/** (-second half, first half) of the last axis; interleaved, the same of every pair. */
function rotated(x: Tensor, interleaved: boolean): Tensor {
  const width = x.shape.at(-1) ?? 1;
  const half = width / 2;
  const from = lanes(x);
  const out = workspace(x.elem, from.length);
  for (let at = 0; at < out.length; at += width) {
    for (let i = 0; i < half; i++) {
      const [a, b] = interleaved ? [at + 2 * i, at + 2 * i + 1] : [at + i, at + half + i];
      out[a] = -(from[b] as number);
      out[b] = from[a] as number;
    }
  }
  return seal(x.elem, x.shape, out);
}

/** x * cos + rotated(x) * sin; cos and sin broadcast to x. */
const rope = (x: Tensor, cos: Tensor, sin: Tensor, interleaved: boolean): Tensor =>
  plus(times(x, cos), times(rotated(x, interleaved), sin));

/** Tables of half the width, repeated to the whole: (c, c) or, interleaved, every entry twice. */
function widened(table: Tensor, interleaved: boolean): Tensor {
  if (!interleaved) return concat([table, table], -1);
  const pairs = reshaped(table, [...table.shape, 1]);
  const twice = concat([pairs, pairs], -1);
  return reshaped(twice, table.shape.with(-1, 2 * (table.shape.at(-1) ?? 1)));
}

interface Rotary {
  /** [B, H, S, D]. */
  readonly x: Tensor;
  /** [B or 1, S, D / 2], or a cache [positions, D / 2] that `ids` [B, S] chooses from. */
  readonly cos: Tensor;
  readonly sin: Tensor;
  readonly ids: Tensor | null;
  readonly interleaved: boolean;
  /** How much of the last axis turns; 0 is all of it. */
  readonly width: number;
}

function rotary({ x, cos, sin, ids, interleaved, width }: Rotary): Tensor {
  const size = x.shape.at(-1) ?? 1;
  const turning = width || size;
  const table = (t: Tensor): Tensor => {
    const rows = ids ? take(t, ids, 0) : t;
    const full = widened(part(rows, rows.shape.length - 1, 0, turning / 2), interleaved);
    const [batch = 1, tokens = 1, d = 1] = full.shape;
    return reshaped(full, [batch, 1, tokens, d]);
  };
  const axis = x.shape.length - 1;
  const turned = rope(part(x, axis, 0, turning), table(cos), table(sin), interleaved);
  return turning === size ? turned : concat([turned, part(x, axis, turning, size - turning)], axis);
}

/** [B, S, H * D] as [B, H, S, D], the function's result, and back; four axes stay as they are. */
function onHeads(x: Tensor, heads: number, apply: (x: Tensor) => Tensor): Tensor {
  if (x.shape.length === 4) return apply(x);
  const [batch = 1, tokens = 1, hidden = 1] = x.shape;
  const split = reshaped(x, [batch, tokens, heads, hidden / heads]);
  const y = apply(transposed(split, [0, 2, 1, 3]));
  return reshaped(transposed(y, [0, 2, 1, 3]), x.shape);
}

/** ONNX's operator. Operands: x, cos cache, sin cache, position ids?. */
const rotaryEmbedding: Kernel = (call) => [
  onHeads(operand(call, 0), num(call, "num_heads", 0), (x) =>
    rotary({
      x,
      cos: operand(call, 1),
      sin: operand(call, 2),
      ids: maybe(call, 3),
      interleaved: flag(call, "interleaved"),
      width: num(call, "rotary_embedding_dim", 0),
    }),
  ),
];

export const ROPE: KernelTable = {
  "nn.rope": (call) => [
    rope(operand(call, 0), operand(call, 1), operand(call, 2), flag(call, "interleaved")),
  ],
  RotaryEmbedding: rotaryEmbedding,
};
