/** What the modules of a network come to. */

import type { Module } from "../ir/op.ts";
import { type Branch, type Leaf, leavesOf } from "./tree.ts";

/** Modules of one kind in one place. */
export interface Total {
  readonly place: "analog" | "digital";
  readonly kind: string;
  readonly modules: number;
  /** Constants that are shared count where they are met first. */
  readonly parameters: number;
  readonly macs: number;
  readonly why: string;
}

/** The role of a linear, or what an operation is. */
const kindOf = ({ kind, role }: Leaf): string => role ?? kind.replace(/^nn\./, "");

/** Of an unfolded tree; what is on tiles first, then the largest. Nodes that are refused come to nothing. */
export function totalsOf(tree: Branch): readonly Total[] {
  const totals = new Map<string, Total>();
  const add = (total: Total): void => {
    const key = JSON.stringify([total.place, total.kind, total.why]);
    const known = totals.get(key);
    totals.set(key, {
      ...total,
      modules: (known?.modules ?? 0) + total.modules,
      parameters: (known?.parameters ?? 0) + total.parameters,
      macs: (known?.macs ?? 0) + total.macs,
    });
  };
  for (const leaf of leavesOf(tree)) {
    const { place, why = "", fresh, onTiles, macs } = leaf;
    if (!place) continue;
    const isAnalog = place === "analog";
    const parameters = isAnalog ? onTiles : fresh;
    add({ place, kind: kindOf(leaf), modules: 1, parameters, macs, why });
    const bias = isAnalog ? fresh - onTiles : 0;
    if (bias > 0) add({ ...BIAS, parameters: bias });
  }
  const first = (t: Total): number => (t.place === "analog" ? 0 : 1);
  const size = (t: Total): number => t.parameters + t.macs;
  return [...totals.values()].toSorted((a, b) => first(a) - first(b) || size(b) - size(a));
}

const BIAS = {
  place: "digital",
  kind: "bias",
  modules: 1,
  macs: 0,
  why: "a bias is added digitally, after the tile",
} as const;

/** What only a run decides. */
export interface Dynamic {
  /** Operations that first give a shape which depends on data, by operator. */
  readonly shapes: Readonly<Record<string, readonly string[]>>;
  /** Caches of keys or values that grow from call to call. */
  readonly caches: number;
  /** Choices of experts. */
  readonly routers: number;
}

export function dynamicOf(module: Module): Dynamic {
  const shapes = new Map<string, string[]>();
  const isOpen = (v: { readonly type: { readonly shape: readonly (number | null)[] } } | null) =>
    v?.type.shape.includes(null) === true;
  for (const op of module.ops) {
    if (!op.results.some(isOpen) || op.operands.some(isOpen)) continue;
    const operator = op.kind.replace(/^onnx\./, "");
    shapes.set(operator, [...(shapes.get(operator) ?? []), ...op.origin]);
  }
  const count = (kind: string): number => module.ops.filter((op) => op.kind === kind).length;
  return {
    shapes: Object.fromEntries(shapes),
    caches: count("nn.cache_append"),
    routers: count("nn.router"),
  };
}
