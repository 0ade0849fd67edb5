/** A network as a tree of modules, each with what was recognised in it, and what was not. */

import type { NearMiss } from "../../passes/pass.ts";
import type { Diagnostic } from "../diag/diagnostic.ts";
import type { Path } from "./paths.ts";

/** What became of an operation or a node. */
export type State =
  /** A pattern knows it. */
  | "recognised"
  /** No pattern is for it; it runs digitally as it is. */
  | "digital"
  /** A pattern nearly fits. */
  | "missed"
  /** A compilation stops at it. */
  | "refused"
  /** Nobody knows what it reads, because of one that is refused. */
  | "behind";

export interface Leaf {
  readonly state: State;
  /** The operation's kind, or the operator of a node that is refused. */
  readonly kind: string;
  readonly what: string;
  /** What a linear is for. */
  readonly role?: string;
  /** ONNX nodes that it stands for, of all that are told together. */
  readonly nodes: readonly string[];
  /** How many like it are told together. */
  readonly count: number;
  readonly place?: "analog" | "digital";
  readonly why?: string;
  readonly missed?: NearMiss;
  readonly refused?: Diagnostic;
  /** Elements of the constants that one of them holds. */
  readonly parameters: number;
  /** Those of all of them, that no operation before held: weights may be shared. */
  readonly fresh: number;
  /** What of those would lie in tiles. */
  readonly onTiles: number;
  /** Multiply-accumulates of one of them, for one inference. */
  readonly macs: number;
}

export interface Branch {
  /** `encoder`, `layer.0`; of several told together the first. */
  readonly name: string;
  /** Names of all that are told together. */
  readonly names: readonly string[];
  readonly children: readonly (Branch | Leaf)[];
  /** Operations that are told by their number only, by operator. */
  readonly others: ReadonlyMap<string, number>;
}

export const isBranch = (x: Branch | Leaf): x is Branch => "children" in x;

/** One line to put into the tree. */
export interface Item {
  readonly path: Path;
  /** Absent: one more of the operator `other`. */
  readonly leaf?: Leaf;
  readonly other?: string;
}

interface Growing {
  readonly name: string;
  readonly children: (Growing | Leaf)[];
  readonly inner: Map<string, Growing>;
  readonly others: Map<string, number>;
}

const seed = (name: string): Growing => ({
  name,
  children: [],
  inner: new Map(),
  others: new Map(),
});

function at(root: Growing, path: Path): Growing {
  return path.reduce((branch, name) => {
    const known = branch.inner.get(name);
    if (known) return known;
    const fresh = seed(name);
    branch.inner.set(name, fresh);
    branch.children.push(fresh);
    return fresh;
  }, root);
}

/** Items in the order of the network; modules stand where their first item does. */
export function grown(items: readonly Item[]): Branch {
  const root = seed("");
  for (const { path, leaf, other } of items) {
    const branch = at(root, path);
    if (leaf) branch.children.push(leaf);
    if (other !== undefined) branch.others.set(other, (branch.others.get(other) ?? 0) + 1);
  }
  return settled(root);
}

const settled = ({ name, children, others }: Growing): Branch => ({
  name,
  names: [name],
  children: children.map((c) => ("inner" in c ? settled(c) : c)),
  others,
});

/** All leaves below, in order. */
export function* leavesOf(branch: Branch): Iterable<Leaf> {
  for (const child of branch.children) {
    if (isBranch(child)) yield* leavesOf(child);
    else yield child;
  }
}
