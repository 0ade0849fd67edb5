/** Rotary embeddings, written out. */

import { describe } from "vitest";
import { type Draw, int, ints, pick, values } from "../tensor/on-ort.ts";
import { expands } from "./on-ort.ts";

const heads = 3;

/** x [B, S, H · D] or [B, H, S, D], and positions below 10. */
function drawn(draw: Draw) {
  const [batch, tokens] = [int(draw, 1, 3), int(draw, 1, 4)];
  const size = pick(draw, 4, 8);
  const four = pick(draw, true, false);
  const shape = four ? [batch, heads, tokens, size] : [batch, tokens, heads * size];
  const part = pick(draw, 0, size / 2);
  const half = (part || size) / 2;
  const positions = ints(
    Array.from({ length: batch * tokens }, () => int(draw, 0, 9)),
    [batch, tokens],
  );
  const f32 = (...s: number[]) => values(draw, "f32", s, 1);
  const attrs = {
    interleaved: int(draw, 0, 1),
    rotary_embedding_dim: part,
    ...(four && part === 0 ? {} : { num_heads: heads }),
  };
  return { batch, tokens, x: f32(...shape), half, positions, f32, attrs };
}

describe("RotaryEmbedding", () => {
  expands(
    "of com.microsoft",
    (draw) => {
      const { x, positions, half, f32, attrs } = drawn(draw);
      const ids = pick(draw, positions, ints([int(draw, 0, 5)]));
      return {
        op: "com.microsoft.RotaryEmbedding",
        inputs: [x, ids, f32(10, half), f32(10, half)],
        attrs,
        constants: [2, 3],
      };
    },
    40,
  );
  expands(
    "of ONNX",
    (draw) => {
      const { batch, tokens, x, positions, half, f32, attrs } = drawn(draw);
      const inputs = pick(draw, true, false)
        ? [x, f32(10, half), f32(10, half), positions]
        : [x, f32(batch, tokens, half), f32(batch, tokens, half)];
      return { op: "RotaryEmbedding", inputs, attrs, constants: pick(draw, [], [1, 2]) };
    },
    40,
  );
});
