/**
 * place: give every block of weights a tile of its own, and every digital operation a cluster.
 *
 * Before: every grid's blocks fit a tile.
 * After: every aimc.mvm has `tiles`, the node of its first block; node numbers rise in program order and the
 * blocks of a grid are neighbours; grids of one and the same weight share their tiles. Every operation but
 * constants has `cluster`.
 * Why program order: neighbours in the graph become neighbours on the chip, so the partial sums of a layer
 * travel few links. A cleverer placer has to beat this to exist.
 */

import { gridSize } from "../src/ir/dialects/aimc.ts";
import type { Module, Op } from "../src/ir/op.ts";
import { withAttrs } from "../src/ir/rewrite.ts";
import { nodeLimit } from "../src/target/cost.ts";
import { matrixKey } from "./partition/matrix.ts";
import type { Pass } from "./pass.ts";
import { assignClusters } from "./place/clusters.ts";
import { shortage } from "./place/shortage.ts";

export const place: Pass = {
  name: "place",
  summary: "give every block of weights a tile of its own, and every digital operation a cluster",
  needs: ["partitioned"],
  gives: ["placed"],
  run(module, { target, report, alternatives }) {
    const { tiles, owners, count } = assignTiles(module);
    const limit = nodeLimit(target);
    if (limit !== null && count > limit) {
      report(shortage(module, owners, target, alternatives?.() ?? []));
      return module;
    }
    const clusters = assignClusters(module, tiles, target);
    const ops = module.ops.map((op) => {
      const cluster = clusters.get(op);
      const own = tiles.get(op);
      if (cluster === undefined) return op;
      // Neighbours are numbered one after another, so the first says it all.
      return withAttrs(op, own ? { tiles: own.slice(0, 1), cluster } : { cluster });
    });
    return { ...module, ops };
  },
};

interface Tiles {
  readonly tiles: ReadonlyMap<Op, readonly number[]>;
  /** The first grid of each matrix. */
  readonly owners: readonly Op[];
  readonly count: number;
}

function assignTiles(module: Module): Tiles {
  const tiles = new Map<Op, readonly number[]>();
  const byMatrix = new Map<string, readonly number[]>();
  const owners: Op[] = [];
  let count = 0;
  for (const op of module.ops.filter((o) => o.kind === "aimc.mvm")) {
    const key = matrixKey(op);
    let own = byMatrix.get(key);
    if (!own) {
      const [rows, cols] = gridSize(op);
      const first = count;
      own = Array.from({ length: rows * cols }, (_, i) => first + i);
      count += own.length;
      byMatrix.set(key, own);
      owners.push(op);
    }
    tiles.set(op, own);
  }
  return { tiles, owners, count };
}
