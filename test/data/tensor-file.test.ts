import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { expect, test } from "vitest";
import { readTensorFile, writeProtoFile } from "../../src/data/tensor-file.ts";
import { InputError } from "../../src/diag/diagnostic.ts";

const folder = mkdtempSync(join(tmpdir(), "aimcc-"));

/** A .npy file of version 1.0, byte by byte as numpy.lib.format describes it. */
function npy(header: string, data: Uint8Array): Buffer {
  const text = header.padEnd(118 - 1).concat("\n");
  const head = Buffer.alloc(10);
  head.write("\u0093NUMPY", "latin1");
  head.writeUInt8(1, 6);
  head.writeUInt16LE(text.length, 8);
  return Buffer.concat([head, Buffer.from(text, "latin1"), data]);
}

const floats = npy(
  "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
  new Uint8Array(Float32Array.of(1, -2, 3.5, 0, 1e9, -0.25).buffer),
);

test("an .npy array", () => {
  writeFileSync(join(folder, "a.npy"), floats);
  const [read] = readTensorFile(join(folder, "a.npy"));
  expect(read?.value).toEqual({
    elem: "f32",
    shape: [2, 3],
    data: Float32Array.of(1, -2, 3.5, 0, 1e9, -0.25),
  });
});

/** The smallest ZIP that numpy.savez_compressed would write: one deflated entry. */
function zip(name: string, content: Buffer): Buffer {
  const packed = deflateRawSync(content);
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(8, 8);
  local.writeUInt16LE(name.length, 26);
  const central = Buffer.alloc(46);
  central.writeUInt32LE(0x02014b50, 0);
  central.writeUInt16LE(8, 10);
  central.writeUInt32LE(packed.length, 20);
  central.writeUInt32LE(content.length, 24);
  central.writeUInt16LE(name.length, 28);
  const start = 30 + name.length + packed.length;
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(46 + name.length, 12);
  end.writeUInt32LE(start, 16);
  const title = Buffer.from(name);
  return Buffer.concat([local, title, packed, central, title, end]);
}

test("the arrays of an .npz, deflated", () => {
  writeFileSync(join(folder, "b.npz"), zip("x.npy", floats));
  const read = readTensorFile(join(folder, "b.npz"));
  expect(read.map((r) => [r.name, r.value.shape])).toEqual([["x", [2, 3]]]);
});

test("what is written as .pb is read back", () => {
  const value = { elem: "i64", shape: [3], data: BigInt64Array.of(1n, -2n, 2n ** 40n) } as const;
  writeProtoFile(join(folder, "c.pb"), "ids", value);
  expect(readTensorFile(join(folder, "c.pb"))).toEqual([{ name: "ids", value }]);
});

test.each([
  ["a cut .npy", "cut.npy", floats.subarray(0, 140)],
  ["another file called .npz", "other.npz", Buffer.from("not a zip file at all, really")],
  ["text called .pb", "text.pb", Buffer.from("hello")],
  ["an unknown ending", "a.txt", Buffer.from("1 2 3")],
])("%s is refused", (_, name, content) => {
  writeFileSync(join(folder, name), content);
  expect(() => readTensorFile(join(folder, name))).toThrow(InputError);
});

test("a missing file is refused", () => {
  expect(() => readTensorFile(join(folder, "none.pb"))).toThrow(/A421/);
});
