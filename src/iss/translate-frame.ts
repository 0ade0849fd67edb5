/**
 * What the emitters of instructions write to: the body of a translation, with the registers of the hart in locals.
 * They are loaded where the translation begins and stored where it is left.
 */

import { STATE } from "./interpreter.ts";
import { BudgetCode } from "./translate-budget.ts";
import { type Lent, Locals } from "./translate-locals.ts";
import {
  type Configuration,
  HART,
  helperNumber,
  LEFT,
  type Machine,
  PARAMETERS,
} from "./translate-machine.ts";
import type { Step } from "./translate-region.ts";
import { StreamCode } from "./translate-stream-code.ts";
import { isFloat, placeOf } from "./translate-streams.ts";
import { Code, TYPE, type ValueType } from "./wasm-emit.ts";

/** From here on the status of floats has a reserved rounding mode. */
const RESERVED = 5 << 5;

export class Frame {
  readonly code = new Code();
  readonly machine: Machine;
  private readonly own = new Locals(PARAMETERS.length);
  /** Where to go on. */
  private readonly pc = this.own.add(TYPE.i32);
  /** FAST of state.as.ts: how many magnitudes from 0x00800001 on are results of the machine's own. */
  readonly span = this.own.add(TYPE.i32);
  /** vtype in the lower half and vl in the upper one; -1 where vector operations are not as usual. */
  readonly shape = this.own.add(TYPE.i32);
  /** What is expected where the present instruction is; null is nothing. */
  configuration: Configuration | null;
  private readonly registers = new Map<number, number>();
  private readonly written = new Set<number>();
  private readonly ofInstruction: Lent[] = [];
  private readonly ofBlock: Lent[] = [];
  private readonly exit: number;
  readonly budget: BudgetCode;
  readonly streams = new StreamCode(this);

  /** Begins at an address, with streams enabled or not; the configuration is the hart's. */
  constructor(
    machine: Machine,
    { pc, streams }: { readonly pc: number; readonly streams: boolean },
    steps: readonly Step[],
    configuration: Configuration | null,
  ) {
    this.machine = machine;
    this.budget = new BudgetCode(this, machine.timing ? this.own.add(TYPE.i32) : null);
    this.configuration = configuration;
    for (const r of steps.flatMap(({ read, written, kept }) => [...read, ...written, ...kept])) {
      if (this.registers.has(r)) continue;
      this.registers.set(r, this.own.add(isFloat(r) ? TYPE.f32 : TYPE.i32));
    }
    for (const r of steps.flatMap(({ written, kept }) => [...written, ...kept]))
      this.written.add(r);
    for (const r of this.registers.keys()) this.loadBack(r);
    this.refresh();
    this.exit = this.code.block();
    this.pushReserved();
    this.code.get(HART).memory("i32.load", STATE.ssr);
    if (streams) this.code.op("i32.eqz");
    this.code.op("i32.or").if();
    this.leave(pc);
    this.code.end();
  }

  get locals(): readonly ValueType[] {
    return this.own.types;
  }

  /** Takes a register over from the hart's state. */
  loadBack(r: number): void {
    this.code.get(HART).memory(isFloat(r) ? "f32.load" : "i32.load", placeOf(r));
    this.code.set(this.place(r));
  }

  /** Hands a register over to the hart's state, or what is in its place. */
  storeBack(r: number, local = this.place(r)): void {
    this.code.get(HART).get(local);
    this.code.memory(isFloat(r) ? "f32.store" : "i32.store", placeOf(r));
  }

  /** A local of one's own until the instruction is done. */
  temporary(type: ValueType): number {
    return this.own.lend(type, this.ofInstruction);
  }

  /** A local of one's own until the block is done. */
  reserved(type: ValueType): number {
    return this.own.lend(type, this.ofBlock);
  }

  get hart(): number {
    return HART;
  }

  /** Pushes a register; x0 is a constant. */
  x(register: number): Code {
    return register === 0 ? this.code.i32(0) : this.code.get(this.place(register));
  }

  f(register: number): Code {
    return this.code.get(this.streams.elementOf(register) ?? this.place(32 + register));
  }

  /** Pops into a register. */
  setX(register: number): void {
    if (register === 0) this.code.op("drop");
    else this.code.set(this.place(register));
  }

  setF(register: number): void {
    if (this.streams.isWritten(register)) this.streams.push(register);
    else this.code.set(this.place(32 + register));
  }

  /** The local of a register. */
  place(register: number): number {
    const local = this.registers.get(register);
    if (local === undefined) throw new Error(`register ${register} has no place`);
    return local;
  }

  /** Begins a block: it is left before anything is done where the budget does not reach its last instruction. */
  begin(pc: number, steps: readonly Step[]): void {
    this.own.release(this.ofBlock);
    this.streams.begin(steps);
    this.budget.begin(pc, steps);
  }

  /** Goes to the instruction behind one. */
  next(step: Step): void {
    this.own.release(this.ofInstruction);
    this.budget.next(step);
  }

  /** Leaves the region between blocks. */
  leave(pc: number): void {
    this.code.i32(pc).set(this.pc).br(this.exit);
  }

  /** Leaves the region before an instruction, where the number on the stack is not 0. */
  leaveBefore(step: Step): void {
    this.leaveAt(step.pc);
  }

  /** The same at the address of the present instruction, of which nothing has been done. */
  leaveAt(pc: number): void {
    const { code } = this;
    code.if();
    this.budget.giveBack();
    this.leave(pc);
    code.end();
  }

  /** The rest of the function. */
  finish(): void {
    const { code } = this;
    code.end();
    for (const r of this.written) this.storeBack(r);
    this.budget.finish();
    code.get(HART).get(this.pc).memory("i32.store", STATE.pc).get(LEFT);
  }

  /** Has the interpreter execute an instruction, in full. */
  interpret(step: Step, by: "floating" | "vectorWithin" | "controlWithin" | "startStream"): void {
    const { code } = this;
    const { read, written, pushes } = step;
    for (const r of read.filter((n) => this.written.has(n))) {
      this.storeBack(r, this.streams.elementOf(r - 32));
    }
    code.get(HART).i32(this.record(step));
    if (by === "controlWithin") this.budget.push();
    code.call(helperNumber(by));
    if (by !== "vectorWithin") code.op("i32.eqz");
    this.leaveBefore(step);
    for (const r of written) this.loadBack(r);
    if (pushes !== null) {
      code.get(HART).memory("f32.load", placeOf(32 + pushes));
      this.streams.push(pushes);
    }
    if (by === "floating") this.refreshSpan();
    else this.refresh();
    if (by === "controlWithin") this.leaveAfterReserved(step);
  }

  /** Pushes what the interpreter makes of two or three singles. */
  interpretSingles(step: Step, ...operands: readonly number[]): void {
    const { code } = this;
    code.get(HART).i32(this.record(step));
    for (const operand of operands) this.f(operand);
    code.call(helperNumber(operands.length === 2 ? "floatingOfTwo" : "floatingOfThree"));
    this.refreshSpan();
  }

  private refreshSpan(): void {
    this.code.get(HART).memory("i32.load", STATE.fast).set(this.span);
  }

  private pushReserved(): void {
    this.code.get(HART).memory("i32.load", STATE.fcsr).i32(RESERVED).op("i32.ge_u");
  }

  /** A region is left while there is a reserved rounding mode, with which operations are no instructions. */
  private leaveAfterReserved(step: Step): void {
    this.pushReserved();
    this.budget.behind(step, () => this.leaveAt(step.pc + step.bytes));
  }

  /** Where the record of an instruction is. */
  record({ pc }: Step): number {
    return this.machine.records + (pc - this.machine.textBase) * 8;
  }

  /** Takes over from the hart's state what is kept of it beside the registers. */
  private refresh(): void {
    const { code } = this;
    this.refreshSpan();
    code.get(HART).memory("i32.load", STATE.vtype);
    code.get(HART).memory("i32.load", STATE.vl).i32(16).op("i32.shl", "i32.or");
    code.i32(-1).get(HART).memory("i32.load", STATE.vstart).op("i32.eqz", "select");
    code.set(this.shape);
  }
}
