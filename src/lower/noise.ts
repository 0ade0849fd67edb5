/** Draws what is new with every vector, at the addresses of src/sim/noise-address.ts. */

import type { MappedWeight } from "../artifact/mapping.ts";
import { fail } from "../diag/diagnostic.ts";
import { streamOf } from "../sim/noise-address.ts";
import { toNumbers } from "../tensor/convert.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { Wasm } from "../wasm/module.ts";
import type { Feed } from "./chip-source.ts";
import { nameBetween } from "./parts.ts";
import { widthOf } from "./strip.ts";

type Tensors = ReadonlyMap<string, Tensor>;

export type Drawn = Extract<Feed, { kind: "gaussian" }>;

export class Noise {
  private readonly wasm = new Wasm();
  /** Of the last inference, by name: the next takes their place. */
  private readonly held = new Map<string, Float32Array>();

  /** For the vectors that `values` has for a feed, or for all. */
  of(feeds: readonly Drawn[], seed: number, inference: number, values: Tensors): Tensors {
    return new Map(
      feeds.map((feed) => {
        const at = feed.at && values.get(nameBetween(feed.at));
        return [feed.name, this.drawn(feed, seed, inference, at && toNumbers(at))];
      }),
    );
  }

  private drawn(
    { name, purpose, shape, strip }: Drawn,
    seed: number,
    inference: number,
    vectors: readonly number[] | undefined,
  ): Tensor {
    const { cols, tiles } = strip;
    const sizes = vectors
      ? [vectors.length, cols]
      : shape.map((d) => d ?? unknownSize(tiles[0].weight));
    const count = sizes.reduce((n, d) => n * d, 1);
    const stream = streamOf(purpose);
    const rows = vectors ?? Array.from({ length: count / cols }, (_, row) => row);
    // The last of a tile's groups of 16 may reach into what is drawn after it.
    const [from = 0] = this.wasm.scratch([count + 16]);
    for (const [r, row] of rows.entries()) {
      for (const { block, number, at } of tiles) {
        const width = Math.ceil(widthOf(block) / 16) * 16;
        const out = from + 4 * (r * cols + at);
        this.wasm.call.gaussians(out, 0, width, seed >>> 0, stream, row, inference, number);
      }
    }
    const data = this.room(name, count);
    data.set(this.wasm.view(from, count));
    return tensor("f32", sizes, data);
  }

  private room(name: string, count: number): Float32Array {
    const held = this.held.get(name);
    if (held && held.length >= count) return held.subarray(0, count);
    const room = new Float32Array(count);
    this.held.set(name, room);
    return room;
  }
}

function unknownSize({ name, module }: MappedWeight): never {
  const text = `only a run decides how many vectors meet the weight '${name}' of ${module || "the graph"}`;
  return fail("A416", text, { kind: "command" }, "simulate it: --engine wasm");
}
