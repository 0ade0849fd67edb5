/**
 * The cores of a cluster over one memory: text that may only be read, the TCDM, and main memory. Cores run one after
 * the other, each for as long as it is told to; what they ask of the cluster is answered by who runs them.
 */

import { take } from "../riscv/fields.ts";
import { decode } from "../riscv/table.ts";
import { type Area, ClusterMemory, type Fault, type Held, LEAST_BYTES } from "./cluster-memory.ts";
import type { ClusterText } from "./cluster-text.ts";
import type { CoreTiming } from "./costs.ts";
import { type Exports, type Interpreter, instantiate, STATE, STOP } from "./interpreter.ts";
import { fetch, predecode } from "./predecode.ts";
import { HOT, Translator } from "./translate.ts";
import { timed } from "./translate-machine.ts";
import { vectorUses } from "./vector-use.ts";

const HART_BYTES = 2560;
const ALIGN = 64;
const ECALL_BYTES = 4;
const EXIT = [93, 94];
const [A0, A7] = [10, 17];

export interface ClusterShape {
  readonly cores: number;
  readonly tcdm: Area;
  readonly main: Area;
  readonly timing: CoreTiming;
  /** Stop at reads of the TCDM that nobody has written. It takes longer. */
  readonly checked: boolean;
  /** How often a branch leads backwards before what is there is translated; for tests. */
  readonly hot?: number;
}

/** Why a core has stopped. */
export type Stop =
  | { readonly kind: "budget" }
  | { readonly kind: "exit"; readonly status: number }
  /** An instruction that the cluster answers, with its operands. */
  | { readonly kind: "service"; readonly name: string; readonly a: number; readonly b: number }
  /** A word beyond all memory is read. */
  | { readonly kind: "read"; readonly address: number }
  /** A word beyond all memory is written. */
  | { readonly kind: "write"; readonly address: number; readonly value: number }
  | { readonly kind: "call"; readonly number: number }
  | Fault;

interface Core {
  readonly at: number;
  readonly x: Int32Array;
  readonly state: DataView;
  accesses: number;
}

export class Cluster {
  readonly text: ClusterText;
  private readonly shape: ClusterShape;
  private readonly call: Exports;
  private readonly cores: readonly Core[];
  private readonly memory: ClusterMemory;
  /** Null where all accesses are checked, which is the interpreter's. */
  private readonly translator: Translator | null;

  /** The program's segments have to lie in the text, the TCDM or main memory. */
  constructor(text: ClusterText, shape: ClusterShape) {
    this.text = text;
    this.shape = shape;
    const { cores, tcdm, main, checked } = shape;
    const sizes = [cores * HART_BYTES, text.records.length, text.bytes.length, tcdm.bytes];
    const all = [...sizes, main.bytes, checked ? tcdm.bytes : 0].map(aligned);
    const interpreter = instantiate(all.reduce((a, b) => a + b, ALIGN));
    const { call, free } = interpreter;
    let at = aligned(free);
    const places = all.map((bytes) => {
      at += bytes;
      return at - bytes;
    });
    const [harts = 0, records = 0, textAt = 0, tcdmAt = 0, mainAt = 0, shadowAt = 0] = places;
    const { buffer } = call.memory;
    new Uint8Array(buffer, records, text.records.length).set(text.records);
    const near = checked ? LEAST_BYTES : tcdm.bytes;
    call.configure(text.base, text.bytes.length, records, tcdm.base, near, tcdmAt, tcdm.base);
    const { far, takenBranch, vectorBytes, vectorQueue } = shape.timing;
    call.addRegion(tcdm.base, tcdm.bytes, tcdmAt, true, 0);
    call.addRegion(main.base, main.bytes, mainAt, true, far);
    call.addRegion(text.base, text.bytes.length, textAt, false, 0);
    call.timing(takenBranch, vectorBytes, vectorQueue);
    new Uint32Array(buffer, call.unitUses()).set(vectorUses(shape.timing));
    if (checked) call.shadow(tcdm.base, tcdm.bytes, shadowAt);
    this.translator = checked ? null : this.translation(interpreter, records, tcdmAt);
    if (this.translator) call.translateAt(shape.hot ?? HOT);
    this.call = call;
    this.cores = Array.from({ length: cores }, (_, i) => coreAt(buffer, harts + i * HART_BYTES, i));
    const view = (area: Area, place: number): Held => ({
      ...area,
      memory: new Uint8Array(buffer, place, area.bytes),
    });
    const shown = { base: text.base, bytes: text.bytes.length };
    this.memory = new ClusterMemory(
      [view(tcdm, tcdmAt), view(main, mainAt), view(shown, textAt)],
      checked ? new Uint8Array(buffer, shadowAt, tcdm.bytes) : null,
    );
    for (const { address, bytes, size } of text.program.segments) {
      this.memory.load(address, bytes, size);
    }
    for (const { state } of this.cores) state.setUint32(STATE.pc, text.program.entry, true);
  }

  private translation(interpreter: Interpreter, records: number, ramAt: number): Translator {
    const { base: textBase, translations } = this.text;
    const { base: ramBase, bytes: ramBytes } = this.shape.tcdm;
    const costs = new Uint8Array(interpreter.call.memory.buffer, records);
    const timing = timed(this.shape.timing, (pc) => costs[(pc - textBase) * 8 + 3]);
    const place = { textBase, records, ramBase, ramBytes, ramAt, writeBase: ramBase };
    // All text is decoded before it runs.
    const read = (pc: number) => this.instructionAt(pc);
    return new Translator(interpreter, { ...place, timing }, read, () => {}, translations);
  }

  /** Runs a core for about so many cycles at most. */
  run(core: number, cycles: number): Stop {
    const hart = this.core(core);
    const end = this.cycle(core) + cycles;
    for (;;) {
      const before = this.cycle(core);
      const cause = this.call.run(hart.at, end - before);
      hart.accesses += this.call.takeAccesses();
      if (cause === STOP.hot) {
        this.translator?.note(hart.state);
        continue;
      }
      if (cause === STOP.fetchFence) continue;
      if (cause !== STOP.decode) return this.stop(hart, cause);
      const at = this.pc(core) - this.text.base;
      // Text between two instructions, which a jump has led into.
      if (!this.decodeAt(at)) return { kind: "trap", cause: STOP.fetch, address: this.pc(core) };
      if (this.cycle(core) >= end) return { kind: "budget" };
    }
  }

  /** The program counter of a core. */
  pc(core: number): number {
    return this.core(core).state.getUint32(STATE.pc, true);
  }

  cycle(core: number): number {
    return Number(this.core(core).state.getBigUint64(STATE.retired, true));
  }

  /** Lets a core that has slept go on at a time. */
  wake(core: number, cycle: number): void {
    this.core(core).state.setBigUint64(STATE.retired, BigInt(cycle), true);
  }

  /** Loads and stores of a core since it was asked last. */
  takeAccesses(core: number): number {
    const hart = this.core(core);
    const { accesses } = hart;
    hart.accesses = 0;
    return accesses;
  }

  /** Completes the instruction that a core has stopped at, with its result and the time when it is done. */
  answer(core: number, value: number, cycle: number): void {
    const { x, state } = this.core(core);
    const pc = this.pc(core);
    const { word, bytes } = this.instructionAt(pc) ?? { word: 0, bytes: 0 };
    const rd = take("rd", word);
    if (rd !== 0 && !isStore(word)) x[rd] = value;
    state.setUint32(STATE.pc, pc + bytes, true);
    this.wake(core, cycle);
  }

  instructionAt(pc: number): { readonly word: number; readonly bytes: number } | null {
    const { bytes, base } = this.text;
    return fetch(new DataView(bytes.buffer), pc - base);
  }

  /** So many bytes from an address on that others than the cores may read; a fault where that is not so. */
  read(address: number, bytes: number): Uint8Array | Fault {
    return this.memory.read(address, bytes);
  }

  /** The same to write; what is written there is noted as such. */
  room(address: number, bytes: number): Uint8Array | Fault {
    return this.memory.room(address, bytes);
  }

  private core(core: number): Core {
    const found = this.cores[core];
    if (!found) throw new Error(`there is no core ${core}`);
    return found;
  }

  private decodeAt(at: number): boolean {
    const { bytes, records } = this.text;
    const { buffer } = this.call.memory;
    const harts = this.cores[0]?.at ?? 0;
    const place = harts + aligned(this.cores.length * HART_BYTES);
    const view = new DataView(buffer, place, records.length);
    return predecode(new DataView(bytes.buffer), at, view) > 0;
  }

  private stop(hart: Core, cause: number): Stop {
    const { x, state } = hart;
    if (cause === STOP.budget) return { kind: "budget" };
    if (cause === STOP.call) {
      const number = x[A7] ?? 0;
      if (EXIT.includes(number)) return { kind: "exit", status: (x[A0] ?? 0) & 0xff };
      state.setUint32(STATE.pc, state.getUint32(STATE.pc, true) - ECALL_BYTES, true);
      return { kind: "call", number };
    }
    const address = state.getUint32(STATE.value, true);
    const { word } = this.instructionAt(state.getUint32(STATE.pc, true)) ?? { word: 0 };
    const instruction = decode(word);
    if (cause === STOP.service) {
      const [a = 0, b = 0] = [x[take("rs1", word)], x[take("rs2", word)]];
      return { kind: "service", name: instruction?.name ?? "", a, b };
    }
    if (cause === STOP.load && instruction?.name === "lw") return { kind: "read", address };
    if (cause === STOP.store && isStore(word) && this.memory.isNowhere(address)) {
      return { kind: "write", address, value: x[take("rs2", word)] ?? 0 };
    }
    return { kind: "trap", cause, address };
  }
}

/** It has no result: where other instructions name their register, a store has a part of its offset. */
const isStore = (word: number): boolean => decode(word)?.name === "sw";

const aligned = (bytes: number): number => Math.ceil(bytes / ALIGN) * ALIGN;

function coreAt(buffer: ArrayBuffer, at: number, number: number): Core {
  const state = new DataView(buffer, at, HART_BYTES);
  state.setUint32(STATE.hart, number, true);
  return { at, x: new Int32Array(buffer, at, 32), state, accesses: 0 };
}
