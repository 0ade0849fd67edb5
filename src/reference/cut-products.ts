/**
 * Products of an original model with a constant that is too large for a piece (pieces.ts), as several products that
 * give some columns each. Every column is a sum of its own, so the answers are the same but for the order of sums, which
 * ONNX Runtime chooses by how many columns there are.
 */

import { externalSlice } from "../onnx/external.ts";
import type { ModelProto, NodeProto, TensorProto } from "../onnx/proto.ts";
import { leftOut } from "../onnx/skeleton.ts";
import { headOf, isExternal } from "../onnx/tensor-proto.ts";
import { isPacked } from "../tensor/nibbles.ts";
import { bytesPer, sizeOf } from "../tensor/tensor.ts";
import type { FileSlice } from "../weights/model-store.ts";
import { readRuns } from "../weights/read-runs.ts";

/** Part of a constant in a file: runs of bytes, one behind the other. */
interface Part {
  readonly proto: TensorProto;
  readonly path: string;
  readonly starts: () => readonly number[];
  readonly bytes: number;
}

export interface CutModel {
  readonly model: ModelProto;
  /** By name, the constants that are parts of the model's own. */
  readonly parts: ReadonlyMap<string, Part>;
}

/** A part of a constant with its values inside. */
export function withPartsValues({ proto, path, starts, bytes }: Part): TensorProto {
  const rawData = new Uint8Array(bytes);
  readRuns(path, starts(), rawData);
  return { ...proto, rawData };
}

/**
 * The model of a file with its large products cut, so that each reads at most so many bytes of float32 weights. Values
 * in `wanted` are still computed whole.
 */
export function cutProducts(
  model: ModelProto,
  path: string,
  constants: ReadonlyMap<string, TensorProto>,
  wanted: ReadonlySet<string>,
  bytes: number,
): CutModel {
  const cutter = new Cutter(model, path, constants, bytes);
  const all = model.graph?.node ?? [];
  const cut = all.flatMap((node) => cutter.cut(node));
  const read = new Set([...cut.flatMap((n) => n.input ?? []), ...wanted]);
  // What only made a constant real for a product that is in parts now.
  const node = cut.filter(
    (n) => !cutter.replaced.has(n.output?.[0] ?? "") || (n.output ?? []).some((o) => read.has(o)),
  );
  const initializer = [...(model.graph?.initializer ?? []), ...cutter.protos()];
  return { model: { ...model, graph: { ...model.graph, node, initializer } }, parts: cutter.parts };
}

/** Along which axis each operand of a product has the columns of its result; where absent, all are needed. */
type Columns = ReadonlyMap<number, number>;

const attrOf = (node: NodeProto, name: string): number =>
  Number(node.attribute?.find((a) => a.name === name)?.i ?? 0);

class Cutter {
  readonly parts = new Map<string, Part>();
  /** Values that products read whole before they were cut. */
  readonly replaced = new Set<string>();
  private readonly path: string;
  private readonly constants: ReadonlyMap<string, TensorProto>;
  private readonly makers: ReadonlyMap<string, NodeProto>;
  /** Elements of a part. */
  private readonly most: number;

  constructor(
    { graph }: ModelProto,
    path: string,
    constants: ReadonlyMap<string, TensorProto>,
    bytes: number,
  ) {
    this.path = path;
    this.constants = constants;
    this.most = bytes / Float32Array.BYTES_PER_ELEMENT;
    this.makers = new Map((graph?.node ?? []).map((n) => [n.output?.[0] ?? "", n]));
  }

  protos(): TensorProto[] {
    return [...this.parts.values()].map(({ proto }) => proto);
  }

  /** The node, or those that it is in parts. */
  cut(node: NodeProto): NodeProto[] {
    const [, weight = ""] = node.input ?? [];
    const shape = this.shapeOf(weight);
    const columns = shape && this.columnsOf(node, shape);
    const size = columns ? (shape[columns.get(1) ?? 0] ?? 1) : 1;
    if (!columns || sizeOf(shape) <= this.most || size === 1) return [node];
    const width = widthOf(size, (this.most * size) / sizeOf(shape));
    const made: NodeProto[] = [];
    const results: string[] = [];
    const [output = ""] = node.output ?? [];
    for (let first = 0; first < size; first += width) {
      const count = Math.min(width, size - first);
      const input = this.operands(node, columns, { first, count, size }, made);
      if (!input) return [node];
      results.push(`${output}#${first}`);
      const attribute = (node.attribute ?? []).map((a) =>
        a.name === "N" ? { ...a, i: count } : a,
      );
      made.push({
        ...node,
        name: `${node.name}#${first}`,
        input,
        attribute,
        output: results.slice(-1),
      });
    }
    for (const [i] of columns) this.replaced.add(node.input?.[i] ?? "");
    const axis = [{ name: "axis", type: INT, i: -1 }];
    return [...made, { opType: "Concat", input: results, output: [output], attribute: axis }];
  }

  /** Parts of the operands; null where one has none. */
  private operands(node: NodeProto, columns: Columns, range: Range, made: NodeProto[]) {
    const parts = (node.input ?? []).map((name, i) => {
      const axis = columns.get(i);
      return name === "" || axis === undefined ? name : this.part(name, axis, range, made);
    });
    return parts.every((p) => p !== null) ? parts : null;
  }

  /** Where the columns of a product's operands are; null for other operations. */
  private columnsOf(node: NodeProto, weight: readonly number[]): Columns | null {
    const last = weight.length - 1;
    const input = node.input ?? [];
    const lists = (...at: number[]) =>
      at.filter((i) => (this.shapeOf(input[i] ?? "")?.at(-1) ?? 1) > 1 || !this.isKnown(input[i]));
    const lastOf = (i: number) => Math.max(0, (this.shapeOf(input[i] ?? "")?.length ?? 1) - 1);
    if (last < 1) return null;
    switch (`${node.domain ?? ""}.${node.opType ?? ""}`) {
      case ".MatMul":
        return new Map([[1, last]]);
      case ".Gemm":
        return new Map([
          [1, attrOf(node, "transB") === 1 ? 0 : 1],
          ...lists(2).map((i) => [i, lastOf(i)] as const),
        ]);
      case ".MatMulInteger":
        return new Map([[1, last], ...lists(3).map((i) => [i, lastOf(i)] as const)]);
      case "com.microsoft.MatMulNBits":
        // Rows of all of them lie one behind the other; groups of columns are of the sum.
        return new Map([1, 2, 3, 5].filter((i) => input[i]).map((i) => [i, 0]));
      default:
        return null;
    }
  }

  private isKnown(name: string | undefined): boolean {
    return !name || this.shapeOf(name) !== null;
  }

  /** Of a constant, or of one that nodes make of it; null otherwise. */
  private shapeOf(name: string): readonly number[] | null {
    const proto = this.constants.get(name);
    if (proto) return headOf(proto, this.path).shape;
    const maker = this.makers.get(name);
    const inner = maker && isRewriting(maker) ? this.shapeOf(maker.input?.[0] ?? "") : null;
    const order = maker?.opType === "Transpose" ? inner && orderOf(maker, inner.length) : null;
    return order ? order.map((axis) => inner?.[axis] ?? 1) : inner;
  }

  /** The name of a part of a value along an axis; what has to be computed for it is added to `made`. */
  private part(name: string, axis: number, range: Range, made: NodeProto[]): string | null {
    const proto = this.constants.get(name);
    if (proto) return this.constantPart(name, proto, axis, range);
    const maker = this.makers.get(name);
    const shape = this.shapeOf(name);
    if (!maker || !shape) return null;
    const [first = "", ...more] = maker.input ?? [];
    const own = maker.opType === "Transpose" ? (orderOf(maker, shape.length)[axis] ?? 0) : axis;
    const scaled = maker.opType === "DequantizeLinear" ? this.scaleAxis(maker, own, shape) : -1;
    if (scaled === null) return null;
    const input = [
      this.part(first, own, range, made),
      ...more.map((n) => (scaled < 0 ? n : this.part(n, scaled, range, made))),
    ];
    if (!input.every((n) => n !== null)) return null;
    const output = [`${name}#${range.first}`];
    const isThere = made.some((n) => n.output?.[0] === output[0]);
    if (!isThere) made.push({ ...maker, name: `${maker.name}#${range.first}`, input, output });
    return output[0] ?? null;
  }

  /** Along which of its axes a list of scales goes with an axis: -1 where all are needed, null for blocks on it. */
  private scaleAxis(node: NodeProto, axis: number, shape: readonly number[]): number | null {
    const scales = this.shapeOf(node.input?.[1] ?? "");
    if (!scales) return null;
    const given = Number(node.attribute?.find((a) => a.name === "axis")?.i ?? 1);
    const along = given < 0 ? given + shape.length : given;
    if (sizeOf(scales) === 1) return -1;
    if (scales.length === 1) return along === axis ? 0 : -1;
    return along === axis ? null : axis;
  }

  private constantPart(name: string, proto: TensorProto, axis: number, range: Range) {
    const head = headOf(proto, this.path);
    const own = `${name}#${axis}#${range.first}`;
    const { shape, elem } = head;
    const unit = (shape[axis] ?? 1) / range.size;
    const place: FileSlice | null = isExternal(proto)
      ? externalSlice(proto, head, this.path)
      : leftOut(proto, this.path);
    if (!Number.isInteger(unit)) return null;
    if (!place || isPacked(elem)) return null;
    const step = sizeOf(shape.slice(axis)) * bytesPer(elem);
    const inner = sizeOf(shape.slice(axis + 1)) * unit * bytesPer(elem);
    const outer = sizeOf(shape.slice(0, axis));
    const dims = shape.with(axis, range.count * unit);
    this.parts.set(own, {
      proto: { name: own, dataType: proto.dataType ?? 0, dims: [...dims] },
      path: place.path,
      starts: () =>
        Array.from({ length: outer }, (_, i) => place.offset + i * step + range.first * inner),
      bytes: sizeOf(dims) * bytesPer(elem),
    });
    return own;
  }
}

/** Some of the columns. */
interface Range {
  readonly first: number;
  readonly count: number;
  /** All columns there are. */
  readonly size: number;
}

const INT = 2;

/** Columns of a part, at most about so many, all parts near-equal. */
const widthOf = (size: number, most: number): number =>
  Math.ceil(size / Math.max(1, Math.ceil(size / Math.max(1, most))));

/** Nodes that say a constant in another way, element by element. */
const isRewriting = ({ opType, domain }: NodeProto): boolean =>
  !domain && ["Cast", "Transpose", "DequantizeLinear"].includes(opType ?? "");

function orderOf(node: NodeProto, rank: number): readonly number[] {
  const given = node.attribute?.find((a) => a.name === "perm")?.ints;
  return given?.length ? given.map(Number) : Array.from({ length: rank }, (_, i) => rank - 1 - i);
}
