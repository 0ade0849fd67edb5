/**
 * Where in the network every operation is. Names tell of most; an operation without one lies between its
 * neighbours: in the module that holds both.
 */

import { modulePaths } from "../../passes/raise/module-paths.ts";
import type { Module, Op } from "../ir/op.ts";

/** Segments of a module's path; a number belongs to the name before it: `encoder`, `layer.3`. */
export type Path = readonly string[];

function segmentsOf(path: string): Path {
  const segments: string[] = [];
  for (const part of path.split(".").filter((p) => p !== "")) {
    const before = segments.at(-1);
    if (/^\d+$/.test(part) && before !== undefined)
      segments[segments.length - 1] = `${before}.${part}`;
    else segments.push(part);
  }
  return segments;
}

const baseOf = (segment: string | undefined): string | undefined => segment?.replace(/\.\d+$/, "");

/** The module that holds both. Between two layers of one list it is the first of them. */
function between(before: Path | undefined, after: Path | undefined): Path {
  if (!before || !after) return before ?? after ?? [];
  const same = before.findIndex((s, i) => s !== after[i]);
  const shared = same < 0 ? before.length : same;
  const isList =
    /\.\d+$/.test(before[shared] ?? "") && baseOf(before[shared]) === baseOf(after[shared]);
  return before.slice(0, isList ? shared + 1 : shared);
}

export interface Paths {
  ofOp(op: Op): Path;
  /** Of a node that is not in the module. */
  ofNode(name: string): Path;
}

/**
 * `source` is the module as it was read, which holds all names; `scopes` are the modules that the exporter noted
 * beside nodes.
 */
export function pathsOf(
  module: Module,
  source: Module,
  scopes: ReadonlyMap<string, string>,
): Paths {
  const named = modulePaths(source, scopes);
  const explicit = (op: Op): Path | undefined => {
    const { module: path } = op.attrs;
    const found = typeof path === "string" ? path : named.ofNodes(op.origin);
    return found === undefined ? undefined : segmentsOf(found);
  };
  const own = module.ops.map((op) => (op.kind === "onnx.Constant" ? undefined : explicit(op)));
  const after = new Array<Path | undefined>(own.length);
  let next: Path | undefined;
  for (let i = own.length - 1; i >= 0; i--) {
    after[i] = next;
    next = own[i] ?? next;
  }
  const found = new Map<Op, Path>();
  let before: Path | undefined;
  for (const [i, op] of module.ops.entries()) {
    found.set(op, own[i] ?? between(before, after[i]));
    before = own[i] ?? before;
  }
  return {
    ofOp: (op) => found.get(op) ?? [],
    ofNode: (name) => segmentsOf(named.ofNodes([name]) ?? ""),
  };
}
