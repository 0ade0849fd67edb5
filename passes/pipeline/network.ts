/**
 * The steps of a program and the rings between them, before they are written down as attributes: what each
 * iteration reads, from which ring, and which iterations depend on which.
 */

import type { Domain, Region, Select } from "../../src/artifact/schedule.ts";
import { intAttr } from "../../src/ir/attrs.ts";
import { constantName } from "../../src/ir/dialects/program-schedule.ts";
import type { Module, Op, Value } from "../../src/ir/op.ts";
import { type Dependence, dependence } from "../../src/poly/dependence.ts";
import { ONE_SHOT, type Side } from "../../src/poly/domain.ts";
import { bytesPer } from "../../src/tensor/tensor.ts";
import type { Layout } from "./layout.ts";
import { isConstant, type Layouts } from "./propagate.ts";

/** One operation as a step. */
export interface Node {
  readonly id: string;
  readonly op: Op;
  readonly cluster: number;
  readonly domain: Domain;
  /** One per operand, null for an absent one. */
  readonly reads: readonly (Region | null)[];
}

/** One read of a ring. */
interface Reader {
  readonly node: Node;
  readonly dependence: Dependence;
}

export interface Ring {
  readonly value: Value;
  /** null: the host, for a graph input. */
  readonly writer: Node | null;
  readonly side: Side;
  readonly readers: readonly Reader[];
  /** The host reads it: a graph output. */
  readonly leaves: boolean;
  readonly cluster: number;
  /** Bytes of one block; 0 where only the data decides. */
  readonly blockBytes: number;
}

export interface Network {
  readonly nodes: readonly Node[];
  readonly rings: ReadonlyMap<Value, Ring>;
}

/** Tokens per block of each cluster. */
export type Blocks = (cluster: number) => number;

const domainOf = ({ space }: Layout, block: number): Domain =>
  space.batch * space.tokens === 1
    ? ONE_SHOT
    : { ...space, block: Math.min(space.tokens, Math.max(1, block)) };

export const clusterOf = (op: Op | undefined): number => (op ? intAttr(op, "cluster", 0) : 0);

export function networkOf(module: Module, layouts: Layouts, blocks: Blocks): Network {
  const constants = new Map(
    module.ops.filter(isConstant).flatMap((op) => op.results.map((r) => [r, constantName(op)])),
  );
  const nodes = layouts.ops.map(({ op, layout, reads }, i): Node => {
    const cluster = clusterOf(op);
    return {
      id: `s${i}`,
      op,
      cluster,
      domain: domainOf(layout, blocks(cluster)),
      reads: op.operands.map((v, k) => regionOf(v, reads[k], constants)),
    };
  });
  return { nodes, rings: ringsOf(module, layouts, nodes, blocks) };
}

function regionOf(
  value: Value | null,
  select: readonly Select[] | null | undefined,
  constants: ReadonlyMap<Value, string>,
): Region | null {
  if (!value || !select) return null;
  const constant = constants.get(value);
  return constant === undefined
    ? { buffer: value.id, select: [...select] }
    : { constant, select: [...select] };
}

function ringsOf(
  module: Module,
  layouts: Layouts,
  nodes: readonly Node[],
  blocks: Blocks,
): ReadonlyMap<Value, Ring> {
  const readers = new Map<Value, { node: Node; select: readonly Select[] }[]>();
  for (const node of nodes) {
    for (const [i, v] of node.op.operands.entries()) {
      const region = node.reads[i];
      if (!v || region?.buffer === undefined) continue;
      const list = readers.get(v) ?? [];
      list.push({ node, select: region.select });
      readers.set(v, list);
    }
  }
  const outputs = new Set(module.outputs.map((p) => p.value));
  const rings = new Map<Value, Ring>();
  const add = (value: Value, writer: Node | null): void => {
    const layout = layouts.values.get(value);
    if (!layout) throw new Error(`%${value.id} has no layout`);
    const reads = readers.get(value) ?? [];
    const domain = writer?.domain ?? domainOf(layout, blocks(clusterOf(reads[0]?.node.op)));
    const side = { domain, select: layout.select };
    rings.set(value, {
      value,
      writer,
      side,
      readers: reads.map(({ node, select }) => reader(value, side, node, select)),
      leaves: outputs.has(value),
      cluster: homeOf(
        writer,
        reads.map((r) => r.node),
      ),
      blockBytes: blockBytesOf(value, side),
    });
  };
  for (const { value } of module.inputs) add(value, null);
  for (const node of nodes) for (const r of node.op.results) add(r, node);
  return rings;
}

function reader(value: Value, writer: Side, node: Node, select: readonly Select[]): Reader {
  const found = dependence(writer, { domain: node.domain, select });
  if (!found) throw new Error(`%${value.id}: the reads of ${node.id} do not meet its writes`);
  return { node, dependence: found };
}

/** A ring lies with its readers if they share a cluster, else with its writer. */
function homeOf(writer: Node | null, readers: readonly Node[]): number {
  const clusters = new Set(readers.map((n) => n.cluster));
  const [first] = clusters;
  return clusters.size === 1 && first !== undefined ? first : (writer?.cluster ?? first ?? 0);
}

/** Bytes of the largest block. */
export function blockBytesOf({ type }: Value, { domain, select }: Side): number {
  const dims = type.shape.map((d, i) => {
    const s = select[i];
    if (s === "batch") return 1;
    return s === "token" || s === "row" ? domain.block : (d ?? 0);
  });
  return dims.reduce((a, b) => a * b, bytesPer(type.elem));
}

/** Blocks that the ring needs for any reader to run at all. */
export const leastCapacity = ({ readers }: Ring): number =>
  readers.reduce((most, { dependence: d }) => Math.max(most, d.span), 1);
