/** A bare program in RISC-V user mode, with the calls of Linux that such programs need. */

import { fail, inFile } from "../diag/diagnostic.ts";
import type { Executable } from "../riscv/elf.ts";
import { instantiate, STATE, STOP } from "./interpreter.ts";
import { initialStack, type MemoryMap, mapMemory } from "./memory.ts";
import { fetch, predecode, RECORD_BYTES } from "./predecode.ts";
import { HOT, Translator } from "./translate.ts";
import { explainTrap } from "./trap.ts";

/** What a program sees of the world. */
export interface World {
  /** Called with what is written to standard output (1) and standard error (2). */
  write(stream: 1 | 2, bytes: Uint8Array): void;
  /** Up to so many bytes of standard input; none at its end. */
  read(most: number): Uint8Array;
}

const HART_BYTES = 2560;
/** Instructions that are decoded at once, from one that has not been. */
const AT_ONCE = 64;
/**
 * Instructions between two looks at the limit. V8 replaces its first, slow translation of the interpreter only when
 * that is called anew.
 */
const SLICE = 2 ** 20;

const CALL = { close: 57, lseek: 62, read: 63, write: 64, exit: 93, exitGroup: 94, brk: 214 };
const [EBADF, EFAULT, ESPIPE, ENOSYS] = [9, 14, 29, 38];
const [A0, A1, A2, A7] = [10, 11, 12, 17];

export class UserProgram {
  private readonly file: string;
  private readonly program: Executable;
  private readonly map: MemoryMap;
  private readonly world: World;
  private readonly execute: (budget: number) => number;
  private readonly x: Int32Array;
  private readonly state: DataView;
  private readonly ram: Uint8Array;
  private readonly text: DataView;
  private readonly records: DataView;
  private readonly translator: Translator;
  private brk: number;

  /** `args` are what the program gets as argv; `hot` is for tests that translate sooner. Errors: A605. */
  constructor(
    program: Executable,
    file: string,
    args: readonly string[],
    memoryMiB: number,
    world: World,
    hot = HOT,
  ) {
    const map = mapMemory(program, memoryMiB, file);
    const recordBytes = (map.textBytes / 2 + 4) * RECORD_BYTES;
    const interpreter = instantiate(HART_BYTES + recordBytes + map.bytes + 64);
    const { call, free } = interpreter;
    const recordsAt = free + HART_BYTES;
    const ramAt = Math.ceil((recordsAt + recordBytes) / 16) * 16;
    const { buffer } = call.memory;
    call.configure(
      map.textBase,
      map.textBytes,
      recordsAt,
      map.base,
      map.bytes,
      ramAt,
      map.writeBase,
    );
    this.file = file;
    this.program = program;
    this.map = map;
    this.world = world;
    this.brk = map.heap;
    this.execute = (budget) => call.run(free, budget);
    this.x = new Int32Array(buffer, free, 32);
    this.state = new DataView(buffer, free, HART_BYTES);
    this.ram = new Uint8Array(buffer, ramAt, map.bytes);
    this.text = new DataView(buffer, ramAt + map.textBase - map.base, map.textBytes);
    this.records = new DataView(buffer, recordsAt, recordBytes);
    const machine = {
      ...map,
      records: recordsAt,
      ramBase: map.base,
      ramBytes: map.bytes,
      ramAt,
    };
    const offset = (pc: number): number => pc - map.textBase;
    this.translator = new Translator(
      interpreter,
      machine,
      (pc) => fetch(this.text, offset(pc)),
      (pc) => this.decodeOne(offset(pc)),
    );
    call.translateAt(hot);
    for (const s of program.segments) this.ram.set(s.bytes, s.address - map.base);
    const { sp, bytes } = initialStack(args, map.base + map.bytes);
    this.ram.set(bytes, sp - map.base);
    this.x[2] = sp;
    this.state.setUint32(STATE.pc, program.entry, true);
  }

  /** Instructions that have been executed. */
  get retired(): number {
    return Number(this.state.getBigUint64(STATE.retired, true));
  }

  /** Runs to the end and gives the exit status. Errors: A603 for a trap, A604 at the limit. */
  run(instructions: number): number {
    while (this.retired < instructions) {
      const status = this.answer(this.execute(Math.min(SLICE, instructions - this.retired)));
      if (status !== null) return status;
    }
    const text = `the program has not ended after ${instructions} instructions`;
    return fail(
      "A604",
      text,
      inFile(this.file),
      "give a larger --instructions, or look for an endless loop",
    );
  }

  /** What a stop asks for; the exit status where the program has ended. */
  private answer(cause: number): number | null {
    if (cause === STOP.budget) return null;
    if (cause === STOP.call) return this.call();
    if (cause === STOP.fetchFence) {
      new Uint8Array(this.records.buffer, this.records.byteOffset, this.records.byteLength).fill(0);
      this.translator.forget();
      return null;
    }
    if (cause === STOP.hot) {
      this.translator.note(this.state);
      return null;
    }
    const pc = this.state.getUint32(STATE.pc, true);
    if (cause === STOP.decode && this.decodeFrom(pc)) return null;
    const value = cause === STOP.fetch ? this.state.getUint32(STATE.value, true) || pc : pc;
    const address = this.state.getUint32(STATE.value, true);
    return explainTrap({
      cause: cause === STOP.decode ? STOP.fetch : cause,
      pc,
      address: cause === STOP.fetch || cause === STOP.decode ? value : address,
      text: this.text,
      map: this.map,
      symbols: this.program.symbols,
      file: this.file,
    });
  }

  private decodeOne(at: number): void {
    if (this.records.getUint16((at / 2) * RECORD_BYTES, true) !== 0) return;
    predecode(this.text, at, this.records);
  }

  /** False where there is no text at the address. */
  private decodeFrom(pc: number): boolean {
    let at = pc - this.map.textBase;
    for (let n = 0; n < AT_ONCE; n++) {
      const bytes = predecode(this.text, at, this.records);
      if (bytes === 0) return n > 0;
      at += bytes;
    }
    return true;
  }

  private call(): number | null {
    const number = this.x[A7] ?? 0;
    if (number === CALL.exit || number === CALL.exitGroup) return (this.x[A0] ?? 0) & 0xff;
    this.x[A0] = this.result(number);
    return null;
  }

  private result(number: number): number {
    const [a0 = 0, a1 = 0, a2 = 0] = [this.x[A0], this.x[A1], this.x[A2]];
    switch (number) {
      case CALL.write:
        return this.write(a0, a1 >>> 0, a2 >>> 0);
      case CALL.read:
        return this.read(a0, a1 >>> 0, a2 >>> 0);
      case CALL.brk:
        return this.moveBreak(a0 >>> 0);
      case CALL.close:
        return a0 >= 0 && a0 <= 2 ? 0 : -EBADF;
      case CALL.lseek:
        return a0 >= 0 && a0 <= 2 ? -ESPIPE : -EBADF;
      default:
        return -ENOSYS;
    }
  }

  private write(stream: number, at: number, count: number): number {
    if (stream !== 1 && stream !== 2) return -EBADF;
    const bytes = this.bytesAt(at, count);
    if (bytes === null) return -EFAULT;
    this.world.write(stream, bytes.slice());
    return count;
  }

  private read(stream: number, at: number, count: number): number {
    if (stream !== 0) return -EBADF;
    const room = this.bytesAt(at, count);
    if (room === null || at < this.map.writeBase) return -EFAULT;
    const bytes = this.world.read(count);
    room.set(bytes);
    return bytes.length;
  }

  /** The heap grows up to half of the room, the rest is the stack's. */
  private moveBreak(to: number): number {
    const top = this.map.base + this.map.bytes;
    if (to >= this.map.heap && to <= (this.map.heap + top) / 2) this.brk = to;
    return this.brk;
  }

  private bytesAt(at: number, count: number): Uint8Array | null {
    const offset = at - this.map.base;
    if (offset < 0 || offset + count > this.map.bytes) return null;
    return this.ram.subarray(offset, offset + count);
  }
}
