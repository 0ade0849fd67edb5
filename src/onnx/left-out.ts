/**
 * Nodes that are passed over, so that the rest of a model can be looked at. What they give becomes an input
 * of the module where the file declares its type; what reads a value of no known type is passed over too.
 */

import type { Port, Value } from "../ir/op.ts";
import type { TensorType } from "../tensor/tensor.ts";
import type { GraphBuilder } from "./build.ts";
import { type GraphNode, readsOf } from "./graph.ts";
import type { NodeProto } from "./proto.ts";

export class LeftOut {
  /** Names of nodes that read what has no known type, because a node before them is passed over. */
  readonly behind: string[] = [];
  /** What passed over nodes give and others read. */
  readonly inputs: Port[] = [];
  private readonly nodes: ReadonlySet<string>;
  private readonly declared: ReadonlyMap<string, TensorType>;
  private readonly reads = new Set<string>();
  private readonly untyped = new Set<string>();

  constructor(nodes: ReadonlySet<string>, declared: ReadonlyMap<string, TensorType>) {
    this.nodes = nodes;
    this.declared = declared;
  }

  /** The message of a node without attributes that nobody will ask for, and which may be unreadable. */
  bare(proto: NodeProto, index: number): NodeProto {
    if (!this.nodes.has(proto.name || `${proto.opType ?? ""}_${index}`)) return proto;
    return { ...proto, attribute: (proto.attribute ?? []).filter((a) => a.g) };
  }

  /** Whether the node is passed over; then what it gives is known to the builder as far as it can be. */
  takes(node: GraphNode, builder: GraphBuilder): boolean {
    const reads = readsOf(node);
    const isNamed = this.nodes.has(node.name);
    if (!isNamed && !reads.some((name) => this.untyped.has(name))) return false;
    if (!isNamed) this.behind.push(node.name);
    for (const name of reads) this.reads.add(name);
    for (const name of node.outputs.filter((o) => o !== "")) {
      const type = this.declared.get(name);
      if (type) this.inputs.push({ name, value: builder.define(name, type) });
      else this.untyped.add(name);
    }
    return true;
  }

  /** Whether nothing is known of a tensor, as what gives it is passed over. */
  hides(name: string): boolean {
    return this.untyped.has(name);
  }

  /** The outputs, and what nodes that are passed over read, which is wanted as outputs are. */
  outputs(names: readonly string[], builder: GraphBuilder): readonly Port[] {
    const constants = new Set<Value>(
      builder.ops.filter((op) => op.kind === "onnx.Constant").flatMap((op) => op.results),
    );
    const read = [...this.reads].filter(
      (name) => builder.has(name) && !constants.has(builder.valueOf(name)),
    );
    const more = read.filter((name) => !names.includes(name));
    return [...names, ...more].map((name) => ({
      name,
      value: builder.valueOf(name),
    }));
  }
}
