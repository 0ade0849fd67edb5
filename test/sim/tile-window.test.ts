/** Tiles that are programmed on the way are those that are programmed before. */

import { expect, test } from "vitest";
import { Crossbars } from "../../src/sim/crossbar.ts";
import { type Artifact, loadArtifact } from "../../src/sim/load.ts";
import { MODES } from "../../src/sim/program-tiles.ts";
import { Simulator } from "../../src/sim/simulate.ts";
import { emptyTiles, heldTiles, programmed, type Tiles } from "../../src/sim/tile-memory.ts";
import { TileWindow } from "../../src/sim/tile-window.ts";
import { smallInput, smallParts, writeParts } from "./small-artifact.ts";

const small = (): Artifact => loadArtifact(writeParts(smallParts()));

/** Two launches after each other, of 1 and of 300 vectors. */
function sums(artifact: Artifact, tiles: Tiles): Float32Array[] {
  const [weight] = artifact.mapping.weights;
  if (!weight) throw new Error("no weight");
  const crossbars = new Crossbars(artifact, 7, tiles, 0);
  return [1, 300].map((count) => {
    const x = Float32Array.from({ length: count * weight.rows }, (_, i) => Math.sin(i));
    const rows = Array.from({ length: count }, (_, i) => i);
    return crossbars.run(weight, { x, rows, inference: 0 });
  });
}

test.each(MODES)("whatever the number of places: %s", (mode) => {
  const artifact = small();
  const how = { mode, seed: 7, timeSeconds: 3600 };
  const memory = programmed(emptyTiles(artifact, 1), artifact, how);
  const expected = sums(artifact, heldTiles(artifact, memory));
  // Too few for a tile, for two of the four, for all of them.
  for (const bytes of [1, 400, 2 ** 20]) {
    expect(sums(artifact, new TileWindow(artifact, how, bytes))).toEqual(expected);
  }
});

test.each(MODES)(
  "streams have the same results, chip after chip, on threads or not: %s",
  async (mode) => {
    const artifact = small();
    const inputs = [0, 1, 2].map((k) => new Map([["x", smallInput(k)]]));
    const all = async (stream: boolean, threads: number) => {
      const simulator = new Simulator(artifact, {
        inputs,
        taps: ["t_a"],
        tapped: 1,
        stream,
        threads,
      });
      const first = await simulator.run({ mode, seed: 1, timeSeconds: 60, whole: true });
      const second = await simulator.run({ mode, seed: 2, timeSeconds: 60, whole: true });
      await simulator.close();
      return [first, second];
    };
    const expected = await all(false, 1);
    expect(await all(true, 1)).toEqual(expected);
    expect(await all(true, 2)).toEqual(expected);
    expect(await all(false, 2)).toEqual(expected);
  },
);
