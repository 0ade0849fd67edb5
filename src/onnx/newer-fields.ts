/**
 * Fields of onnx.proto that are newer than the package that decodes it: a node's and a function's overload and the
 * notes that exporters leave beside nodes (IR version 10), and the attributes of functions that have defaults (IR
 * version 9). Its decoders skip them; here they
 * are read from the same bytes and added to what it gives.
 */

import type onnxProto from "onnx-proto";
import protobuf from "protobufjs/minimal.js";

/** Field numbers, from onnx.proto. */
const NODE = { overload: 8, metadataProps: 9 } as const;
const FUNCTION = { attributeProto: 11, overload: 13 } as const;

type Reader = protobuf.Reader;
type Onnx = typeof onnxProto.onnx;
type AttributeProto = onnxProto.onnx.IAttributeProto;
type Read = (message: object, field: number, reader: Reader) => boolean;

/** Notes that say in which module of the network a node is: PyTorch's exporter, 2.5 and later. */
const SCOPES: ReadonlySet<string> = new Set(["pkg.torch.onnx.name_scopes", "namespace"]);

const readNode =
  (onnx: Onnx): Read =>
  (message, field, reader) => {
    if (field === NODE.overload) {
      Object.assign(message, { overload: reader.string() });
      return true;
    }
    if (field !== NODE.metadataProps) return false;
    const { key, value } = onnx.StringStringEntryProto.decode(reader, reader.uint32());
    // Others hold whole stack traces, for every node.
    if (key && SCOPES.has(key)) {
      const made = message as { scopes?: Record<string, string> };
      made.scopes = { ...made.scopes, [key]: value ?? "" };
    }
    return true;
  };

const readFunction =
  (onnx: Onnx): Read =>
  (message, field, reader) => {
    if (field === FUNCTION.overload) {
      Object.assign(message, { overload: reader.string() });
      return true;
    }
    if (field !== FUNCTION.attributeProto) return false;
    const made = message as { attributeProto?: AttributeProto[] };
    made.attributeProto ??= [];
    made.attributeProto.push(onnx.AttributeProto.decode(reader, reader.uint32()));
    return true;
  };

interface Decoder {
  decode(reader: Reader | Uint8Array, length?: number): object;
}

/** Makes the package's decoder of one kind of message read further fields. */
function extend(decoder: Decoder, read: Read): void {
  const decode = decoder.decode.bind(decoder);
  decoder.decode = (source, length) => {
    const reader = source instanceof protobuf.Reader ? source : protobuf.Reader.create(source);
    const start = reader.pos;
    const message = decode(reader, length);
    const end = reader.pos;
    reader.pos = start;
    while (reader.pos < end) {
      const tag = reader.uint32();
      if (!read(message, tag >>> 3, reader)) reader.skipType(tag & 7);
    }
    return message;
  };
}

/** The package's messages, with decoders that read the newer fields too. */
export function withNewerFields(onnx: Onnx): Onnx {
  extend(onnx.NodeProto as Decoder, readNode(onnx));
  extend(onnx.FunctionProto as Decoder, readFunction(onnx));
  return onnx;
}
