/** The machine from above, in text: one sign a tile, fuller where more of its cells hold weights. */

import type { Placement } from "./usage.ts";

const SHADES = ["·", "░", "▒", "▓", "█"] as const;

/** Shade of a tile that is used to a share of 0 to 1; only an empty tile is a dot. */
function shade(used: number): string {
  if (used <= 0) return SHADES[0];
  return SHADES[Math.min(4, 1 + Math.floor(used * 4))] ?? SHADES[4];
}

/**
 * Rows of tiles, the number of the first one in front. `count` tiles, `width` of them a row; by default
 * as near to a square as 4:1 characters allow.
 */
export function floorPlan(
  placed: readonly Placement[],
  count: number,
  width = Math.min(64, Math.max(8, Math.ceil(Math.sqrt(count) * 1.5))),
): string {
  const used = new Array<number>(count).fill(0);
  for (const { block, used: share } of placed) used[block.tile] = (used[block.tile] ?? 0) + share;
  const digits = String(Math.max(0, count - 1)).length;
  const lines: string[] = [];
  for (let at = 0; at < count; at += width) {
    const row = used
      .slice(at, at + width)
      .map(shade)
      .join(" ");
    lines.push(`  ${String(at).padStart(digits)}  ${row}`);
  }
  return `${lines.join("\n")}\n  ${" ".repeat(digits)}  ${legend}`;
}

const legend = "cells in use: · none  ░ < 25 %  ▒ < 50 %  ▓ < 75 %  █ 75 % or more";
