/** Which tile holds what, and how much of it: read off mapping.json. */

import {
  type Block,
  blockCount,
  blocksOf,
  type MappedWeight,
  type Mapping,
} from "../artifact/mapping.ts";
import type { Target } from "../target/schema.ts";

export interface Placement {
  readonly weight: MappedWeight;
  readonly block: Block;
  /** Index of the block in its weight, and of the grid. */
  readonly index: number;
  /** Share of the tile's cells that hold weights, 0 to 1. */
  readonly used: number;
}

/** Every block, in order of its tile's number. */
export function placements(mapping: Mapping, target: Target): Placement[] {
  const cells = target.tile.rows.value * target.tile.cols.value;
  return mapping.weights
    .flatMap((weight) =>
      blocksOf(weight).map((block, index) => {
        const used = (extent(block.rows) * extent(block.cols)) / cells;
        return { weight, block, index, used };
      }),
    )
    .sort((a, b) => a.block.tile - b.block.tile);
}

export const extent = ([from, to]: readonly [number, number]): number => to - from;

export interface Usage {
  /** Different tiles that hold weights. */
  readonly tiles: number;
  readonly available: number | "as-needed";
  readonly blocks: number;
  /** Weights on tiles. */
  readonly parameters: number;
  /** Share of the used tiles' cells that hold weights. */
  readonly used: number;
}

export function usageOf(mapping: Mapping, target: Target): Usage {
  // A tile holds one block (check-weights.ts), so counting takes no list of them.
  const tiles = mapping.weights.reduce((n, w) => n + blockCount(w), 0);
  const parameters = mapping.weights.reduce((n, w) => n + w.rows * w.cols, 0);
  const cells = tiles * target.tile.rows.value * target.tile.cols.value;
  return {
    tiles,
    available: target.nodes.count,
    blocks: tiles,
    parameters,
    used: tiles === 0 ? 0 : parameters / cells,
  };
}

export interface KindCount {
  readonly kind: string;
  readonly place: "analog" | "digital";
  readonly why: string;
  readonly modules: number;
  readonly parameters: number;
  readonly tiles: number;
}

/** Modules by kind and place, the largest first: the answer to "what went where, and why". */
export function kindCounts(mapping: Mapping): KindCount[] {
  const analog = mapping.weights.map((w) => ({
    ...w,
    place: "analog" as const,
    parameters: w.rows * w.cols,
    tiles: blockCount(w),
  }));
  const digital = mapping.digital.map((d) => ({ ...d, place: "digital" as const, tiles: 0 }));
  const groups = new Map<string, KindCount>();
  for (const { kind, place, why, parameters, tiles } of [...analog, ...digital]) {
    const key = `${place}/${kind}/${why}`;
    const sum = groups.get(key) ?? { kind, place, why, modules: 0, parameters: 0, tiles: 0 };
    groups.set(key, {
      ...sum,
      modules: sum.modules + 1,
      parameters: sum.parameters + parameters,
      tiles: sum.tiles + tiles,
    });
  }
  const order = (k: KindCount) => (k.place === "analog" ? 0 : 1);
  return [...groups.values()].sort((a, b) => order(a) - order(b) || b.parameters - a.parameters);
}
