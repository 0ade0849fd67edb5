/** One tile between its converters in ordinary ONNX operators, in the order of src/sim/conversion.ts. */

import type { Value } from "../ir/op.ts";
import { PURPOSE } from "../sim/noise-address.ts";
import type { Mode } from "../sim/program-tiles.ts";
import type { Target } from "../target/schema.ts";
import type { Builder } from "./builder.ts";
import type { ChipSource, Tile } from "./chip-source.ts";

export type LoweredMode = Exclude<Mode, "ideal">;

export interface Lowering {
  readonly mode: LoweredMode;
  readonly target: Target;
  readonly chip: ChipSource;
}

/** Clips to low..high and rounds to whole numbers of steps. */
export function levelOf(b: Builder, x: Value, low: number, high: number, step: number): Value {
  const clipped = b.op("Clip", [x, b.float(low), b.float(high)], x.type);
  return b.op("Round", [b.op("Div", [clipped, b.float(step)], x.type)], x.type);
}

/** What src/sim/conversion.ts does between the product and the affine stage, in the same order. */
export class AnalogArray {
  /** [rows, cols] */
  readonly weights: Value;
  private readonly b: Builder;
  private readonly x: Value;
  private readonly tile: Tile;
  private readonly how: Lowering;
  private readonly target: Target;
  /** sum |w| |x|, and |w|, made when first asked for. */
  private known: Value | undefined;
  private magnitudes: Value | undefined;

  constructor(b: Builder, x: Value, tile: Tile, how: Lowering) {
    this.weights = how.chip.weights(b, tile);
    this.b = b;
    this.x = x;
    this.tile = tile;
    this.how = how;
    this.target = how.target;
  }

  /** What the converters count, in steps. */
  through(dot: Value): { readonly value: Value; readonly step: number } {
    const { adc } = this.target.tile;
    const noisy = this.how.mode === "noisy";
    const y = noisy ? this.disturbed(dot) : dot;
    const bound = this.tile.block.adcBound;
    if (adc.scheme === "symmetric") {
      const step = bound / (2 ** (adc.bits.value - 1) - 1);
      return { value: levelOf(this.b, y, -bound, bound, step), step };
    }
    const step = bound / (2 ** adc.bits.value - 1);
    const sigma = noisy ? this.target.analog.outputNoise.value : 0;
    const counted = (sign: "Add" | "Sub", purpose: number) => {
      const both = this.b.op(sign, [this.load(dot), y], dot.type);
      const half = this.b.op("Mul", [both, this.b.float(0.5)], dot.type);
      const current = this.b.op("Relu", [half], dot.type);
      const read = sigma > 0 ? this.plusGaussian(current, this.b.float(sigma), purpose) : current;
      return levelOf(this.b, read, 0, bound, step);
    };
    const pair = [counted("Add", PURPOSE.conversion), counted("Sub", PURPOSE.secondCounter)];
    return { value: this.b.op("Sub", pair, dot.type), step };
  }

  /** IR drop, read noise, bend and the output noise of a single converter. */
  private disturbed(dot: Value): Value {
    const { b } = this;
    const { irDrop, readNoise, outputNoise, sShape } = this.target.analog;
    let y = irDrop.scale.value > 0 ? this.dropped(dot) : dot;
    const apart = this.target.tile.adc.scheme === "two-counter" || sShape !== undefined;
    if (readNoise.value > 0 || !apart) {
      const purpose = apart ? PURPOSE.read : PURPOSE.conversion;
      y = this.plusGaussian(y, this.sigma(dot, apart ? 0 : outputNoise.value), purpose);
    }
    if (sShape) y = this.bent(y);
    if (!sShape || this.target.tile.adc.scheme !== "symmetric") return y;
    return this.plusGaussian(y, b.float(outputNoise.value), PURPOSE.conversion);
  }

  /** sqrt(output^2 + read^2 sum |w| x^2). */
  private sigma(dot: Value, output: number): Value {
    const { b, x } = this;
    const read = this.target.analog.readNoise.value;
    if (read === 0) return b.float(output);
    // Factors that are the same for all results go to the inputs, of which there are fewer.
    const part = b.op("Mul", [x, b.float(read)], x.type);
    const power = b.op("MatMul", [b.op("Mul", [part, part], x.type), this.sizes()], dot.type);
    return b.op("Sqrt", [b.op("Add", [power, b.float(output ** 2)], dot.type)], dot.type);
  }

  /** With n rows and a = wireOhm gMax n |x||w|: minus scale (0.05 a^3 - 0.2 a^2 + 0.5 a) sum w x r. */
  private dropped(dot: Value): Value {
    const { b, x } = this;
    const [from, to] = this.tile.block.rows;
    const rows = to - from;
    const { type } = dot;
    const { irDrop } = this.target.analog;
    const irLoad = irDrop.wireOhm.value * irDrop.gMaxSiemens.value * rows;
    const a = b.op("Mul", [this.load(dot), b.float(irLoad)], type);
    // 0.05 a ((a - 2)^2 + 6), whose first factor is with the distances.
    const less = b.op("Sub", [a, b.float(2)], type);
    const square = b.op("Add", [b.op("Mul", [less, less], type), b.float(6)], type);
    const c = b.op("Mul", [square, a], type);
    const share = 0.05 * irDrop.scale.value;
    const distance = Float32Array.from(
      { length: rows },
      (_, j) => share * (1 - (1 - j / rows) ** 2),
    );
    const far = b.op("Mul", [x, b.floats([rows], distance)], x.type);
    const lost = b.op("MatMul", [far, this.weights], type);
    return b.op("Sub", [dot, b.op("Mul", [c, lost], type)], type);
  }

  /** The S-shaped transfer y / (1 + zeta |y|) of each column. */
  private bent(y: Value): Value {
    const { b } = this;
    const zeta = this.how.chip.bends(b, this.tile);
    const curve = b.op("Mul", [b.op("Abs", [y], y.type), zeta], y.type);
    return b.op("Div", [y, b.op("Add", [curve, b.float(1)], y.type)], y.type);
  }

  private load(dot: Value): Value {
    this.known ??= this.b.op(
      "MatMul",
      [this.b.op("Abs", [this.x], this.x.type), this.sizes()],
      dot.type,
    );
    return this.known;
  }

  private sizes(): Value {
    this.magnitudes ??= this.b.op("Abs", [this.weights], this.weights.type);
    return this.magnitudes;
  }

  private plusGaussian(y: Value, sigma: Value, purpose: number): Value {
    const { b } = this;
    const z = this.how.chip.gaussian(b, y, this.tile, purpose);
    return b.op("Add", [y, b.op("Mul", [sigma, z], y.type)], y.type);
  }
}
