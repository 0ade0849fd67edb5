/** What a DAC makes of the rows of a strip, in ordinary ONNX operators. */

import type { Value } from "../ir/op.ts";
import { codeOf } from "../onnx/elem.ts";
import type { Target } from "../target/schema.ts";
import type { Dim } from "../tensor/tensor.ts";
import type { Builder } from "./builder.ts";
import { inputStep, mostLevel } from "./strip.ts";

/** Clips to low..high and rounds. */
export function levelOf(b: Builder, x: Value, low: number, high: number): Value {
  return b.op("Round", [b.op("Clip", [x, b.float(low), b.float(high)], x.type)], x.type);
}

/** Inputs x[..., rows] as levels of their converter, in the forms that products take. */
export interface Forms {
  /** Whole numbers as f32. */
  readonly floats: Value;
  /** The range of each vector, if it is its own: [..., 1]. */
  readonly range: Value | undefined;
  readonly centredUnit: number;
  readonly powerUnit: number;
  /** Whether there are forms in bytes. */
  readonly hasBytes: boolean;
  /**
   * x in whole `centredUnit`s, half to even, and 64: 0 to 128, as u8. Products of i8 by i8 are slow in ONNX Runtime (1.30).
   */
  centred(b: Builder): Value;
  /** |x| as u8. */
  sizes(b: Builder): Value;
  /**
   * x² in `powerUnit`s as u8, at most 127, rounded up above thresholds that differ from row to row: sums over rows then lose
   * nothing of small inputs, which all would round down.
   */
  powers(b: Builder): Value;
  squares(b: Builder): Value;
}

export class Levels implements Forms {
  readonly floats: Value;
  readonly range: Value | undefined;
  readonly centredUnit: number;
  readonly powerUnit: number;
  private readonly bytes: Value | undefined;
  private readonly made = new Map<string, Value>();

  /** `inputRange` is that of all vectors, where the target has one. */
  constructor(b: Builder, x: Value, inputRange: number, target: Target) {
    const { bits, range } = target.tile.dac;
    const most = mostLevel(bits.value);
    this.centredUnit = most > 64 ? 2 : 1;
    this.powerUnit = Math.max(1, most ** 2 / MOST_BYTE);
    this.range = range === "static" ? undefined : largestOf(b, x);
    const { range: own } = this;
    const step = inputStep(target);
    const scaled = own ? b.op("Div", [x, own], x.type) : x;
    const unit = b.float(own ? step : step * inputRange);
    if (most > MOST_BYTE) {
      this.floats = levelOf(b, b.op("Div", [scaled, unit], x.type), -most, most);
      return;
    }
    const byte = { elem: "i8", shape: x.type.shape } as const;
    const rounded = b.op("QuantizeLinear", [scaled, unit, b.number("i8", 0)], byte);
    this.bytes = b.op("Clip", [rounded, b.number("i8", -most), b.number("i8", most)], byte);
    this.floats = b.op("Cast", [this.bytes], x.type, { to: codeOf("f32") });
  }

  get hasBytes(): boolean {
    return this.bytes !== undefined;
  }

  centred(b: Builder): Value {
    const { floats, centredUnit, byte } = this;
    return this.once("centred", () =>
      b.op("QuantizeLinear", [floats, b.float(centredUnit), b.number("ui8", 64)], byte),
    );
  }

  sizes(b: Builder): Value {
    return this.once("sizes", () => {
      if (!this.bytes) throw new Error("levels of more than 8 bits are no bytes");
      const sizes = b.op("Abs", [this.bytes], this.bytes.type);
      return b.op("Cast", [sizes], this.byte, { to: codeOf("ui8") });
    });
  }

  powers(b: Builder): Value {
    return this.once("powers", () => {
      const { type } = this.floats;
      const unit = this.powerUnit;
      const rows = type.shape.at(-1) ?? 0;
      const between = Float32Array.from({ length: rows }, (_, j) => unit * (0.5 - threshold(j)));
      const raised = b.op("Add", [this.squares(b), b.floats(between)], type);
      return b.op("QuantizeLinear", [raised, b.float(unit), b.number("ui8", 0)], this.byte);
    });
  }

  squares(b: Builder): Value {
    const { floats } = this;
    return this.once("squares", () => b.op("Mul", [floats, floats], floats.type));
  }

  private get byte() {
    return { elem: "ui8", shape: this.floats.type.shape } as const;
  }

  private once(name: string, make: () => Value): Value {
    const value = this.made.get(name) ?? make();
    this.made.set(name, value);
    return value;
  }
}

/** The forms of the vectors `at`, i64 [n], of all. */
export class ChosenLevels implements Forms {
  readonly floats: Value;
  readonly range: Value | undefined;
  private readonly all: Forms;
  private readonly at: Value;
  private readonly made = new Map<Value, Value>();

  constructor(b: Builder, all: Forms, at: Value) {
    this.all = all;
    this.at = at;
    this.floats = this.chosen(b, all.floats);
    this.range = all.range && this.chosen(b, all.range);
  }

  get centredUnit(): number {
    return this.all.centredUnit;
  }

  get powerUnit(): number {
    return this.all.powerUnit;
  }

  get hasBytes(): boolean {
    return this.all.hasBytes;
  }

  centred(b: Builder): Value {
    return this.chosen(b, this.all.centred(b));
  }

  sizes(b: Builder): Value {
    return this.chosen(b, this.all.sizes(b));
  }

  powers(b: Builder): Value {
    return this.chosen(b, this.all.powers(b));
  }

  squares(b: Builder): Value {
    return this.chosen(b, this.all.squares(b));
  }

  private chosen(b: Builder, all: Value): Value {
    const { elem, shape } = all.type;
    const known = this.made.get(all);
    const value =
      known ?? b.op("Gather", [all, this.at], { elem, shape: [null, ...shape.slice(1)] });
    this.made.set(all, value);
    return value;
  }
}

const MOST_BYTE = 127;

/** Between 0 and 1: multiples of the golden ratio, which are spread evenly however many rows there are. */
const threshold = (j: number): number => ((j + 0.5) * 0.6180339887498949) % 1;

/** The largest |x| of each vector, 1 where all are 0. */
function largestOf(b: Builder, x: Value): Value {
  const shape: readonly Dim[] = [...x.type.shape.slice(0, -1), 1];
  const largest = b.op("ReduceMax", [b.op("Abs", [x], x.type), b.ints([-1])], { shape });
  const isZero = b.op("Equal", [largest, b.float(0)], { shape, elem: "i1" });
  return b.op("Where", [isZero, b.float(1), largest], { shape });
}
