/** Small models built message by message, so that a test can hold any shape of file. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { codeOf } from "../../src/onnx/elem.ts";
import {
  type AttributeProto,
  type GraphProto,
  type NodeProto,
  onnx,
} from "../../src/onnx/proto.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import type { Elem, Tensor } from "../../src/tensor/tensor.ts";

/** Holds the folders of a test run, and goes away with it. */
const root = mkdtempSync(join(tmpdir(), "aimcc-test-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

export const folder = (): string => mkdtempSync(join(root, "case-"));

export const port = (name: string, dims: readonly (number | string)[], elem: Elem = "f32") => ({
  name,
  type: {
    tensorType: {
      elemType: codeOf(elem),
      shape: {
        dim: dims.map((d) => (typeof d === "number" ? { dimValue: d } : { dimParam: d })),
      },
    },
  },
});

type Plain = number | string | readonly number[] | Tensor;

const KIND = onnx.AttributeProto.AttributeType;

/** An attribute from a plain value; a name that ends in `:f` is a float. */
function attribute(key: string, value: Plain): AttributeProto {
  const [name = "", float] = key.split(":");
  if (typeof value === "string") return { name, type: KIND.STRING, s: Buffer.from(value) };
  if (typeof value === "number") {
    return float ? { name, type: KIND.FLOAT, f: value } : { name, type: KIND.INT, i: value };
  }
  if ("elem" in value) return { name, type: KIND.TENSOR, t: toProto("", value) };
  return float
    ? { name, type: KIND.FLOATS, floats: [...value] }
    : { name, type: KIND.INTS, ints: [...value] };
}

export const node = (
  opType: string,
  input: readonly string[],
  output: readonly string[],
  attrs: Readonly<Record<string, Plain>> = {},
): NodeProto => ({
  opType,
  name: `${opType.toLowerCase()}_of_${output[0]}`,
  input: [...input],
  output: [...output],
  attribute: Object.entries(attrs).map(([k, v]) => attribute(k, v)),
});

export const encode = (graph: GraphProto, opset: number): Uint8Array =>
  onnx.ModelProto.encode({
    irVersion: 8,
    opsetImport: [{ domain: "", version: opset }],
    graph: { name: "small", ...graph },
  }).finish();

/** Writes the model into a folder of its own and gives its path. */
export function write(graph: GraphProto, opset = 17): string {
  const path = join(folder(), "model.onnx");
  writeFileSync(path, encode(graph, opset));
  return path;
}

/** Values that are neither regular nor random: i -> a spread of positive and negative numbers. */
export const ramp = (shape: readonly number[], elem: Elem = "f32"): Tensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  const values = Array.from({ length: size }, (_, i) => (((i * 37) % 41) - 20) / 8);
  return fromNumbers(elem, shape, values);
};
