/** NumPy's .npy and .npz files, as far as they hold what a model can take: little-endian, C order. */

import { inflateRawSync } from "node:zlib";
import { fail, inFile } from "../diag/diagnostic.ts";
import { bytesPer, type Elem, fromBytes, sizeOf, type Tensor } from "../tensor/tensor.ts";

const ELEMS: Readonly<Record<string, Elem>> = {
  "<f4": "f32",
  "<f8": "f64",
  "<f2": "f16",
  "<i8": "i64",
  "<i4": "i32",
  "<i2": "i16",
  "|i1": "i8",
  "<u8": "ui64",
  "<u4": "ui32",
  "<u2": "ui16",
  "|u1": "ui8",
  "|b1": "i1",
};

/** Format: numpy.lib.format, versions 1 to 3. Errors: A420 for a file that is not of this kind. */
export function readNpy(bytes: Uint8Array, path: string): Tensor {
  const broken = (text: string): never =>
    fail("A420", text, inFile(path), "save it with numpy.save, in little-endian C order");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = new TextDecoder("latin1");
  if (bytes.length < 12 || text.decode(bytes.subarray(0, 6)) !== "\u0093NUMPY") {
    return broken("not a .npy file");
  }
  const wide = (bytes[6] ?? 1) >= 2;
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const start = (wide ? 12 : 10) + length;
  const header = text.decode(bytes.subarray(wide ? 12 : 10, start));
  const descr = /'descr': '([^']*)'/.exec(header)?.[1] ?? "of several fields";
  const elem = ELEMS[descr];
  if (!elem) return broken(`element type ${descr} cannot be read`);
  if (!/'fortran_order': False/.test(header)) return broken("the array is in Fortran order");
  const dims = /'shape': \(([^)]*)\)/.exec(header)?.[1] ?? "";
  const shape = dims.split(",").flatMap((d) => (d.trim() === "" ? [] : [Number(d)]));
  const size = sizeOf(shape) * bytesPer(elem);
  const data = bytes.subarray(start, start + size);
  if (data.length !== size) return broken("the file is cut short");
  return fromBytes(elem, shape, data);
}

/** The arrays of an .npz by name. Errors: A420 for a file that is not of this kind. */
export function readNpz(bytes: Uint8Array, path: string): ReadonlyMap<string, Tensor> {
  const arrays = new Map<string, Tensor>();
  for (const [name, content] of unzip(Buffer.from(bytes), path)) {
    if (name.endsWith(".npy")) arrays.set(name.slice(0, -4), readNpy(content, `${path}:${name}`));
  }
  return arrays;
}

const END = 0x06054b50;
const CENTRAL = 0x02014b50;

/** Entries of a ZIP file, stored or deflated: PKWARE's APPNOTE 6.3, sections 4.3.7, 4.3.12 and 4.3.16. */
function* unzip(zip: Buffer, path: string): Generator<readonly [string, Uint8Array]> {
  const broken = () =>
    fail("A420", "not a .npz file", inFile(path), "save it with numpy.savez or savez_compressed");
  let end = zip.length - 22;
  while (end >= 0 && zip.readUInt32LE(end) !== END) end -= 1;
  if (end < 0) broken();
  let at = zip.readUInt32LE(end + 16);
  for (let n = zip.readUInt16LE(end + 10); n > 0; n -= 1) {
    if (at + 46 > zip.length || zip.readUInt32LE(at) !== CENTRAL) broken();
    const nameLength = zip.readUInt16LE(at + 28);
    const name = zip.toString("utf8", at + 46, at + 46 + nameLength);
    const local = zip.readUInt32LE(at + 42);
    const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    const packed = zip.subarray(start, start + zip.readUInt32LE(at + 20));
    yield [name, zip.readUInt16LE(at + 10) === 0 ? packed : inflateRawSync(packed)];
    at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
}
