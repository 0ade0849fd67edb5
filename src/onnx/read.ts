/** Reads an ONNX file into a module of the onnx level. Constants stay in the file until loaded. */

import { basename } from "node:path";
import type { PortSpec } from "../artifact/manifest.ts";
import { fail, inFile } from "../diag/diagnostic.ts";
import { MOST_ELEMENTS, volume } from "../ir/dialects/onnx/shape.ts";
import type { Module } from "../ir/op.ts";
import { showType, type TensorType } from "../tensor/tensor.ts";
import { ModelStore } from "../weights/model-store.ts";
import { GraphBuilder, type ReadRemark } from "./build.ts";
import { constantMaker, elementsOf } from "./constants.ts";
import {
  type Bindings,
  boundShape,
  checkBindings,
  type DeclaredPort,
  freeDims,
  portOf,
  specOf,
  untyped,
} from "./dims.ts";
import { elemOf } from "./elem.ts";
import { domainOf, type GraphNode, kindOf, nodeOf, readsOf } from "./graph.ts";
import { callOf, functionsOf, inlineCall, inlineIf, type LocalFunction } from "./inline.ts";
import { indexLimits } from "./limits.ts";
import { type GraphProto, type ModelProto, toInt } from "./proto.ts";
import { checkNames, sortNodes } from "./sort.ts";
import { readStructure } from "./structure.ts";
import { upgrade } from "./upgrade.ts";

export interface ModelInfo {
  readonly path: string;
  /** SHA-256 of the model file, in hex. */
  readonly sha256: string;
  readonly producer: string;
  /** Version of ONNX's own operator set that the file asks for. */
  readonly opset: number;
  /** Elements of all initializers. */
  readonly parameters: number;
  readonly inputs: readonly PortSpec[];
  readonly outputs: readonly PortSpec[];
  /** Bound free dimensions. */
  readonly dims: Readonly<Record<string, number>>;
  /** Names of all free dimensions of the inputs, in order. */
  readonly free: readonly string[];
}

export interface ReadModel {
  readonly module: Module;
  readonly store: ModelStore;
  readonly info: ModelInfo;
  readonly remarks: readonly ReadRemark[];
}

/** The newest opset whose operators mean what they mean at 23, new ones aside. */
const NEWEST = 25;

/** Errors: A101 to A125, all with the file and, where there is one, the node. */
export function readModel(path: string, options: { readonly dims: Bindings }): ReadModel {
  const { model, sha256 } = readStructure(path);
  const graph = model.graph as GraphProto;
  const opset = opsetOf(model, path);
  const { inputs, outputs } = portsOf(graph, path);
  const dims = checkBindings(inputs, options.dims, path);
  const store = new ModelStore();
  const constant = constantMaker(path, sha256, store);
  const nodes = lastConstants((graph.node ?? []).map((n, i) => nodeOf(n, i, path, constant)));
  const original = checkedNames(graph, inputs, outputs, nodes, path);
  const builder = new GraphBuilder(path, original, declaredTypes(graph, outputs, dims, path));
  const ports = inputs.map((p) => ({
    name: p.name,
    value: builder.define(p.name, typeOfPort(p, dims, path)),
  }));
  const used = new Set([...nodes.flatMap(readsOf), ...outputs.map((o) => o.name)]);
  for (const init of graph.initializer ?? []) {
    const name = init.name ?? "";
    if (used.has(name)) builder.constant(name, constant(init, name), name);
  }
  const functions = functionsOf(model.functions ?? [], path, constant);
  const how = { path, opset, functions, fresh: namesBeside(original), count: { inlined: 0 } };
  addNodes(sortNodes(nodes, path), builder, how, 0);
  builder.finish();
  const missing = outputs.find((o) => !builder.has(o.name));
  if (missing) undefinedOutput(missing.name, path);
  const module: Module = {
    level: "onnx",
    name: graph.name || basename(path, ".onnx"),
    inputs: ports,
    outputs: outputs.map((o) => ({ name: o.name, value: builder.valueOf(o.name) })),
    ops: builder.ops,
  };
  const limits = indexLimits(module);
  const info: ModelInfo = {
    path,
    sha256,
    producer: [model.producerName, model.producerVersion].filter(Boolean).join(" "),
    opset,
    parameters: (graph.initializer ?? []).reduce((n, t) => n + elementsOf(t, path), 0),
    inputs: inputs.map((p) => ({ ...specOf(p, dims), ...limits.get(p.name) })),
    outputs: outputs.map((p, i) => specOf(p, dims, module.outputs[i]?.value.type)),
    dims,
    free: [...freeDims(inputs).keys()],
  };
  return { module, store, info, remarks: builder.remarks };
}

interface Lowering {
  readonly path: string;
  readonly opset: number;
  readonly functions: ReadonlyMap<string, LocalFunction>;
  readonly fresh: (base: string) => string;
  /** Nodes that calls have put into the graph so far. */
  readonly count: { inlined: number };
}

/** Calls within calls; exporters write a function for a module, and modules are some ten deep. */
const DEEPEST_CALL = 100;

/** A model of the largest kind has some ten thousand nodes; functions that double each other have more. */
const MOST_INLINED = 500_000;

/** Adds nodes with calls and decided conditions inlined, brought to today's operators. */
function addNodes(
  nodes: readonly GraphNode[],
  builder: GraphBuilder,
  how: Lowering,
  depth: number,
): void {
  const inline = (inner: readonly GraphNode[], node: GraphNode): void => {
    how.count.inlined += inner.length;
    if (depth >= DEEPEST_CALL || how.count.inlined > MOST_INLINED) endless(node, how.path);
    addNodes(inner, builder, how, depth + 1);
  };
  for (const node of nodes) {
    const called = how.functions.get(callOf(node.domain, node.opType));
    const condition = kindOf(node) === "onnx.If" ? builder.value(node.inputs[0] ?? "") : undefined;
    if (called) inline(inlineCall(node, called, how.fresh), node);
    else if (condition?.data.length === 1)
      inline(inlineIf(node, condition.data[0] === 1, how.fresh), node);
    else {
      for (const n of upgrade(node, how.opset, builder, how.fresh)) builder.add(n);
    }
  }
}

function endless(node: GraphNode, model: string): never {
  const text = `the functions that '${node.opType}' calls have no end, or far too many nodes`;
  const hint =
    "functions may not call themselves: export the model again, or inline them with onnx";
  fail("A125", text, { kind: "node", model, nodes: [node.name] }, hint);
}

/** Outputs that a branch or function was to define. Errors: A107. */
function undefinedOutput(name: string, path: string): never {
  const hint = "a function or branch of the model is damaged: export the model again";
  fail("A107", `nothing defines the graph output '${name}'`, inFile(path), hint);
}

/** Names that the file does not use. */
function namesBeside(original: ReadonlySet<string>): (base: string) => string {
  const taken = new Set(original);
  const numbers = new Map<string, number>();
  return (base) => {
    let name = base;
    let i = numbers.get(base) ?? 1;
    for (; taken.has(name); i++) name = `${base}_${i}`;
    numbers.set(base, i);
    taken.add(name);
    return name;
  };
}

/**
 * Graph optimisers leave several constants of one name behind. ONNX Runtime takes the last of them, so
 * that is what such a model means; any other clash of names is a fault.
 */
function lastConstants(nodes: readonly GraphNode[]): readonly GraphNode[] {
  const nameOf = (n: GraphNode): string => n.outputs[0] ?? "";
  const constants = nodes.filter((n) => kindOf(n) === "onnx.Constant");
  const last = new Map(constants.map((n) => [nameOf(n), n]));
  return nodes.filter((n) => kindOf(n) !== "onnx.Constant" || last.get(nameOf(n)) === n);
}

/** Errors: A116 when an input has no shape, which no later step could find out; A123 a size beyond all. */
function typeOfPort(port: DeclaredPort, dims: Bindings, path: string): TensorType {
  if (port.dims === null) {
    const text = `graph input '${port.name}' has no shape`;
    fail("A116", text, inFile(path), "export the model with the shapes of its inputs");
  }
  const type = { elem: port.elem, shape: boundShape(port, dims) };
  if ((volume(type.shape) ?? 0) > MOST_ELEMENTS) {
    const text = `graph input '${port.name}' would be ${showType(type)}, more than ${MOST_ELEMENTS} elements`;
    fail(
      "A123",
      text,
      inFile(path),
      "a size given with --dim is too large, or the file is damaged",
    );
  }
  return type;
}

/** The ports of a file with its free dimensions left open (null), for binding them from sample data. */
export function readPorts(path: string): {
  readonly inputs: readonly PortSpec[];
  readonly outputs: readonly PortSpec[];
} {
  const { model } = readStructure(path);
  const { inputs, outputs } = portsOf(model.graph as GraphProto, path);
  return { inputs: inputs.map((p) => specOf(p, {})), outputs: outputs.map((p) => specOf(p, {})) };
}

/** Errors: A103 for a graph with nothing to compute. */
function portsOf(graph: GraphProto, path: string) {
  const constants = new Set((graph.initializer ?? []).map((t) => t.name ?? ""));
  const inputs = (graph.input ?? []).filter((i) => !constants.has(i.name ?? ""));
  const outputs = graph.output ?? [];
  if (outputs.length === 0) {
    fail("A103", "the graph has no outputs", inFile(path), "export a model that gives something");
  }
  if ((graph.sparseInitializer ?? []).length > 0) {
    fail("A109", "sparse initializers are not supported", inFile(path), "store them dense");
  }
  return {
    inputs: inputs.map((i) => portOf(i, path)),
    outputs: outputs.map((o) => (o.type ? portOf(o, path) : untyped(o.name ?? ""))),
  };
}

/**
 * The version of ONNX's own operators that the file asks for.
 * Errors: A102 when it must say and does not; A104 when that version is not known.
 */
function opsetOf(model: ModelProto, path: string): number {
  const imports = model.opsetImport ?? [];
  const versioned = toInt(model.irVersion as number) >= 3;
  if (versioned && imports.length === 0) {
    const hint = "the file is not ONNX, or its download or copy was cut short";
    fail("A102", "the file does not say which operator set it uses", inFile(path), hint);
  }
  const own = imports
    .filter((o) => domainOf(o.domain) === "")
    .map((o) => toInt(o.version as number));
  // Before the file format had versions of operators it meant the first; later files that name only
  // other domains use none of ONNX's own.
  const opset = own.length > 0 ? Math.max(...own) : versioned ? NEWEST : 1;
  if (opset < 1 || opset > NEWEST) {
    const hint = `export the model with an opset from 7 to ${NEWEST}`;
    fail("A104", `opset ${opset} is not supported`, inFile(path), hint);
  }
  return opset;
}

function checkedNames(
  graph: GraphProto,
  inputs: readonly DeclaredPort[],
  outputs: readonly DeclaredPort[],
  nodes: readonly GraphNode[],
  path: string,
): ReadonlySet<string> {
  const initializers = (graph.initializer ?? []).map((t) => t.name ?? "");
  const given = new Set<string>();
  for (const name of [...inputs.map((i) => i.name), ...initializers]) {
    if (given.has(name)) {
      const hint = "every tensor name may be defined once: export the model again";
      fail("A106", `tensor '${name}' is defined twice`, inFile(path), hint);
    }
    given.add(name);
  }
  const names = outputs.map((o) => o.name);
  checkNames(nodes, given, names, path);
  return new Set([...given, ...nodes.flatMap((n) => n.outputs)]);
}

/** Types of tensors that the file tells: outputs, and the exporter's own shape inference. */
function declaredTypes(
  graph: GraphProto,
  outputs: readonly DeclaredPort[],
  dims: Bindings,
  path: string,
): ReadonlyMap<string, TensorType> {
  const infos = (graph.valueInfo ?? [])
    .filter((v) => elemOf(v.type?.tensorType?.elemType) && v.type?.tensorType?.shape)
    .map((v) => portOf(v, path));
  const ports = [...infos, ...outputs].filter((p) => p.dims !== null);
  return new Map(ports.map((p) => [p.name, { elem: p.elem, shape: boundShape(p, dims) }]));
}
