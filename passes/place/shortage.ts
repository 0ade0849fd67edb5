/** What to tell a user whose model needs more tiles than the target has. */

import type { Diagnostic } from "../../src/diag/diagnostic.ts";
import { gridSize } from "../../src/ir/dialects/aimc.ts";
import { linearSize } from "../../src/ir/dialects/nn/linear.ts";
import type { Module, Op } from "../../src/ir/op.ts";
import { nodeLimit } from "../../src/target/cost.ts";
import type { Target } from "../../src/target/schema.ts";

/** `grids` are the aimc.mvm operations with a weight of their own; `alternatives` other targets to suggest. */
export function shortage(
  module: Module,
  grids: readonly Op[],
  target: Target,
  alternatives: readonly Target[],
): Diagnostic {
  const limit = nodeLimit(target) ?? 0;
  const needed = grids.reduce((sum, op) => sum + blocksOf(op), 0);
  const { rows, cols } = target.tile;
  const saving = toSave(grids, needed - limit);
  const larger = alternatives.filter((t) => t.name !== target.name && fits(grids, t));
  const names = saving.map(({ name, tiles }) => `'${name}' (${tiles} tiles)`).join(", ");
  const hints = [
    `keep ${names} digital with a policy file of \`rules: [${saving.map(asRule).join(", ")}]\``,
    ...(larger.length > 0 ? [`or compile for ${larger.map((t) => t.name).join(" or ")}`] : []),
  ];
  return {
    code: "A203",
    text:
      `the model needs ${needed} tiles of ${rows.value} x ${cols.value}, but ${target.name} has ` +
      `${limit}: ${needed - limit} too few`,
    at: { kind: "node", model: module.name, nodes: firstHomeless(grids, limit)?.origin ?? [] },
    hint: hints.join("; "),
  };
}

const blocksOf = (op: Op): number => {
  const [r, c] = gridSize(op);
  return r * c;
};

function firstHomeless(grids: readonly Op[], limit: number): Op | undefined {
  let used = 0;
  return grids.find((op) => {
    used += blocksOf(op);
    return used > limit;
  });
}

function fits(grids: readonly Op[], { tile, nodes }: Target): boolean {
  if (nodes.count === "as-needed") return true;
  const needed = grids.reduce((sum, op) => {
    const [rows, cols] = linearSize(op) ?? [0, 0];
    return sum + Math.ceil(rows / tile.rows.value) * Math.ceil(cols / tile.cols.value);
  }, 0);
  return needed <= nodes.count;
}

interface Group {
  readonly name: string;
  readonly tiles: number;
}

/** The fewest modules, repeated layers counted as one, whose tiles cover the gap. */
function toSave(grids: readonly Op[], gap: number): readonly Group[] {
  const groups = new Map<string, number>();
  for (const op of grids) {
    const path = op.attrs["module"];
    const name = (typeof path === "string" ? path : "**").replace(/(^|\.)\d+(?=\.|$)/g, "$1*");
    groups.set(name, (groups.get(name) ?? 0) + blocksOf(op));
  }
  const sorted = [...groups]
    .map(([name, tiles]) => ({ name, tiles }))
    .sort((a, b) => b.tiles - a.tiles || (a.name < b.name ? -1 : 1));
  const enough = sorted.findLast((g) => g.tiles >= gap);
  if (enough) return [enough];
  let saved = 0;
  return sorted.filter((g) => {
    const open = saved < gap;
    if (open) saved += g.tiles;
    return open;
  });
}

const asRule = ({ name }: Group): string => `{module: "${name}", place: digital}`;
