/** What a model file says of itself, without its values: versions, operators, parameters by element type. */

import { statSync } from "node:fs";
import { bytesInFile } from "../tensor/nibbles.ts";
import { sizeOf } from "../tensor/tensor.ts";
import { elemOf, nameOfCode } from "./elem.ts";
import { locationOf } from "./external.ts";
import { domainOf, kindOf } from "./graph.ts";
import { type GraphProto, type Int64, type TensorProto, toInt } from "./proto.ts";
import type { Structure } from "./structure.ts";

/** Initializers of one element type. */
export interface Stored {
  /** As in the IR, or ONNX's name of a type that is not supported. */
  readonly elem: string;
  readonly tensors: number;
  readonly elements: number;
  readonly bytes: number;
}

export interface FileFacts {
  /** Bytes of the model file itself. */
  readonly size: number;
  readonly irVersion: number;
  readonly producer: string;
  /** Versions by domain, ONNX's own being "". */
  readonly opsets: Readonly<Record<string, number>>;
  readonly nodes: readonly { readonly name: string; readonly operator: string }[];
  /** How many nodes there are of each operator. */
  readonly operators: Readonly<Record<string, number>>;
  /** Functions that the file brings along. */
  readonly functions: number;
  readonly parameters: readonly Stored[];
  /** Initializers in other files. */
  readonly external: {
    readonly files: readonly string[];
    readonly tensors: number;
    readonly bytes: number;
  };
}

export function fileFacts(path: string, { model }: Structure): FileFacts {
  const graph = model.graph as GraphProto;
  const nodes = (graph.node ?? []).map((n, i) => ({
    name: n.name || `${n.opType ?? ""}_${i}`,
    operator: kindOf({ domain: domainOf(n.domain), opType: n.opType ?? "" }).replace("onnx.", ""),
  }));
  const operators = new Map<string, number>();
  for (const { operator } of nodes) operators.set(operator, (operators.get(operator) ?? 0) + 1);
  const initializers = graph.initializer ?? [];
  const outside = initializers.filter((t) => locationOf(t) !== "");
  return {
    size: statSync(path).size,
    irVersion: toInt(model.irVersion as number | Int64),
    producer: [model.producerName, model.producerVersion].filter(Boolean).join(" "),
    opsets: Object.fromEntries(
      (model.opsetImport ?? []).map((o) => [
        domainOf(o.domain),
        toInt(o.version as number | Int64),
      ]),
    ),
    nodes,
    operators: Object.fromEntries([...operators].toSorted(([, a], [, b]) => b - a)),
    functions: (model.functions ?? []).length,
    parameters: byElem(initializers),
    external: {
      files: [...new Set(outside.map(locationOf))],
      tensors: outside.length,
      bytes: outside.reduce((n, t) => n + bytesOf(t), 0),
    },
  };
}

const elementsOf = (t: TensorProto): number =>
  sizeOf((t.dims ?? []).map((d) => toInt(d as number | Int64)));

/** Zero for element types whose width is not known here. */
function bytesOf(t: TensorProto): number {
  const elem = elemOf(t.dataType);
  return elem ? bytesInFile(elem, elementsOf(t)) : 0;
}

/** The largest share first. */
function byElem(initializers: readonly TensorProto[]): readonly Stored[] {
  const found = new Map<string, Stored>();
  for (const t of initializers) {
    const elem = elemOf(t.dataType) ?? nameOfCode(t.dataType);
    const { tensors = 0, elements = 0, bytes = 0 } = found.get(elem) ?? {};
    found.set(elem, {
      elem,
      tensors: tensors + 1,
      elements: elements + elementsOf(t),
      bytes: bytes + bytesOf(t),
    });
  }
  return [...found.values()].toSorted((a, b) => b.elements - a.elements);
}
