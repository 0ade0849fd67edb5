/** The machine's tiles: a floor plan, and what each of them holds. */

import { floorPlan } from "../../report/floor-plan.ts";
import { percent } from "../../report/units.ts";
import { type Placement, placements, usageOf } from "../../report/usage.ts";
import type { Artifact } from "../../sim/load.ts";
import { table } from "../terminal.ts";

export const tilesFacts = (a: Artifact) => ({
  ...usageOf(a.mapping, a.target),
  placements: placements(a.mapping, a.target).map(({ weight, block, index, used }) => ({
    tile: block.tile,
    node: block.tile,
    weight: weight.name,
    module: weight.module,
    block: index,
    rows: block.rows,
    cols: block.cols,
    used,
  })),
});

/** Tiles to draw: all of a machine of fixed size, else those in use. */
export function tileCount(a: Artifact, placed: readonly Placement[]): number {
  const last = placed.reduce((most, p) => Math.max(most, p.block.tile + 1), 0);
  return a.target.nodes.count === "as-needed" ? last : Math.max(last, a.target.nodes.count);
}

export function describeTiles(a: Artifact): string {
  const placed = placements(a.mapping, a.target);
  const usage = usageOf(a.mapping, a.target);
  const available = usage.available === "as-needed" ? "as needed" : `of ${usage.available}`;
  const { rows, cols } = a.target.tile;
  const list = placed.map(({ weight, block, used }) => [
    String(block.tile),
    weight.module === "" ? weight.name : weight.module,
    `${block.rows[0]}..${block.rows[1]}`,
    `${block.cols[0]}..${block.cols[1]}`,
    percent(used),
  ]);
  return [
    `${usage.tiles} tiles ${available}, ${rows.value} x ${cols.value} each, ` +
      `${percent(usage.used)} of their cells in use`,
    "",
    floorPlan(placed, tileCount(a, placed)),
    "",
    table(
      [["tile", "module", "rows", "columns", "used"], ...list],
      ["right", "left", "left", "left", "right"],
    ),
  ].join("\n");
}
