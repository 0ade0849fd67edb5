/** The memory of a cluster, as others than its cores see it: text, TCDM and main memory, and what of the TCDM has been written. */

import { STOP } from "./interpreter.ts";

/** What is at hand at least: the interpreter compares with the size of memory less that of an access. */
export const LEAST_BYTES = 4;

/** An area of addresses. */
export interface Area {
  readonly base: number;
  readonly bytes: number;
}

export interface Fault {
  readonly kind: "trap";
  /** One of STOP. */
  readonly cause: number;
  /** The address at fault, where there is one. */
  readonly address: number;
}

/** An area of addresses with its bytes. */
export type Held = Area & { readonly memory: Uint8Array };

export class ClusterMemory {
  private readonly tcdm: Area;
  private readonly areas: readonly Held[];
  /** A byte for each of the TCDM, 1 where it has been written; null where that is not noted. */
  private readonly written: Uint8Array | null;

  /** The TCDM is the first of the areas. */
  constructor(areas: readonly [Held, ...Held[]], written: Uint8Array | null) {
    this.tcdm = areas[0];
    this.areas = areas;
    this.written = written;
    this.written?.fill(1, 0, LEAST_BYTES);
  }

  /** What a program begins with: the bytes, then zeros up to the size. */
  load(address: number, bytes: Uint8Array, size: number): void {
    this.bytesAt(address, size)?.set(bytes);
    this.note(address, size);
  }

  /** So many bytes from an address on that others than the cores may read; a fault where that is not so. */
  read(address: number, bytes: number): Uint8Array | Fault {
    const found = this.bytesAt(address, bytes);
    if (!found) return { kind: "trap", cause: STOP.load, address };
    const { base } = this.tcdm;
    const shadow = this.isTcdm(address) ? this.written : null;
    const hole = shadow?.subarray(address - base, address - base + bytes).indexOf(0) ?? -1;
    return hole < 0 ? found : { kind: "trap", cause: STOP.unwritten, address: address + hole };
  }

  /** The same to write; what is written there is noted as such. */
  room(address: number, bytes: number): Uint8Array | Fault {
    const found = address < this.tcdm.base ? null : this.bytesAt(address, bytes);
    if (!found) return { kind: "trap", cause: STOP.store, address };
    this.note(address, bytes);
    return found;
  }

  private note(address: number, bytes: number): void {
    const { base } = this.tcdm;
    if (this.isTcdm(address)) this.written?.fill(1, address - base, address - base + bytes);
  }

  private isTcdm(address: number): boolean {
    const { base, bytes } = this.tcdm;
    return address >= base && address < base + bytes;
  }

  /** Whether no area has the address. */
  isNowhere(address: number): boolean {
    return this.bytesAt(address, 1) === null;
  }

  private bytesAt(address: number, bytes: number): Uint8Array | null {
    const area = this.areas.find((a) => address >= a.base && address + bytes <= a.base + a.bytes);
    return area ? area.memory.subarray(address - area.base, address - area.base + bytes) : null;
  }
}
