/** What is alike is told once: layers of a list, and runs of unnamed operations that repeat. */

import { type Branch, isBranch, type Leaf } from "./tree.ts";

type Child = Branch | Leaf;

/** Equal for what reads alike. Numbers in names only count, as in `layer.3` and `onnx_MatMul_1204`. */
function likeness(child: Child): string {
  if (!isBranch(child)) {
    const { state, what, place, why, missed } = child;
    return JSON.stringify([state, what, place, why, missed?.pattern, missed?.why]);
  }
  const inner = child.children.map(likeness);
  return JSON.stringify([child.name.replaceAll(/\d+/g, "#"), inner, [...child.others]]);
}

const foldedLeaf = (all: readonly Leaf[], first: Leaf): Leaf => ({
  ...first,
  nodes: all.flatMap((l) => l.nodes),
  count: all.reduce((n, l) => n + l.count, 0),
  fresh: all.reduce((n, l) => n + l.fresh, 0),
});

/** Several that read alike as one: the first, with the names and the sums of all. */
function together(all: readonly Child[]): Child {
  const [first] = all;
  if (!first) throw new Error("nothing to fold");
  if (!isBranch(first))
    return foldedLeaf(
      all.flatMap((c) => (isBranch(c) ? [] : [c])),
      first,
    );
  const branches = all.filter(isBranch);
  return {
    ...first,
    names: branches.flatMap((b) => b.names),
    children: first.children.map((_, i) =>
      summed(
        branches.flatMap((b) => b.children[i] ?? []),
        branches.length,
      ),
    ),
  };
}

/** The same place in several branches: what they hold in common is told once, their sums add up. */
function summed(all: readonly Child[], times: number): Child {
  const whole = together(all);
  if (!isBranch(whole)) return { ...whole, count: whole.count / times };
  const [first] = all;
  return { ...whole, names: first && isBranch(first) ? first.names : whole.names };
}

const LISTED = /\.\d+$/;

/** Members of a list that are alike, wherever in the list: dense and sparse layers may alternate. */
function foldLists(children: readonly Child[]): readonly Child[] {
  const groups = new Map<string, Child[]>();
  const order: Child[][] = [];
  for (const child of children) {
    const key = isBranch(child) && LISTED.test(child.name) ? likeness(child) : undefined;
    const group = key === undefined ? undefined : groups.get(key);
    if (group) group.push(child);
    else {
      const fresh = [child];
      order.push(fresh);
      if (key !== undefined) groups.set(key, fresh);
    }
  }
  return order.map((group) => (group.length > 1 ? together(group) : (group[0] as Child)));
}

/** Longest run of operations that is looked for as one that repeats. */
const LONGEST = 400;

/** A run of `period` children from `start` on, `times` in a row. */
interface Run {
  readonly period: number;
  readonly times: number;
}

function longestRun(keys: readonly number[], start: number): Run {
  let best: Run = { period: 1, times: 1 };
  const most = Math.min(LONGEST, Math.floor((keys.length - start) / 2));
  for (let period = 1; period <= most; period++) {
    let end = start + period;
    while (end < keys.length && keys[end] === keys[end - period]) end++;
    const times = Math.floor((end - start) / period);
    if (times > 1 && times * period > best.times * best.period) best = { period, times };
  }
  return best;
}

/** Runs that repeat become one run, in a module without a name when they are longer than one. */
function foldRuns(children: readonly Child[]): readonly Child[] {
  const numbers = new Map<string, number>();
  const keys = children.map((c) => {
    const key = likeness(c);
    const known = numbers.get(key) ?? numbers.size;
    numbers.set(key, known);
    return known;
  });
  const folded: Child[] = [];
  for (let i = 0; i < children.length; ) {
    const { period, times } = longestRun(keys, i);
    const rounds = Array.from({ length: times }, (_, k) =>
      children.slice(i + k * period, i + (k + 1) * period),
    );
    folded.push(...(times === 1 ? children.slice(i, i + 1) : [repeated(rounds)]));
    i += period * times;
  }
  return folded;
}

function repeated(rounds: readonly (readonly Child[])[]): Child {
  const [first = []] = rounds;
  if (first.length === 1) return together(rounds.flat());
  const names = rounds.map((_, i) => `block ${i}`);
  const whole = together(
    rounds.map((children, i): Branch => {
      const name = names[i] ?? "";
      return { name, names: [name], children: foldRuns(children), others: new Map() };
    }),
  );
  return whole;
}

/** The tree with what is alike told once. */
export function folded(branch: Branch): Branch {
  const inner = branch.children.map((c) => (isBranch(c) ? folded(c) : c));
  return { ...branch, children: foldRuns(foldLists(inner)) };
}
