/** Damage to the bytes of a file: what a broken download, a bad disk or an attacker makes of it. */

import fc from "fast-check";

const KINDS = ["cut", "flip", "set", "insert", "delete", "repeat", "move", "zero"] as const;

/** Plain data, so that a failing case can be printed and given back. Numbers wrap around the length. */
export interface ByteEdit {
  readonly kind: (typeof KINDS)[number];
  readonly at: number;
  readonly length: number;
  readonly value: number;
}

const byteEdit: fc.Arbitrary<ByteEdit> = fc.record({
  kind: fc.constantFrom(...KINDS),
  at: fc.nat(2 ** 24),
  length: fc.oneof(fc.nat(8), fc.nat(300)),
  value: fc.oneof(fc.constantFrom(0, 1, 127, 128, 255), fc.nat(255)),
});

export const byteEdits = fc.array(byteEdit, { minLength: 1, maxLength: 4 });

export const damage = (bytes: Buffer, edits: readonly ByteEdit[]): Buffer =>
  edits.reduce(applyOne, bytes);

function applyOne(bytes: Buffer, { kind, at: anywhere, length, value }: ByteEdit): Buffer {
  if (bytes.length === 0) return bytes;
  const at = anywhere % bytes.length;
  const end = Math.min(bytes.length, at + length);
  const [before, range, after] = [
    bytes.subarray(0, at),
    bytes.subarray(at, end),
    bytes.subarray(end),
  ];
  const filled = (n: number): Buffer => Buffer.alloc(n, value);
  switch (kind) {
    case "cut":
      return before;
    case "flip":
      return patched(bytes, at, (bytes[at] ?? 0) ^ (1 << (value & 7)));
    case "set":
      return patched(bytes, at, value);
    case "insert":
      return Buffer.concat([before, filled(length), bytes.subarray(at)]);
    case "delete":
      return Buffer.concat([before, after]);
    case "repeat":
      return Buffer.concat([before, range, range, after]);
    case "move":
      return Buffer.concat([range, before, after]);
    case "zero":
      return Buffer.concat([before, Buffer.alloc(range.length), after]);
  }
}

function patched(bytes: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = value;
  return copy;
}
