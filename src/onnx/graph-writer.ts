/** Collects the nodes and constants of an exported graph. */

import type { OnnxAttr, OnnxGraph } from "../ir/define.ts";
import { type Attr, isWeightRef } from "../ir/op.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type AttributeProto, type NodeProto, onnx } from "./proto.ts";
import { toProto } from "./tensor-proto.ts";

/** An initializer to be: its values are loaded when the file is written. */
export interface Constant {
  readonly name: string;
  readonly attr: Attr;
}

const KIND = onnx.AttributeProto.AttributeType;

export class GraphWriter implements OnnxGraph {
  readonly nodes: NodeProto[] = [];
  readonly constants: Constant[] = [];
  readonly domains = new Set<string>();
  private readonly taken: Set<string>;
  /** Exported names of weights, so that a weight used twice is stored once. */
  private readonly weights = new Map<string, string>();
  private origin = "";

  constructor(taken: ReadonlySet<string>) {
    this.taken = new Set(taken);
  }

  /** The nodes added from here on stand for these nodes of the original file. */
  from(origin: readonly string[]): void {
    this.origin = origin.at(-1) ?? "";
  }

  node(
    opType: string,
    inputs: readonly string[],
    attrs: Readonly<Record<string, OnnxAttr>> = {},
    options: { readonly domain?: string; readonly outputs?: readonly string[] } = {},
  ): string {
    const output = options.outputs ?? [this.fresh(`${this.origin || opType}.out`)];
    const domain = options.domain ?? "";
    this.domains.add(domain);
    this.nodes.push({
      opType,
      domain,
      name: this.fresh(this.origin || opType, this.nodeNames),
      input: [...inputs],
      output: [...output],
      attribute: Object.entries(attrs).map(([name, a]) => attributeProto(name, a)),
    });
    return output[0] ?? "";
  }

  constant(value: Tensor): string {
    const name = this.fresh("constant");
    this.constants.push({ name, attr: value });
    return name;
  }

  weight(attr: Attr): string {
    if (!isWeightRef(attr)) return this.constant(attr as Tensor);
    const known = this.weights.get(attr.weight);
    if (known !== undefined) return known;
    const name = this.fresh(attr.weight);
    this.namedConstant(name, attr);
    return name;
  }

  /** A constant that must have this very name, which is taken for it already. */
  namedConstant(name: string, attr: Attr): void {
    this.constants.push({ name, attr });
    if (isWeightRef(attr) && !this.weights.has(attr.weight)) this.weights.set(attr.weight, name);
  }

  private readonly nodeNames = new Set<string>();
  /** Where the search for the next free number goes on, by set and base, so that it stays short. */
  private readonly counters = new Map<Set<string>, Map<string, number>>();

  private fresh(base: string, taken = this.taken): string {
    const counters = this.counters.get(taken) ?? new Map<string, number>();
    this.counters.set(taken, counters);
    let count = counters.get(base) ?? 0;
    let name = count === 0 ? base : `${base}_${count}`;
    while (taken.has(name)) name = `${base}_${++count}`;
    counters.set(base, count);
    taken.add(name);
    return name;
  }
}

function attributeProto(name: string, a: OnnxAttr): AttributeProto {
  if ("int" in a) return { name, type: KIND.INT, i: a.int };
  if ("float" in a) return { name, type: KIND.FLOAT, f: a.float };
  if ("string" in a) return { name, type: KIND.STRING, s: Buffer.from(a.string) };
  if ("ints" in a) return { name, type: KIND.INTS, ints: [...a.ints] };
  if ("floats" in a) return { name, type: KIND.FLOATS, floats: [...a.floats] };
  if ("strings" in a) {
    return { name, type: KIND.STRINGS, strings: a.strings.map((s) => Buffer.from(s)) };
  }
  return { name, type: KIND.TENSOR, t: toProto("", a.tensor) };
}
