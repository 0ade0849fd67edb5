/** Reads an ONNX file into a module of the onnx level. Constants stay in the file until loaded. */

import { basename } from "node:path";
import type { PortSpec } from "../artifact/manifest.ts";
import { type Diagnostic, fail, inFile } from "../diag/diagnostic.ts";
import { extent, MOST_ELEMENTS } from "../ir/dialects/onnx/shape.ts";
import type { Module } from "../ir/op.ts";
import { showType, type TensorType } from "../tensor/tensor.ts";
import { ModelStore } from "../weights/model-store.ts";
import { GraphBuilder, type ReadRemark } from "./build.ts";
import { constantMaker, elementsOf, held, withoutValues } from "./constants.ts";
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
import { fixedInputs, type Settings } from "./fixed.ts";
import { domainOf, type GraphNode, kindOf, nodeOf, readsOf } from "./graph.ts";
import { functionsOf } from "./inline.ts";
import { LeftOut } from "./left-out.ts";
import { indexLimits } from "./limits.ts";
import { lowerNodes } from "./lower.ts";
import { namesBeside } from "./names.ts";
import { type GraphProto, type ModelProto, toInt } from "./proto.ts";
import { scopesOf } from "./scopes.ts";
import { checkNames, sortNodes } from "./sort.ts";
import { readStructure, type Structure } from "./structure.ts";

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
  /** The module around each node, dotted, where the exporter noted it. */
  readonly scopes: ReadonlyMap<string, string>;
  /** Nodes that are missing because of those that were to be left out: nothing says what they read. */
  readonly behind: readonly string[];
}

interface ReadOptions {
  readonly dims: Bindings;
  /** Inputs that become constants. */
  readonly set?: Settings;
  /** Names of nodes to pass over. */
  readonly without?: ReadonlySet<string>;
  /** The file's structure, if it has been read already. */
  readonly structure?: Structure;
  /** Hears of weights without values, for which zeros stand then. Absent: they are a fault. */
  readonly absent?: (weight: Diagnostic) => void;
}

/** The newest opset whose operators mean what they mean at 23, new ones aside. */
const NEWEST = 27;

/** Errors: A101 to A125, all with the file and, where there is one, the node. */
export function readModel(path: string, options: ReadOptions): ReadModel {
  const { model, sha256 } = options.structure ?? readStructure(path);
  const graph = model.graph as GraphProto;
  const opset = opsetOf(model, path);
  const { inputs, outputs } = portsOf(graph, path);
  const dims = checkBindings(inputs, options.dims, path);
  const store = new ModelStore();
  const own = constantMaker(path, sha256, store);
  const constant = options.absent ? withoutValues(own, path, store, options.absent) : own;
  const declared = declaredTypes(graph, outputs, dims, path);
  const left = new LeftOut(options.without ?? new Set(), declared);
  const nodes = lastConstants(
    (graph.node ?? []).map((n, i) => nodeOf(left.bare(n, i), i, path, constant)),
  );
  const original = checkedNames(graph, inputs, outputs, nodes, path);
  const builder = new GraphBuilder(path, original, declared);
  const set = options.set ?? {};
  const fixed = fixedInputs(inputs, set, dims, path);
  const ports = inputs.flatMap((p) => {
    const value = fixed.get(p.name);
    const type = typeOfPort(p, dims, path);
    if (!value) return [{ name: p.name, value: builder.define(p.name, type) }];
    builder.constant(p.name, held(p.name, value, store), p.name);
    return [];
  });
  const used = new Set([...nodes.flatMap(readsOf), ...outputs.map((o) => o.name)]);
  for (const init of graph.initializer ?? []) {
    const name = init.name ?? "";
    if (used.has(name)) builder.constant(name, constant(init, name), name);
  }
  const functions = functionsOf(model.functions ?? [], path, constant);
  const fresh = namesBeside(original);
  const passesOver = (node: GraphNode): boolean => left.takes(node, builder);
  lowerNodes(sortNodes(nodes, path), builder, { path, opset, functions, fresh, passesOver });
  builder.finish(versionsOf(model));
  const given = outputs.map((o) => o.name).filter((name) => !left.hides(name));
  const missing = given.find((name) => !builder.has(name));
  if (missing !== undefined) undefinedOutput(missing, path);
  const module: Module = {
    level: "onnx",
    name: graph.name || basename(path, ".onnx"),
    inputs: [...ports, ...left.inputs],
    outputs: left.outputs(given, builder),
    ops: builder.ops,
  };
  const limits = indexLimits(module);
  const types = new Map(module.outputs.map((p) => [p.name, p.value.type]));
  const info: ModelInfo = {
    path,
    sha256,
    producer: [model.producerName, model.producerVersion].filter(Boolean).join(" "),
    opset,
    parameters: (graph.initializer ?? []).reduce((n, t) => n + elementsOf(t, path), 0),
    inputs: inputs.map((p) => ({
      ...specOf(p, dims),
      ...limits.get(p.name),
      ...(fixed.has(p.name) && { fixed: [...(set[p.name] ?? [])] }),
    })),
    outputs: outputs.map((p) => specOf(p, dims, types.get(p.name))),
    dims,
    free: [...freeDims(inputs).keys()],
  };
  const scopes = scopesOf(graph);
  return { module, store, info, remarks: builder.remarks, scopes, behind: left.behind };
}

/** Outputs that a branch or function was to define. Errors: A107. */
function undefinedOutput(name: string, path: string): never {
  const hint = "a function or branch of the model is damaged: export the model again";
  fail("A107", `nothing defines the graph output '${name}'`, inFile(path), hint);
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
  if (extent(type.shape) > MOST_ELEMENTS) {
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
export function readPorts(
  path: string,
  structure?: Structure,
): {
  readonly inputs: readonly PortSpec[];
  readonly outputs: readonly PortSpec[];
} {
  const { model } = structure ?? readStructure(path);
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

const versionsOf = ({ opsetImport }: ModelProto): ReadonlyMap<string, number> =>
  new Map((opsetImport ?? []).map((o) => [domainOf(o.domain), toInt(o.version as number)]));

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
