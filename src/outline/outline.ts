/** What the compiler sees in a model: the tree of its modules, operation by operation. */

import type { NearMiss } from "../../passes/pass.ts";
import type { Diagnostic } from "../diag/diagnostic.ts";
import type { Module, Op } from "../ir/op.ts";
import { isFloat } from "../tensor/tensor.ts";
import { constantsIn, constantsReadBy, type Held, namesIn, weightsOf } from "./constants.ts";
import { type Path, pathsOf } from "./paths.ts";
import { type Branch, grown, type Item, type Leaf } from "./tree.ts";
import { wordsOf } from "./words.ts";
import { macsOf } from "./work.ts";

/** A model that was raised as far as it goes. */
export interface Seen {
  /** The onnx level, as it was read. */
  readonly source: Module;
  /** The nn level, with places assigned. */
  readonly module: Module;
  /** All nodes of the file, in its order. */
  readonly nodes: readonly { readonly name: string; readonly operator: string }[];
  /** Modules that the exporter noted beside nodes, by node. */
  readonly scopes: ReadonlyMap<string, string>;
  readonly missed: ReadonlyMap<Op, NearMiss>;
  readonly refused: readonly Diagnostic[];
  /** Nodes that read what nobody knows, because of those. */
  readonly behind: readonly string[];
}

/** An item and where in the file it comes from. */
interface Placed {
  readonly item: Item;
  /** Index of its last node. */
  readonly at: number;
}

export function outlineOf(seen: Seen): Branch {
  const order = new Map(seen.nodes.map(({ name }, i) => [name, i]));
  const paths = pathsOf(seen.module, seen.source, seen.scopes);
  const read: Placed[] = [];
  for (const { op, item } of readItems(seen, (op) => paths.ofOp(op))) {
    const known = op.origin.flatMap((name) => order.get(name) ?? []);
    // What has no place in the file's order stands behind what is before it.
    read.push({ item, at: known.length > 0 ? Math.max(...known) : (read.at(-1)?.at ?? 0) });
  }
  const stopped = stoppedItems(seen, (name) => paths.ofNode(name)).map(
    ({ name, item }): Placed => ({ item, at: order.get(name) ?? 0 }),
  );
  const all = [...read, ...stopped].toSorted((a, b) => a.at - b.at);
  return grown(all.map(({ item }) => item));
}

function readItems(seen: Seen, pathOf: (op: Op) => Path) {
  const constants = constantsIn(seen.module);
  const file = namesIn(seen.source);
  const macs = macsOf(seen.module);
  const met = new Set<unknown>();
  const notMet = (held: readonly Held[]): number => {
    const fresh = held.filter((c) => !met.has(c.key));
    for (const c of fresh) met.add(c.key);
    return elements(fresh);
  };
  const leafOf = (op: Op): Leaf => {
    const weights = weightsOf(op);
    const others = constantsReadBy(op, constants).filter((c) => isParameter(op, c, file));
    const ofWeights = notMet(weights);
    return {
      ...describedBy(op, seen.missed.get(op)),
      parameters: elements([...weights, ...others]),
      fresh: ofWeights + notMet(others),
      onTiles: op.attrs["place"] === "analog" ? ofWeights : 0,
      macs: macs(op),
    };
  };
  return seen.module.ops
    .filter((op) => op.kind !== "onnx.Constant")
    .map((op): { readonly op: Op; readonly item: Item } => {
      const [leaf, path] = [leafOf(op), pathOf(op)];
      return { op, item: isTold(leaf) ? { path, leaf } : { path, other: nameOf(op.kind) } };
    });
}

/** Modules whose constants are parameters whatever they were made of. */
const MODULES: ReadonlySet<string> = new Set(
  ["linear", "embedding", "layer_norm", "rms_norm"].map((name) => `nn.${name}`),
);

/** Constants with fewer elements are numbers and shapes. */
const FEWEST = 64;

/** Of other operations what is in the file and too large to be a number: tables and masks are computed. */
const isParameter = (op: Op, c: Held, file: ReadonlySet<string>): boolean =>
  MODULES.has(op.kind) ||
  (c.elements >= FEWEST && isFloat(c.elem) && c.name !== undefined && file.has(c.name));

const nameOf = (kind: string): string => kind.replace(/^onnx\./, "");

const elements = (held: readonly Held[]): number => held.reduce((n, c) => n + c.elements, 0);

type Counted = "parameters" | "fresh" | "onTiles" | "macs";

function describedBy(op: Op, missed: NearMiss | undefined): Omit<Leaf, Counted> {
  const { place, why, role } = op.attrs;
  const unknown = missed ? "missed" : "digital";
  return {
    state: op.kind.startsWith("nn.") ? "recognised" : unknown,
    kind: nameOf(op.kind),
    what: wordsOf(op),
    nodes: op.origin,
    count: 1,
    place: place === "analog" ? "analog" : "digital",
    ...(typeof role === "string" && { role }),
    ...(typeof why === "string" && { why }),
    ...(missed && { missed }),
  };
}

/** Everything else is told by its number. */
const isTold = ({ state, parameters, macs }: Leaf): boolean =>
  state !== "digital" || parameters > 0 || macs > 0;

/** Nodes that are not in the module, with the reason. */
function stoppedItems(seen: Seen, pathOf: (name: string) => Path) {
  const operators = new Map(seen.nodes.map(({ name, operator }) => [name, operator]));
  const item = (name: string, why: Pick<Leaf, "state" | "refused">) => {
    const kind = operators.get(name) ?? "?";
    const none = { parameters: 0, fresh: 0, onTiles: 0, macs: 0 };
    const leaf: Leaf = { kind, what: kind, nodes: [name], count: 1, ...none, ...why };
    return { name, item: { path: pathOf(name), leaf } };
  };
  const refused = seen.refused.flatMap((d) => {
    const nodes = d.at.kind === "node" ? d.at.nodes : [];
    return nodes.map((name) => item(name, { state: "refused", refused: d }));
  });
  return [...refused, ...seen.behind.map((name) => item(name, { state: "behind" }))];
}
