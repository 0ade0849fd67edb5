/** The safetensors format, held against its published layout. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { isPacked } from "../../src/tensor/nibbles.ts";
import { bytesPer, ELEMS, fromBytes, type Tensor } from "../../src/tensor/tensor.ts";
import {
  openSafetensors,
  readSafetensors,
  writeSafetensors,
} from "../../src/weights/safetensors.ts";
import { folder } from "../onnx/small-model.ts";

function save(tensors: ReadonlyMap<string, Tensor>, metadata = {}): string {
  const path = join(folder(), "t.safetensors");
  const specs = [...tensors].map(([name, t]) => ({ name, elem: t.elem, shape: t.shape }));
  writeSafetensors(path, specs, ({ name }) => tensors.get(name) as Tensor, metadata);
  return path;
}

/** The format as its page says, read without our reader. */
function parse(path: string) {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + length)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  return { header, data: bytes.subarray(8 + length), length };
}

const tensors = fc
  .tuple(
    fc.constantFrom(...ELEMS.filter((e) => !isPacked(e))),
    fc.array(fc.nat(3), { maxLength: 3 }),
  )
  .chain(([elem, shape]) => {
    const size = shape.reduce((a, b) => a * b, 1) * bytesPer(elem);
    return fc
      .uint8Array({ minLength: size, maxLength: size })
      .map((bytes) => fromBytes(elem, shape, bytes));
  });
const names = fc.oneof(fc.string({ minLength: 1 }), fc.constantFrom("10", "9", "__proto__", 'a"b'));

test("4-bit integers, which the format does not know, take a byte each", () => {
  const codes: Tensor = { elem: "i4", shape: [3], data: Int8Array.of(-8, 0, 7) };
  const path = save(new Map([["codes", codes]]));
  expect(parse(path).header["codes"]?.dtype).toBe("I8");
  expect(readSafetensors(path).get("codes")).toEqual({ ...codes, elem: "i8" });
});

test("what is written is read", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(names, tensors)), (entries) => {
      fc.pre(!entries.some(([name]) => name === "__metadata__"));
      const map = new Map(entries);
      const back = readSafetensors(save(map));
      expect(back.size).toBe(map.size);
      for (const [name, t] of map) expect(back.get(name)).toEqual(t);
    }),
  );
});

test("the bytes are where the header says, aligned and without gaps", () => {
  const path = save(
    new Map([
      ["flags", fromNumbers("i1", [3], [1, 0, 1])],
      ["w", fromNumbers("f32", [2, 2], [1, 2, 3, 4])],
      ["ids", fromNumbers("i64", [1], [-7])],
      ["h", fromNumbers("f16", [2], [1, -1])],
    ]),
    { format: "pt" },
  );
  const { header, data, length } = parse(path);
  expect(length % 8).toBe(0);
  expect(header["__metadata__"]).toEqual({ format: "pt" });
  expect(header["ids"]).toEqual({ dtype: "I64", shape: [1], data_offsets: [0, 8] });
  expect(header["w"]).toEqual({ dtype: "F32", shape: [2, 2], data_offsets: [8, 24] });
  expect(header["h"]).toEqual({ dtype: "F16", shape: [2], data_offsets: [24, 28] });
  expect(header["flags"]).toEqual({ dtype: "BOOL", shape: [3], data_offsets: [28, 31] });
  expect(data.length).toBe(31);
  expect(data.readFloatLE(8 + 12)).toBe(4);
  expect(data.readBigInt64LE(0)).toBe(-7n);
});

test("the order of writing does not matter", () => {
  const entries: [string, Tensor][] = ["b", "a", "c"].map((n, i) => [
    n,
    fromNumbers("f32", [1], [i]),
  ]);
  const forward = save(new Map(entries));
  const backward = save(new Map([...entries].reverse()));
  expect(readFileSync(forward)).toEqual(readFileSync(backward));
});

test("rows are read without the rest", () => {
  const t = fromNumbers(
    "f32",
    [4, 3],
    Array.from({ length: 12 }, (_, i) => i),
  );
  const file = openSafetensors(save(new Map([["t", t]])));
  expect(file.loadRows("t", 1, 3)).toEqual(fromNumbers("f32", [2, 3], [3, 4, 5, 6, 7, 8]));
  expect(() => file.load("gone")).toThrow(/A130.*gone/);
});

test("damaged files are refused with the code of this format", () => {
  const good = readFileSync(save(new Map([["t", fromNumbers("f32", [2], [1, 2])]])));
  const path = join(folder(), "bad.safetensors");
  for (let length = 0; length < good.length; length++) {
    writeFileSync(path, good.subarray(0, length));
    expect(() => readSafetensors(path)).toThrow(/A130/);
  }
  const withHeader = (header: unknown) => {
    const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(json.length));
    writeFileSync(path, Buffer.concat([size, json, Buffer.alloc(8)]));
  };
  const entry = { dtype: "F32", shape: [2], data_offsets: [0, 8] };
  const bad = [
    "[",
    "null",
    { t: null },
    { t: { ...entry, dtype: "F7" } },
    { t: { ...entry, shape: [3] } },
    { t: { ...entry, shape: [-2] } },
    { t: { ...entry, data_offsets: [8, 16] } },
    { t: { ...entry, data_offsets: [-8, 0] } },
  ];
  for (const header of bad) {
    withHeader(header);
    expect(() => readSafetensors(path)).toThrow(/A130/);
  }
  expect(() => readSafetensors("nowhere.safetensors")).toThrow(/A130/);
});
