/** Every element type in every encoding that TensorProto has. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { codeOf } from "../../src/onnx/elem.ts";
import { onnx, type TensorProto } from "../../src/onnx/proto.ts";
import { bytesForFile, tensorOf, toProto } from "../../src/onnx/tensor-proto.ts";
import { isPacked, packNibbles } from "../../src/tensor/nibbles.ts";
import {
  bytesPer,
  ELEMS,
  type Elem,
  fromBytes,
  type Tensor,
  toBytes,
} from "../../src/tensor/tensor.ts";
import { folder } from "./small-model.ts";

const tensors: fc.Arbitrary<Tensor> = fc
  .tuple(fc.constantFrom(...ELEMS), fc.array(fc.nat(4), { maxLength: 3 }))
  .chain(([elem, shape]) => {
    const size = shape.reduce((a, b) => a * b, 1) * bytesPer(elem);
    const byte = elem === "i1" ? fc.nat(1) : isPacked(elem) ? fc.nat(15) : fc.nat(255);
    const low = elem === "i4" ? 8 : 0;
    return fc.array(byte, { minLength: size, maxLength: size }).map((bytes) =>
      fromBytes(
        elem,
        shape,
        Uint8Array.from(bytes, (b) => b - low),
      ),
    );
  });

/** The field that onnx.proto prescribes for each element type. */
function typed(t: Tensor): TensorProto {
  const head = { dataType: codeOf(t.elem), dims: [...t.shape] };
  const text = Array.from(t.data as Iterable<number | bigint>, String);
  const fields: Partial<Record<Elem, string>> = {
    f32: "floatData",
    f64: "doubleData",
    i64: "int64Data",
    ui64: "uint64Data",
    ui32: "uint64Data",
  };
  const field = fields[t.elem] ?? "int32Data";
  // From text, because that is how protobufjs takes 64-bit numbers without losing digits.
  const raw = isPacked(t.elem) ? packNibbles(t.data) : t.data;
  const values = /64Data/.test(field) ? text : Array.from(raw as Iterable<number>);
  return onnx.TensorProto.fromObject({ ...head, [field]: values });
}

const decoded = (proto: TensorProto): TensorProto =>
  onnx.TensorProto.decode(onnx.TensorProto.encode(proto).finish());

/** NaNs of a float32 may lose their payload on the way through a double; their bits are not compared. */
const hasNan = (t: Tensor): boolean =>
  (t.elem === "f32" || t.elem === "f64") && (t.data as Float32Array).some(Number.isNaN);

test("raw bytes come back", () => {
  fc.assert(
    fc.property(tensors, (t) => {
      expect(tensorOf(decoded(toProto("t", t)), "t.pb")).toEqual(t);
    }),
  );
});

test("typed fields come back", () => {
  fc.assert(
    fc.property(tensors, (t) => {
      fc.pre(!hasNan(t));
      const back = tensorOf(decoded(typed(t)), "t.pb");
      expect(back.shape).toEqual(t.shape);
      expect(Buffer.from(toBytes(back)).toString("hex")).toBe(
        Buffer.from(toBytes(t)).toString("hex"),
      );
    }),
  );
});

test("external data comes back from its place in the file", () => {
  const dir = folder();
  fc.assert(
    fc.property(tensors, fc.nat(100), (t, offset) => {
      writeFileSync(join(dir, "data"), Buffer.concat([Buffer.alloc(offset, 7), bytesForFile(t)]));
      const place = { location: "data", offset, length: bytesForFile(t).length };
      const proto = {
        dataType: codeOf(t.elem),
        dims: [...t.shape],
        dataLocation: onnx.TensorProto.DataLocation.EXTERNAL,
        externalData: Object.entries(place).map(([key, v]) => ({ key, value: String(v) })),
      };
      expect(tensorOf(decoded(proto), join(dir, "model.onnx"))).toEqual(t);
    }),
    { numRuns: 30 },
  );
});
