/** One weight on one tile, without a compiler. */

import { Crossbars } from "../../src/sim/crossbar.ts";
import type { Artifact } from "../../src/sim/load.ts";
import type { Mode } from "../../src/sim/program-tiles.ts";
import { emptyTiles, heldTiles, programmed } from "../../src/sim/tile-memory.ts";
import type { Target } from "../../src/target/schema.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { Wasm } from "../../src/wasm/module.ts";

export interface Tile {
  readonly weights: Float32Array;
  readonly rows: number;
  readonly cols: number;
  readonly gamma?: Float32Array;
  readonly inputRange?: number;
  readonly adcBound?: number;
}

/** Results [count, cols] of vectors x[count, rows]. */
export const through = (
  target: Target,
  tile: Tile,
  x: Float32Array,
  mode: Mode,
  timeSeconds = 0,
  seed = 5,
): Float32Array => results(machineOf(target, tile), x, { mode, seed, timeSeconds });

/** As much of an artifact as a product needs. */
export function machineOf(target: Target, tile: Tile): Artifact {
  const {
    rows,
    cols,
    gamma = new Float32Array(cols).fill(1),
    inputRange = 1,
    adcBound = 10,
  } = tile;
  const weight = {
    name: "w",
    rows,
    cols,
    rowSplits: [0, rows],
    colSplits: [0, cols],
    tiles: [0],
    inputRange: [inputRange],
    adcBound: [adcBound],
    values: "v",
    scales: "s",
  };
  return {
    target,
    mapping: { weights: [weight] },
    tiles: new Map([
      ["v", tensor("f32", [rows * cols], tile.weights)],
      ["s", tensor("f32", [1, cols], gamma)],
    ]),
  } as unknown as Artifact;
}

/** Results [count, cols] of vectors x[count, rows] on a chip that is programmed for them. */
export function results(
  machine: Artifact,
  x: Float32Array,
  how: { readonly mode: Mode; readonly seed: number; readonly timeSeconds: number },
): Float32Array {
  const [weight] = machine.mapping.weights;
  if (!weight) throw new Error("no weight");
  const memory = programmed(emptyTiles(machine, 1), machine, how);
  const rows = Array.from({ length: x.length / weight.rows }, (_, i) => i);
  return new Crossbars(machine, how.seed, heldTiles(machine, memory), 0).run(weight, {
    x,
    rows,
    inference: 0,
  });
}

/** Standard gaussians; `block` tells arrays apart. */
export const gaussians = (count: number, block: number): Float32Array => {
  const wasm = new Wasm();
  const at = wasm.reserve(Math.ceil(count / 16) * 16);
  wasm.call.gaussians(at, 0, Math.ceil(count / 16) * 16, 1234, 99, 0, 0, block);
  return wasm.view(at, count).slice();
};

/** Uniform in [-1, 1). */
export const uniform = (count: number, block: number): Float32Array => {
  const wasm = new Wasm();
  const at = wasm.reserve(Math.ceil(count / 16) * 16);
  wasm.call.words(at, 0, Math.ceil(count / 16) * 16, 1234, 98, 0, 0, block);
  return Float32Array.from(wasm.words(at, count), (u) => u / 2 ** 31 - 1);
};
