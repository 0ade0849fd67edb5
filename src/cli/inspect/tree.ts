/** The tree of modules as text: a line for each, what is alike in one. */

import { type Branch, isBranch, type Leaf } from "../../outline/tree.ts";
import { count } from "../../report/units.ts";
import { table } from "../terminal.ts";

type Row = readonly string[];

export function describeTree(tree: Branch): string {
  const rows = rowsOf(tree, 0);
  const align = ["left", "left", "right", "right", "left"] as const;
  return table([["module", "what", "parameters", "MACs", "place"], ...rows], align);
}

/** `layer.0-3,6 x5` for layers 0, 1, 2, 3 and 6 that are alike; `w1 … w3 x2` for others. */
function nameOf({ name, names }: Branch): string {
  if (names.length === 1) return name;
  const numbers = names.map((n) => /[. ](\d+)$/.exec(n)?.[1]);
  const base = name.replace(/\d+$/, "");
  if (numbers.some((n) => n === undefined)) return `${name} … ${names.at(-1)} x${names.length}`;
  return `${base}${ranges(numbers.map(Number))} x${names.length}`;
}

/** `0-3,7` for 0, 1, 2, 3, 7. */
function ranges(numbers: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const n of numbers) {
    const last = runs.at(-1);
    if (last && n === last[1] + 1) last[1] = n;
    else runs.push([n, n]);
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(",");
}

/** Modules that hold nothing but one module are told in its line. */
function joined(branch: Branch, name: string): readonly [Branch, string] {
  const [only, ...more] = branch.children;
  const isWrapper = only && isBranch(only) && more.length === 0 && branch.others.size === 0;
  if (!isWrapper || branch.names.length > 1) return [branch, name];
  return joined(only, `${name}.${nameOf(only)}`);
}

function rowsOf(tree: Branch, depth: number): readonly Row[] {
  const pad = "  ".repeat(depth);
  const rows = tree.children.flatMap((child): readonly Row[] => {
    if (!isBranch(child)) return [leafRow(child, `${pad}-`)];
    const [branch, name] = joined(child, nameOf(child));
    const [only, ...more] = branch.children;
    if (only && !isBranch(only) && more.length === 0) return [leafRow(only, pad + name)];
    if (branch.children.length === 0) return [[pad + name, othersOf(branch)]];
    return [[pad + name], ...rowsOf(branch, depth + 1)];
  });
  const others = tree.children.length > 0 ? othersOf(tree) : "";
  return others === "" ? rows : [...rows, [`${pad}-`, others, "", "", "digital"]];
}

function leafRow(leaf: Leaf, name: string): Row {
  const { what, count: times, parameters, fresh, macs, state } = leaf;
  const many = times > 1 ? ` x${times}` : "";
  const shared = fresh < parameters * times && parameters > 0 ? ", shared" : "";
  const place = state === "refused" || state === "behind" ? "not compiled" : (leaf.place ?? "");
  return [
    name,
    `${marked(leaf)}${what}${many}${shared}`,
    parameters > 0 ? count(parameters) : "",
    macs > 0 ? count(Math.round(macs)) : "",
    place,
  ];
}

/** What needs a second look stands out. */
const marked = ({ state }: Leaf): string =>
  state === "recognised" || state === "digital" ? "" : "! ";

const othersOf = ({ others }: Branch): string =>
  others.size === 0
    ? ""
    : `also ${[...others].map(([kind, n]) => (n > 1 ? `${kind} x${n}` : kind)).join(", ")}`;
