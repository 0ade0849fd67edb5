/** What the loss comes from, as people read it. */

import { age } from "../compare/age.ts";
import type { Attribution, Cause } from "../compare/attribution.ts";
import type { Verification } from "../compare/verification.ts";
import { percent } from "../report/units.ts";
import type { Interval } from "../statistics/interval.ts";
import { table } from "./terminal.ts";

/** Rows of a table; --json has them all. */
const LISTED = 20;

export function attributionText({ attribution: a, metric }: Verification): string[] {
  if (a === undefined) return [];
  if (a === null) return ["", "interrupted before the loss could be explained"];
  const head = ["", `where the loss comes from, after ${age(a.timeSeconds)}`];
  if (!Number.isFinite(a.loss.mean)) {
    const why =
      "the loss is no number: the original's outputs are 0 throughout, or those of the chip not finite";
    return [...head, why];
  }
  const what = metric?.title ?? "power of the error by power of the signal";
  return [
    ...head,
    `${what}: ${small(a.exact)} without noise, ${small(a.noisy)} with it; loss ${small(a.loss)}`,
    "",
    causeTable("layer", a.layers, a),
    "",
    causeTable("source", a.sources, a),
    "",
    "alone: the loss when everything else is exact; share: of the whole loss. without: the loss that goes when",
    "only this one is exact. They differ, and shares do not add up to 100 %, where losses amplify or hide each other.",
    ...(a.complete ? [] : ["interrupted: what is not listed was not reached"]),
  ];
}

function causeTable(head: string, causes: readonly Cause[], a: Attribution): string {
  const rows = causes
    .slice(0, LISTED)
    .map(({ name, alone, saved, nodes }) => [
      name,
      small(alone),
      a.loss.mean > 0 ? percent(alone.mean / a.loss.mean) : "-",
      small(saved),
      ...nodesOf(nodes),
    ]);
  const more = causes.length > LISTED ? [[`and ${causes.length - LISTED} more`]] : [];
  const nodes = head === "layer" ? ["ONNX nodes"] : [];
  return table([[head, "alone", "share", "without", ...nodes], ...rows, ...more]);
}

/** The first of them, and how many more there are. */
function nodesOf([first, ...more]: readonly string[] = []): readonly string[] {
  if (first === undefined) return [];
  return [more.length === 0 ? first : `${first} and ${more.length} more`];
}

/** Three significant digits, with the confidence where there is one. */
function small({ mean, half, count }: Interval): string {
  const text = mean.toPrecision(3);
  return count > 1 ? `${text} ± ${half.toPrecision(2)}` : text;
}
