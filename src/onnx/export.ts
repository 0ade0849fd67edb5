/**
 * Writes a module of any level as an ONNX model (opset 23): each operation adds the nodes that its
 * record says it means. What ONNX Runtime computes from the result is what the module means.
 */

import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { basename } from "node:path";
import { type Attr, isTensorAttr, isWeightRef, type Module, type Op, type Port } from "../ir/op.ts";
import { defOf } from "../ir/registry.ts";
import { bytesPer, sizeOf, type Tensor, type TensorType } from "../tensor/tensor.ts";
import type { WeightStore } from "../weights/store.ts";
import { writeBeside } from "./beside.ts";
import { codeOf } from "./elem.ts";
import { type Constant, GraphWriter } from "./graph-writer.ts";
import { nameValues } from "./names.ts";
import {
  type ModelProto,
  type NodeProto,
  onnx,
  type TensorProto,
  type ValueInfoProto,
} from "./proto.ts";
import { bytesForFile, toProto } from "./tensor-proto.ts";

/** The operator set that exported models use, and the one for operators that it does not have yet. */
const OPSET = 23;
const NEXT_OPSET = 24;
/** The first version of the file format that knows opset 23. */
const IR_VERSION = 10;
/** Protobuf messages end at 2 GiB; beyond this many bytes of weights they get a file of their own. */
const INLINE_BYTES = 1.5e9;
/** What ONNX Runtime wants to know when it opens a file, such as shapes, is no larger than this and stays inside. */
const SMALL_BYTES = 1024;
/** One system call moves less than 2 GiB. */
const AT_ONCE = 2 ** 30;
/** External data starts at multiples of this, so that it can be mapped into memory. */
const ALIGNMENT = 4096;

interface ExportOptions {
  /** Weights of more bytes than this in total are written beside the model. */
  readonly inlineBytes?: number;
  /** What becomes of the model before it is written. */
  readonly change?: (model: ModelProto) => ModelProto;
}

/** The module as bytes of an ONNX file, with all weights inside. */
export function exportModule(module: Module, store: WeightStore): Uint8Array {
  const { graph, constants } = writeGraph(module);
  const initializers = constants.map(({ name, attr }) => toProto(name, valuesOf(attr, store)));
  return bytesOfModel(modelOf(module, graph, initializers));
}

/** Whether the module with all weights inside is too large for `exportModule`. */
export const needsDataFile = (module: Module): boolean =>
  totalBytes(writeGraph(module).constants) > INLINE_BYTES;

/**
 * Writes `path`, and `path.data` beside it when the weights are too large for one message: both, or on a failure
 * neither.
 */
export function exportModuleToFile(
  module: Module,
  store: WeightStore,
  path: string,
  { inlineBytes = INLINE_BYTES, change = (model) => model }: ExportOptions = {},
): void {
  const { graph, constants } = writeGraph(module);
  const data = `${path}.data`;
  writeBeside([data, path], ([dataPlace = "", place = ""]) => {
    const initializers =
      totalBytes(constants) <= inlineBytes
        ? constants.map(({ name, attr }) => toProto(name, valuesOf(attr, store)))
        : writeExternal(constants, store, dataPlace, basename(data));
    writeFileSync(place, bytesOfModel(change(modelOf(module, graph, initializers))));
  });
}

/** Writes the constants one by one, holding one of them at a time; the small ones stay inline. The model will know the file as `location`. */
function writeExternal(
  constants: readonly Constant[],
  store: WeightStore,
  path: string,
  location: string,
): TensorProto[] {
  const fd = openSync(path, "w");
  let offset = 0;
  try {
    return constants.map(({ name, attr }) => {
      const value = valuesOf(attr, store);
      if (isTensorAttr(attr) && bytesOf(attr) <= SMALL_BYTES) return toProto(name, value);
      const bytes = bytesForFile(value);
      const place = { location, offset, length: bytes.length };
      for (let done = 0; done < bytes.length; ) {
        const length = Math.min(AT_ONCE, bytes.length - done);
        done += writeSync(fd, bytes, done, length, offset + done);
      }
      offset = Math.ceil((offset + bytes.length) / ALIGNMENT) * ALIGNMENT;
      return {
        name,
        dataType: codeOf(value.elem),
        dims: [...value.shape],
        dataLocation: onnx.TensorProto.DataLocation.EXTERNAL,
        externalData: Object.entries(place).map(([key, v]) => ({ key, value: String(v) })),
      };
    });
  } finally {
    closeSync(fd);
  }
}

function writeGraph(module: Module): {
  readonly graph: GraphWriter;
  readonly constants: readonly Constant[];
} {
  const names = nameValues(module);
  const graph = new GraphWriter(new Set(names.values()));
  const nameOf = (v: Op["operands"][number]): string => (v === null ? "" : (names.get(v) ?? ""));
  for (const op of module.ops) {
    const outputs = op.results.map(nameOf);
    const value = op.attrs["value"];
    if (op.kind === "onnx.Constant" && value !== undefined) {
      graph.namedConstant(outputs[0] ?? "", value);
      continue;
    }
    graph.from(op.origin);
    defOf(op.kind).toOnnx(op, graph, op.operands.map(nameOf), outputs);
  }
  for (const { name, value } of module.outputs) {
    const source = nameOf(value);
    if (source !== name) graph.node("Identity", [source], {}, { outputs: [name] });
  }
  return { graph, constants: graph.constants };
}

const bytesOfModel = (model: ModelProto): Uint8Array => onnx.ModelProto.encode(model).finish();

function modelOf(module: Module, graph: GraphWriter, initializer: TensorProto[]): ModelProto {
  const domains = [...graph.domains].filter((d) => d !== "").sort();
  return {
    irVersion: IR_VERSION,
    producerName: "aimcc",
    opsetImport: [
      { domain: "", version: graph.nodes.some(isNew) ? NEXT_OPSET : OPSET },
      ...domains.map((domain) => ({ domain, version: 1 })),
    ],
    graph: {
      name: module.name,
      node: [...graph.nodes],
      initializer,
      input: module.inputs.map(portInfo),
      output: module.outputs.map(portInfo),
    },
  };
}

/** Opset 24 added these, and Attention's seventh input; it changed the meaning of nothing else. */
const isNew = ({ opType, domain, input }: NodeProto): boolean =>
  domain === "" &&
  (opType === "Swish" ||
    opType === "TensorScatter" ||
    (opType === "Attention" && (input?.length ?? 0) > 6));

function portInfo({ name, value }: Port): ValueInfoProto {
  const dim = value.type.shape.map((d) => (d === null ? {} : { dimValue: d }));
  return { name, type: { tensorType: { elemType: codeOf(value.type.elem), shape: { dim } } } };
}

function typeOf(attr: Attr): TensorType & { readonly shape: readonly number[] } {
  if (isWeightRef(attr)) return attr.type;
  if (isTensorAttr(attr)) return attr;
  throw new Error("not a constant");
}

const totalBytes = (constants: readonly Constant[]): number =>
  constants.reduce((n, c) => n + bytesOf(typeOf(c.attr)), 0);

const bytesOf = (type: ReturnType<typeof typeOf>): number =>
  sizeOf(type.shape) * bytesPer(type.elem);

function valuesOf(attr: Attr, store: WeightStore): Tensor {
  if (isWeightRef(attr)) return store.load(attr);
  if (isTensorAttr(attr)) return attr;
  throw new Error("not a constant");
}
