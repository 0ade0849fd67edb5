/** The text of a cluster's program, decoded once for all clusters that run it. */

import { type Executable, MAY } from "../riscv/elf.ts";
import { type CoreTiming, costsOf } from "./costs.ts";
import { predecode, RECORD_BYTES } from "./predecode.ts";
import type { Modules } from "./translate.ts";

/** A program that has been decoded: clusters with the same one share it. */
export interface ClusterText {
  readonly program: Executable;
  readonly base: number;
  readonly bytes: Uint8Array;
  readonly records: Uint8Array;
  readonly translations: Modules;
}

/** The program has text: a segment that may not be written. */
export function clusterText(program: Executable, timing: CoreTiming): ClusterText {
  const parts = program.segments.filter((s) => !(s.may & MAY.write));
  const base = Math.min(...parts.map((s) => s.address));
  const bytes = new Uint8Array(Math.max(...parts.map((s) => s.address + s.size)) - base);
  for (const s of parts) bytes.set(s.bytes, s.address - base);
  const text = new DataView(bytes.buffer);
  const records = new DataView(new ArrayBuffer((bytes.length / 2 + 4) * RECORD_BYTES));
  const costs = costsOf(text, timing);
  for (const [half, cost] of costs.entries()) {
    if (cost === 0) continue;
    predecode(text, half * 2, records);
    records.setUint8(half * RECORD_BYTES + 3, cost);
  }
  const translations: Modules = new Map();
  return { program, base, bytes, records: new Uint8Array(records.buffer), translations };
}
