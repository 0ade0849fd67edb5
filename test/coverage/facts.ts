/** What the page tells of one model: counted in its file, in the network that was recognised, in the program. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Verification } from "../../src/compare/verification.ts";
import type { Module, Op } from "../../src/ir/op.ts";
import { type GraphProto, onnx } from "../../src/onnx/proto.ts";
import { kindCounts, usageOf } from "../../src/report/usage.ts";
import { MOVEMENT } from "../../src/tensor/kernels/movement.ts";
import { SLICE } from "../../src/tensor/kernels/slice.ts";
import type { Case } from "../corpus.ts";
import type { Judged } from "./judged.ts";

/** Things and how many there are of each. */
export type Counts = ReadonlyMap<string, number>;

/** Where a node of the file went: into modules of the network, to a cluster as it is, or nowhere. */
export interface Fate {
  readonly operator: string;
  /** Kinds of modules that the node became a part of; none: it stayed an operator, or was folded. */
  readonly modules: readonly string[];
  readonly stayed: boolean;
}

export interface ModelFacts {
  readonly name: string;
  /** What it is, in the words of who made the case. */
  readonly what: string;
  readonly from: string;
  readonly opset: number;
  readonly nodes: number;
  readonly sets: number;
  readonly tiles: number;
  readonly linears: number;
  readonly onTiles: number;
  /** Operations of the network's level, by kind without `nn.`. */
  readonly modules: Counts;
  /** Operators that stay as they are and compute; how many more only move data. */
  readonly plain: Counts;
  readonly moving: number;
  /** Experts that routers choose from, in the largest mixture. */
  readonly experts: number;
  readonly digital: readonly { readonly kind: string; readonly why: string; modules: number }[];
  readonly fates: readonly Fate[];
}

/** Words of source.json. */
interface Source {
  readonly origin: string;
  readonly exporter?: string;
  readonly arch?: string;
  readonly note?: string;
}

export const sourceOf = ({ folder }: Case): Source =>
  JSON.parse(readFileSync(join(folder, "source.json"), "utf8")) as Source;

export function factsOf(c: Case, { artifact, source, network }: Judged): ModelFacts {
  const { manifest, mapping, target } = artifact;
  const told = sourceOf(c);
  const ops = network.ops.filter((op) => op.kind !== "onnx.Constant" && op.kind !== "nn.lora");
  const linears = ops.filter((op) => op.kind === "nn.linear");
  const plain = ops.filter((op) => op.kind.startsWith("onnx."));
  const computing = plain.filter((op) => !movesData(op));
  return {
    name: c.name,
    what: told.arch ?? told.note ?? "",
    from: exporterOf(told, manifest.model.producer),
    opset: manifest.model.opset,
    nodes: nodesIn(onnx.ModelProto.decode(readFileSync(c.model)).graph ?? {}),
    sets: c.data.length,
    tiles: usageOf(mapping, target).tiles,
    linears: linears.length,
    onTiles: linears.filter((op) => op.attrs["place"] === "analog").length,
    modules: count(ops.filter((op) => op.kind.startsWith("nn.")).map(shortKind)),
    plain: count(computing.map(shortKind)),
    moving: plain.length - computing.length,
    experts: Math.max(0, ...ops.filter((op) => op.kind === "nn.combine").map(expertsOf)),
    digital: kindCounts(mapping).filter((k) => k.place === "digital"),
    fates: fatesOf(source, network),
  };
}

const shortKind = ({ kind }: Op): string => kind.replace(/^(onnx|nn)\./, "");

const movesData = (op: Op): boolean => shortKind(op) in MOVEMENT || shortKind(op) in SLICE;

/** Its operands are the routing and one value for each expert. */
const expertsOf = (op: Op): number => op.operands.length - 1;

function exporterOf({ exporter, origin }: Source, producer: string): string {
  if (exporter === undefined) {
    return [origin.replace(/ .*/, ""), producer].filter((t) => t !== "").join(", ");
  }
  const release = /(\d+\.\d+)(\.\d+)?(a0|\+debian|\.dev0)?(?=[ ,]|$)/g;
  return exporter.replace("torch.onnx.export ", "").replace(release, "$1");
}

/** Nodes of a graph and of the graphs inside of them. */
function nodesIn(graph: GraphProto): number {
  const nodes = graph.node ?? [];
  const inner = nodes.flatMap((n) => n.attribute ?? []).flatMap((a) => (a.g ? [a.g] : []));
  return nodes.length + inner.reduce((n, g) => n + nodesIn(g), 0);
}

export function count(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

/** What became of each operation of the file; constants aside. */
function fatesOf(source: Module, network: Module): Fate[] {
  const became = new Map<string, Set<string>>();
  for (const op of network.ops) {
    for (const name of op.origin) became.set(name, (became.get(name) ?? new Set()).add(op.kind));
  }
  return source.ops
    .filter((op) => op.kind !== "onnx.Constant")
    .map((op) => {
      const kinds = op.origin.flatMap((name) => [...(became.get(name) ?? [])]);
      const modules = kinds.filter((k) => k.startsWith("nn.") && k !== "nn.lora");
      return {
        operator: shortKind(op),
        modules: modules.map((k) => k.slice("nn.".length)),
        stayed: kinds.some((k) => k.startsWith("onnx.") && k !== "onnx.Constant"),
      };
    });
}

/** The largest error of a verification's outputs, each relative to its largest value. */
export function worstError(
  verification: Verification,
  against: "ONNX Runtime" | "recorded",
): number | null {
  const checks = verification.runs.flatMap((r) => r.outputs).filter((o) => o.against === against);
  return checks.length === 0 ? null : Math.max(...checks.map((o) => o.difference.relative));
}
