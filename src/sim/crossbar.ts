/**
 * One matrix-vector product on the tiles of a weight, in the terms of Rasch et al., Nature Communications
 * 14:5282 (2023): y = alpha gamma ADC(F(DAC(x / alpha))). Formulas and sources: docs/numerics.md, section
 * "Products".
 *
 * F subtracts the IR drop, adds short-term read noise, bends the sum if the target says so, and adds the output
 * noise of the converter. Vectors go through a block up to ROWS_AT_ONCE at a time.
 */

import type { MappedWeight } from "../artifact/mapping.ts";
import type { Target } from "../target/schema.ts";
import { float32s } from "../tensor/tensor.ts";
import { type SharedMemory, Wasm } from "../wasm/module.ts";
import { Conversion, type Launch } from "./conversion.ts";
import type { Artifact } from "./load.ts";
import { ROWS_AT_ONCE, type Tiles } from "./tile-memory.ts";

/** By memory and place: runs are many and short, and making an instance takes as long as some steps. */
const instances = new WeakMap<SharedMemory, Map<number, Wasm>>();

function instanceOn(memory: SharedMemory, base: number): Wasm {
  const known = instances.get(memory) ?? new Map<number, Wasm>();
  instances.set(memory, known);
  const wasm = known.get(base) ?? new Wasm(memory, base);
  known.set(base, wasm);
  return wasm;
}

/** Tiles of one thread: the memories are shared, the places to work in are not. */
export class Crossbars {
  private readonly banks: readonly Wasm[];
  private readonly target: Target;
  private readonly seed: number;
  private readonly tiles: Tiles;

  /** `thread` counts from 0 and chooses the place to work in. */
  constructor({ target }: Artifact, seed: number, tiles: Tiles, thread: number) {
    this.target = target;
    this.seed = seed >>> 0;
    this.tiles = tiles;
    this.banks = tiles.banks.map((b) => instanceOn(b.memory, b.end + thread * tiles.workBytes));
  }

  /**
   * Partial sums [R, rows.length, weight.cols], one slab per group of blocks that share their rows, in the
   * order of the rows.
   */
  run(weight: MappedWeight, launch: Launch): Float32Array {
    const starts = rowStarts(weight);
    const count = launch.rows.length;
    const out = float32s(starts.length * count * weight.cols);
    let converted = "";
    for (const tile of this.tiles.of(weight)) {
      const slab = starts.indexOf(tile.block.rows[0]) * count;
      for (let first = 0; first < count; first += ROWS_AT_ONCE) {
        const part = partOf(launch, first, weight.rows);
        const at = (slab + first) * weight.cols;
        const to = out.subarray(at, at + part.rows.length * weight.cols);
        const wasm = this.banks[tile.bank] as Wasm;
        const conversion = new Conversion(wasm, this.target, this.seed, tile);
        // Tiles side by side take the same inputs.
        const inputs = [tile.bank, slab, first, tile.block.inputRange].join();
        if (inputs !== converted) conversion.take(weight, part);
        converted = conversion.run(weight, part, to) ? inputs : "";
      }
    }
    return out;
  }
}

const partOf = ({ x, rows, inference }: Launch, first: number, width: number): Launch => {
  const part = rows.slice(first, first + ROWS_AT_ONCE);
  const from = first * width;
  return { x: x.subarray(from, from + part.length * width), rows: part, inference };
};

/** First rows of the groups of blocks that share their rows, ascending. */
export const rowStarts = (weight: MappedWeight): number[] => weight.rowSplits.slice(0, -1);
