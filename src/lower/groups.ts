/** Which grids of tiles are lowered together. */

import { blocksOf } from "../artifact/mapping.ts";
import type { Op, Value } from "../ir/op.ts";
import type { Artifact } from "../sim/load.ts";
import type { Placed } from "./strip.ts";

/** A grid of tiles. */
export interface Grid extends Placed {
  readonly op: Op;
  readonly result: Value;
}

/** Grids with the same inputs. */
export type Group = readonly [Grid, ...Grid[]];

/** Results of so many columns are worth operators of their own. */
const ENOUGH_COLUMNS = 1024;

/** Neighbours that take the same inputs, as long as they are small: operators on few numbers take longer to begin than to run. */
export function groupsOf(ops: readonly Op[], { mapping }: Artifact): readonly Group[] {
  const placed = new Map<string, Placed>();
  let number = 0;
  for (const weight of mapping.weights) {
    placed.set(weight.name, { weight, first: number });
    number += blocksOf(weight).length;
  }
  const groups: [Grid, ...Grid[]][] = [];
  const open = new Map<string, [Grid, ...Grid[]]>();
  for (const op of ops.filter(({ kind }) => kind === "aimc.mvm")) {
    const found = placed.get(mappedName(op));
    const [result] = op.results;
    if (!found || !result) throw new Error(`the artifact maps no weight ${mappedName(op)}`);
    const grid = { ...found, op, result };
    const key = inputsOf(grid);
    const group = open.get(key);
    const cols = (group ?? []).reduce((n, { weight }) => n + weight.cols, found.weight.cols);
    if (group && cols <= ENOUGH_COLUMNS) group.push(grid);
    else {
      const alone: [Grid] = [grid];
      groups.push(alone);
      open.set(key, alone);
    }
  }
  return groups;
}

/** Equal where the tiles of two grids are given the same. */
function inputsOf({ op, weight: { rowSplits, inputRange } }: Grid): string {
  const values = op.operands.map((v) => v?.id);
  return JSON.stringify([values, op.attrs["expert"] ?? null, rowSplits, inputRange]);
}

function mappedName(op: Op): string {
  const weight = op.attrs["weight"];
  const slice = op.attrs["slice"];
  const name = typeof weight === "object" && "weight" in weight ? String(weight["weight"]) : "";
  return typeof slice === "number" ? `${name}#${slice}` : name;
}

/** Equal where the same vectors are routed to two operations. */
export function expertOf({ operands, attrs }: Op): string {
  return `${operands[1]?.id} ${attrs["expert"]}`;
}
