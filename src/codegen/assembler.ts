/**
 * Writes instructions with as many registers as are wanted. `x`, `f` and `v` give the result a new register, `to`
 * writes one that there is, `emit` is for instructions without a result. Operands are those of the instruction's
 * syntax in src/riscv, in its order; rounding modes and `vm` may be left out: dynamic, unmasked.
 */

import type { Line } from "../riscv/listing.ts";
import { instructionOf } from "../riscv/table.ts";
import { allocate } from "./allocate.ts";
import type { Draft, Operand } from "./draft.ts";
import { intervalsOf } from "./liveness.ts";
import type { F, File, Register, V, X } from "./register.ts";
import { ZERO } from "./register.ts";

/** Conditions of branches; those with a u compare without sign. */
export type Condition = "eq" | "ne" | "lt" | "ge" | "ltu" | "geu";

const OPPOSITE: Readonly<Record<Condition, Condition>> = {
  eq: "ne",
  ne: "eq",
  lt: "ge",
  ge: "lt",
  ltu: "geu",
  geu: "ltu",
};

/** Operands that are filled in where they are left out: the dynamic rounding mode, no mask. */
const LEFT_OUT: Readonly<Record<string, number>> = { rm: 7, vm: 1 };

/** What is given for an operand: a register of a file, or a number or label. */
const kindOf = (o: Operand | undefined): File | "number" | undefined =>
  o === undefined ? undefined : typeof o === "object" ? o.file : "number";

/** What an instruction's field wants: its register's file is the letter that it begins with, as in `fs1`. */
function wantedBy(field: string): File | "number" {
  const [, file] = /^(r|f|v)(?:d|s[123])$/.exec(field) ?? [];
  if (file === undefined) return "number";
  return file === "r" ? "x" : (file as File);
}

const wanted = new Map<string, readonly (File | "number")[]>();

/** What the fields of an instruction want. */
function wantedByAll(name: string, fields: readonly string[]): readonly (File | "number")[] {
  const found = wanted.get(name) ?? fields.map(wantedBy);
  wanted.set(name, found);
  return found;
}

const LEAST_IMMEDIATE = -2048;
const MOST_IMMEDIATE = 2047;
const fitsImmediate = (n: number): boolean => n >= LEAST_IMMEDIATE && n <= MOST_IMMEDIATE;

export class Assembler {
  private readonly prefix: string;
  private readonly drafts: Draft[] = [];
  private registers = 0;
  private labels = 0;

  /** Labels begin with the prefix: it has to be unique in a program. */
  constructor(prefix: string) {
    this.prefix = prefix;
  }

  /** The instructions with the machine's registers, as a function that ends with `ret`. */
  finish(): readonly Line[] {
    return allocate(this.drafts);
  }

  /** The most registers of a file, or groups of them, that hold a value at once. */
  pressure(file: File): number {
    const intervals = intervalsOf(this.drafts).filter((i) => i.register.file === file);
    const at = (place: number) => intervals.filter((i) => i.from <= place && place <= i.to).length;
    return Math.max(0, ...intervals.map((i) => at(i.from)));
  }

  newX(): X {
    return this.register("x", 1);
  }
  newF(): F {
    return this.register("f", 1);
  }
  newV(group = 1): V {
    return this.register("v", group);
  }

  x(name: string, ...operands: readonly Operand[]): X {
    return this.to(this.newX(), name, ...operands);
  }
  f(name: string, ...operands: readonly Operand[]): F {
    return this.to(this.newF(), name, ...operands);
  }
  /** A new group of as many registers as LMUL says; fractional LMUL is a group of 1. */
  v(group: number, name: string, ...operands: readonly Operand[]): V {
    return this.to(this.newV(group), name, ...operands);
  }

  to<R extends Register>(result: R, name: string, ...operands: readonly Operand[]): R {
    this.emit(name, result, ...operands);
    return result;
  }

  emit(name: string, ...operands: readonly Operand[]): void {
    const { fields } = instructionOf(name);
    const filled = fields.map((field, i) => operands[i] ?? LEFT_OUT[field]);
    const kinds = wantedByAll(name, fields);
    if (operands.length > fields.length || filled.some((o, i) => kindOf(o) !== kinds[i])) {
      const given = filled.map(kindOf);
      throw new Error(`${name} takes ${fields.join(", ")}; given ${given.join(", ")}`);
    }
    this.drafts.push({ kind: "instruction", name, operands: filled as Operand[] });
  }

  /** A comment in the program's source. */
  remark(text: string): void {
    this.drafts.push({ kind: "remark", text });
  }

  newLabel(): string {
    return `${this.prefix}.${this.labels++}`;
  }
  label(name: string): void {
    this.drafts.push({ kind: "label", name });
  }
  jump(label: string): void {
    this.emit("jal", ZERO, label);
  }
  branch(condition: Condition, a: X, b: X, label: string): void {
    this.emit(`b${condition}`, a, b, label);
  }

  /** Any 32-bit number, with or without sign. */
  li(value: number): X {
    return this.set(this.newX(), value);
  }
  set(result: X, value: number): X {
    const low = (value << 20) >> 20;
    const high = ((value - low) >>> 12) & 0xfffff;
    if (high === 0) return this.to(result, "addi", ZERO, low);
    this.to(result, "lui", high);
    return low === 0 ? result : this.to(result, "addi", result, low);
  }
  move(result: X, from: X): X {
    return this.to(result, "addi", from, 0);
  }
  copy(from: X): X {
    return this.move(this.newX(), from);
  }

  /** The number nearest to `value` in single precision. */
  constant(value: number): F {
    const bits = new Int32Array(Float32Array.of(value).buffer)[0] ?? 0;
    return this.f("fmv.w.x", bits === 0 ? ZERO : this.li(bits));
  }

  /** a + b; a register of its own even where b is 0. */
  add(a: X, b: X | number): X {
    return this.addTo(this.newX(), a, b);
  }
  addTo(result: X, a: X, b: X | number): X {
    if (typeof b !== "number") return this.to(result, "add", a, b);
    if (fitsImmediate(b)) return this.to(result, "addi", a, b);
    return this.to(result, "add", a, this.li(b));
  }
  sub(a: X, b: X): X {
    return this.x("sub", a, b);
  }
  /** a * b, by shifts where b is a power of two. */
  mul(a: X, b: X | number): X {
    if (typeof b !== "number") return this.x("mul", a, b);
    if (b === 0) return this.copy(ZERO);
    const shift = Math.log2(b);
    if (shift === 0) return this.copy(a);
    return Number.isInteger(shift) ? this.x("slli", a, shift) : this.x("mul", a, this.li(b));
  }
  /** a / b and a mod b of unsigned numbers. */
  div(a: X, b: number): X {
    const shift = Math.log2(b);
    return Number.isInteger(shift) ? this.x("srli", a, shift) : this.x("divu", a, this.li(b));
  }
  rem(a: X, b: number): X {
    if (Number.isInteger(Math.log2(b)) && fitsImmediate(b - 1)) return this.x("andi", a, b - 1);
    return this.x("remu", a, this.li(b));
  }
  min(a: X, b: X): X {
    const least = this.copy(a);
    const done = this.newLabel();
    this.branch("ge", b, a, done);
    this.move(least, b);
    this.label(done);
    return least;
  }

  /** `body` so many times; a register is left as it is and may hold 0. */
  repeat(count: number | X, body: () => void): void {
    if (count === 0) return;
    if (count === 1) {
      body();
      return;
    }
    const [again, done] = [this.newLabel(), this.newLabel()];
    const left = typeof count === "number" ? this.li(count) : this.copy(count);
    if (typeof count !== "number") this.far("eq", left, ZERO, done);
    this.label(again);
    body();
    this.addTo(left, left, -1);
    this.back("ne", left, ZERO, again);
    this.label(done);
  }

  /** `body` with i = from, from + step, … below `end`; `body` must not change i. */
  range(from: X | number, end: X | number, step: number, body: (i: X) => void): void {
    const [again, done] = [this.newLabel(), this.newLabel()];
    const i = typeof from === "number" ? this.li(from) : this.copy(from);
    const last = typeof end === "number" ? this.li(end) : end;
    this.far("ge", i, last, done);
    this.label(again);
    body(i);
    this.addTo(i, i, step);
    this.back("lt", i, last, again);
    this.label(done);
  }

  when(condition: Condition, a: X, b: X, then: () => void, otherwise?: () => void): void {
    const [other, done] = [this.newLabel(), this.newLabel()];
    this.far(OPPOSITE[condition], a, b, other);
    then();
    if (otherwise) this.jump(done);
    this.label(other);
    otherwise?.();
    this.label(done);
  }

  /** A branch whose target may be as far away as a jump reaches. */
  far(condition: Condition, a: X, b: X, label: string): void {
    const near = this.newLabel();
    this.branch(OPPOSITE[condition], a, b, near);
    this.jump(label);
    this.label(near);
  }

  /** A branch back: near where the loop is short enough, decided when it is known. */
  back(condition: Condition, a: X, b: X, label: string): void {
    const start = this.drafts.findLastIndex((d) => d.kind === "label" && d.name === label);
    // Reloads of spilled registers may treble a loop; a branch reaches 1024 instructions back.
    if (this.drafts.length - start < NEAR) this.branch(condition, a, b, label);
    else this.far(condition, a, b, label);
  }

  private register<T extends File>(file: T, group: number): Register<T> {
    return { file, id: this.registers++, group, fixed: null };
  }
}

const NEAR = 256;
