/** An ONNX file in the making: nodes and small constants in memory, weights beside it and only on disk. */

import { closeSync, ftruncateSync, openSync, writeFileSync, writeSync } from "node:fs";
import { basename } from "node:path";
import { codeOf } from "../../src/onnx/elem.ts";
import {
  type AttributeProto,
  type NodeProto,
  onnx,
  type TensorProto,
} from "../../src/onnx/proto.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { bytesPer, type Elem, sizeOf } from "../../src/tensor/tensor.ts";
import { fillRandom } from "./random.ts";

export type WeightElem = "f32" | "f16";

/** Also integers, whose scales the graph has. */
export type StoredElem = WeightElem | "i8" | "ui8";

/** `random`: every byte is written. `sparse`: the data file has its full size, and takes no room on disk. */
export type Contents = "random" | "sparse";

type AttrValue = number | string | readonly number[] | TensorProto;

interface External {
  readonly proto: TensorProto;
  readonly elem: StoredElem;
  readonly offset: number;
  readonly elements: number;
}

/** External data starts at pages, as exporters align it so that it can be mapped. */
const PAGE = 4096;

/** Elements written at a time. */
const CHUNK = 1 << 22;

const KIND = onnx.AttributeProto.AttributeType;

export class GraphFile {
  readonly elem: WeightElem;
  private readonly nodes: NodeProto[] = [];
  private readonly constants = new Map<string, TensorProto>();
  private readonly weights: External[] = [];
  private readonly ports = { input: [] as Port[], output: [] as Port[] };
  private size = 0;
  private parameterCount = 0;

  constructor(elem: WeightElem) {
    this.elem = elem;
  }

  /** Bytes of the data file. */
  get bytes(): number {
    return this.size;
  }

  get parameters(): number {
    return this.parameterCount;
  }

  input(name: string, elem: Elem, shape: Port["shape"]): string {
    this.ports.input.push({ name, elem, shape });
    return name;
  }

  output(name: string, elem: Elem, shape: Port["shape"]): void {
    this.ports.output.push({ name, elem, shape });
  }

  /** A trained parameter: external. Gives its name. */
  weight(name: string, shape: readonly number[], elem: StoredElem = this.elem): string {
    const elements = sizeOf(shape);
    const offset = Math.ceil(this.size / PAGE) * PAGE;
    const proto = { name, dataType: codeOf(elem), dims: [...shape] };
    this.weights.push({ proto, elem, offset, elements });
    this.size = offset + elements * bytesPer(elem);
    this.parameterCount += elements;
    return name;
  }

  /** A constant of few elements, in the file itself; equal ones are stored once. */
  constant(elem: Elem, shape: readonly number[], values: readonly number[]): string {
    const proto = toProto("", fromNumbers(elem, shape, values));
    const key = `${elem} ${shape} ${values}`;
    const known = this.constants.get(key);
    if (known) return known.name ?? "";
    const name = `val_${this.constants.size}`;
    this.constants.set(key, { ...proto, name });
    return name;
  }

  scalar(value: number, elem: Elem = this.elem): string {
    return this.constant(elem, [], [value]);
  }

  axes(...values: number[]): string {
    return this.constant("i64", [values.length], values);
  }

  /**
   * Adds a node and gives its first output, which is called after the node unless `outputs` says more. The type may
   * have a domain in front.
   */
  node(
    opType: string,
    name: string,
    inputs: readonly string[],
    attrs: Readonly<Record<string, AttrValue>> = {},
    outputs: readonly string[] = [`${name}_output_0`],
  ): string {
    const dot = opType.lastIndexOf(".");
    this.nodes.push({
      opType: opType.slice(dot + 1),
      domain: opType.slice(0, Math.max(0, dot)),
      name,
      input: [...inputs],
      output: [...outputs],
      attribute: Object.entries(attrs).map(([key, value]) => attribute(key, value)),
    });
    return outputs[0] ?? "";
  }

  /** Writes `path` and `path.data`. */
  write(path: string, contents: Contents): void {
    const location = `${basename(path)}.data`;
    writeFileSync(path, onnx.ModelProto.encode(this.model(location)).finish());
    const fd = openSync(`${path}.data`, "w");
    try {
      ftruncateSync(fd, this.size);
      if (contents === "random") {
        for (const [i, weight] of this.weights.entries()) writeWeight(fd, weight, i);
      }
    } finally {
      closeSync(fd);
    }
  }

  private model(location: string) {
    const external = this.weights.map(({ proto, elem, offset, elements }) => ({
      ...proto,
      dataLocation: onnx.TensorProto.DataLocation.EXTERNAL,
      externalData: [
        { key: "location", value: location },
        { key: "offset", value: String(offset) },
        { key: "length", value: String(elements * bytesPer(elem)) },
      ],
    }));
    return {
      irVersion: 8,
      producerName: "aimcc-bench",
      opsetImport: [
        { domain: "", version: 18 },
        { domain: "com.microsoft", version: 1 },
      ],
      graph: {
        name: "main_graph",
        node: this.nodes,
        initializer: [...external, ...this.constants.values()],
        input: this.ports.input.map(portProto),
        output: this.ports.output.map(portProto),
      },
    };
  }
}

interface Port {
  readonly name: string;
  readonly elem: Elem;
  readonly shape: readonly (number | string)[];
}

const portProto = ({ name, elem, shape }: Port) => ({
  name,
  type: {
    tensorType: {
      elemType: codeOf(elem),
      shape: {
        dim: shape.map((d) => (typeof d === "number" ? { dimValue: d } : { dimParam: d })),
      },
    },
  },
});

function attribute(name: string, value: AttrValue): AttributeProto {
  if (typeof value === "string") return { name, type: KIND.STRING, s: Buffer.from(value) };
  if (Array.isArray(value)) return { name, type: KIND.INTS, ints: [...value] };
  if (typeof value === "object") return { name, type: KIND.TENSOR, t: value as TensorProto };
  return Number.isInteger(value)
    ? { name, type: KIND.INT, i: value }
    : { name, type: KIND.FLOAT, f: value };
}

const CHUNKS = { f32: Float32Array, f16: Uint16Array, i8: Int8Array, ui8: Uint8Array };

/** Piece by piece: no more than a chunk of a weight is ever held. */
function writeWeight(fd: number, { elem, offset, elements }: External, index: number): void {
  const chunk = new CHUNKS[elem](CHUNK);
  for (let at = 0; at < elements; at += CHUNK) {
    const part = chunk.subarray(0, Math.min(CHUNK, elements - at));
    fillRandom(elem, part, index, at);
    const bytes = new Uint8Array(part.buffer, 0, part.byteLength);
    let done = 0;
    while (done < bytes.length) {
      const place = offset + at * bytesPer(elem) + done;
      done += writeSync(fd, bytes, done, bytes.length - done, place);
    }
  }
}
