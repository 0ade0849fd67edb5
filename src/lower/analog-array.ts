/**
 * Tiles side by side between their converters in ordinary ONNX operators, in the order of src/sim/conversion.ts. Inputs are
 * levels of the DAC and results steps of the ADC.
 */

import type { Value } from "../ir/op.ts";
import { codeOf } from "../onnx/elem.ts";
import { PURPOSE } from "../sim/noise-address.ts";
import type { Mode } from "../sim/program-tiles.ts";
import type { Target } from "../target/schema.ts";
import type { Builder } from "./builder.ts";
import type { ChipSource, Vectors } from "./chip-source.ts";
import { type Forms, levelOf } from "./dac.ts";
import { adcLevels, inputStep, perStep, rowsOf, type Strip } from "./strip.ts";
import { distance, type Part } from "./strip-numbers.ts";

export type LoweredMode = Exclude<Mode, "ideal">;

export interface Lowering {
  readonly mode: LoweredMode;
  readonly target: Target;
  readonly chip: ChipSource;
}

/** Products of bytes, each below 2^14, of so many rows are 32-bit integers. */
const MOST_ROWS = 2 ** 17 - 1;

/** What src/sim/conversion.ts does between the DAC and the affine stage, in the same order. */
export class AnalogArray {
  private readonly b: Builder;
  private readonly x: Forms;
  private readonly strip: Strip;
  private readonly how: Lowering;
  private readonly target: Target;
  private readonly vectors: Vectors;
  /** Of results, [..., cols]. */
  private readonly type: Value["type"];
  private readonly weights: Value;
  /** Whether the sums that noise depends on are products of bytes. */
  private readonly isCounted: boolean;
  /** Sum |w| |x| in steps, made when first asked for. */
  private known: Value | undefined;

  constructor(b: Builder, x: Forms, strip: Strip, vectors: Vectors, how: Lowering) {
    this.b = b;
    this.x = x;
    this.strip = strip;
    this.how = how;
    this.target = how.target;
    this.vectors = vectors;
    const leading = x.floats.type.shape.slice(0, -1);
    this.type = { elem: "f32", shape: [...leading, strip.cols] };
    this.weights = how.chip.part(b, strip, "weights");
    // Two counters read one of these sums, so that it has to be as exact as the result.
    const isRead = this.target.tile.adc.scheme === "two-counter";
    this.isCounted = x.hasBytes && !isRead && rowsOf(strip) <= MOST_ROWS;
  }

  /** What the converters count. */
  counts(): Value {
    const { b, target, type } = this;
    const dot = b.op("MatMul", [this.x.floats, this.weights], type);
    const noisy = this.how.mode === "noisy";
    const y = noisy ? this.disturbed(dot) : dot;
    const most = adcLevels(target);
    if (target.tile.adc.scheme === "symmetric") return levelOf(b, y, -most, most);
    const sigma = noisy ? target.analog.outputNoise.value : 0;
    const counted = (sign: "Add" | "Sub", purpose: number) => {
      const half = b.op("Mul", [b.op(sign, [this.load(), y], type), b.float(0.5)], type);
      const current = b.op("Relu", [half], type);
      const read = sigma > 0 ? this.plusGaussian(current, this.inSteps(sigma), purpose) : current;
      return levelOf(b, read, 0, most);
    };
    const pair = [counted("Add", PURPOSE.conversion), counted("Sub", PURPOSE.secondCounter)];
    return b.op("Sub", pair, type);
  }

  /** IR drop, read noise, bend and the output noise of a single converter. */
  private disturbed(dot: Value): Value {
    const { irDrop, readNoise, outputNoise, sShape } = this.target.analog;
    let y = irDrop.scale.value > 0 ? this.dropped(dot) : dot;
    const apart = this.target.tile.adc.scheme === "two-counter" || sShape !== undefined;
    if (readNoise.value > 0 || !apart) {
      const purpose = apart ? PURPOSE.read : PURPOSE.conversion;
      y = this.plusGaussian(y, this.sigma(apart ? 0 : outputNoise.value), purpose);
    }
    if (sShape) y = this.bent(y);
    if (!sShape || this.target.tile.adc.scheme !== "symmetric") return y;
    return this.plusGaussian(y, this.inSteps(outputNoise.value), PURPOSE.conversion);
  }

  /** sqrt(output^2 + read^2 sum |w| x^2). */
  private sigma(output: number): Value {
    const { b, type } = this;
    const read = this.target.analog.readNoise.value;
    if (read === 0) return this.inSteps(output);
    const constant = b.floats(perStep(this.strip, this.target).map((p) => (output * p) ** 2));
    return b.op("Sqrt", [this.variance(read ** 2, constant)], type);
  }

  /** constant + read² sum |w| x². */
  private variance(readSquared: number, constant: Value): Value {
    const { b, x, type } = this;
    const step = inputStep(this.target);
    if (this.isCounted) {
      const unit = x.powerUnit * readSquared * step ** 2;
      return b.op(
        "Add",
        [this.counted(x.powers(b), 0, "sizes", "powerUnits", unit), constant],
        type,
      );
    }
    const sum = b.op("MatMul", [x.squares(b), this.sizes()], type);
    const units = perStep(this.strip, this.target).map((p) => p * readSquared * step);
    return b.op("Add", [b.op("Mul", [sum, b.floats(units)], type), constant], type);
  }

  /**
   * Minus scale (0.05 a³ - 0.2 a² + 0.5 a) sum w x r, with n rows and a = wireOhm gMax n sum |w| |x|. As r is between 0 and 1,
   * sum w x (2 r - 1) is what twice the last sum differs from the product, which is known exactly.
   */
  private dropped(dot: Value): Value {
    const { b, type } = this;
    // c = k a ((a - 2)² + 6), whose first factor is with a.
    const k = Math.cbrt((0.05 / 2) * this.target.analog.irDrop.scale.value);
    const a = this.drive(k);
    const less = b.op("Sub", [a, b.float(2 * k)], type);
    const square = b.op("Add", [b.op("Mul", [less, less], type), b.float(6 * k ** 2)], type);
    const c = b.op("Mul", [square, a], type);
    const twice = b.op("Add", [dot, this.uneven()], type);
    return b.op("Sub", [dot, b.op("Mul", [c, twice], type)], type);
  }

  /** a times k. */
  private drive(k: number): Value {
    const { b, x, type } = this;
    const { wireOhm, gMaxSiemens } = this.target.analog.irDrop;
    const irLoad = k * wireOhm.value * gMaxSiemens.value * rowsOf(this.strip);
    if (this.isCounted) {
      return this.counted(x.sizes(b), 0, "sizes", "sizeUnits", irLoad * inputStep(this.target));
    }
    const units = perStep(this.strip, this.target).map((p) => irLoad / p);
    return b.op("Mul", [this.load(), b.floats(units)], type);
  }

  /** Sum w x (2 r - 1). */
  private uneven(): Value {
    const { b, x, type } = this;
    if (this.isCounted) {
      const unit = x.centredUnit * inputStep(this.target);
      return this.counted(x.centred(b), 64, "distances", "distanceUnits", unit);
    }
    const rows = rowsOf(this.strip);
    const far = Float32Array.from({ length: rows }, (_, j) => distance(j, rows));
    const inputs = b.op("Mul", [x.floats, b.floats(far)], x.floats.type);
    return b.op("MatMul", [inputs, this.weights], type);
  }

  /** The sum of bytes, less their zero, by whole numbers of a part, times `unit` and those of the columns. */
  private counted(bytes: Value, zero: number, part: Part, units: Part, unit: number): Value {
    const { b, type, strip } = this;
    const { chip } = this.how;
    const zeros = zero === 0 ? [] : [b.number(bytes.type.elem, zero)];
    const operands = [bytes, chip.part(b, strip, part), ...zeros];
    const sum = b.op("MatMulInteger", operands, { ...type, elem: "i32" });
    // ONNX Runtime fuses these with the product where the columns' units are no constants.
    const columns = chip.part(b, strip, units);
    const scale = b.op("Mul", [b.float(unit), columns], columns.type);
    return b.op("Mul", [b.op("Cast", [sum], type, { to: codeOf("f32") }), scale], type);
  }

  /** The S-shaped transfer y / (1 + zeta |y|) of each column. */
  private bent(y: Value): Value {
    const { b } = this;
    const zeta = this.how.chip.part(b, this.strip, "bends");
    const curve = b.op("Mul", [b.op("Abs", [y], y.type), zeta], y.type);
    return b.op("Div", [y, b.op("Add", [curve, b.float(1)], y.type)], y.type);
  }

  /** Sum |w| |x| in steps. */
  private load(): Value {
    const { b, x, type } = this;
    const inputs = () => b.op("Abs", [x.floats], x.floats.type);
    this.known ??= b.op("MatMul", [inputs(), this.sizes()], type);
    return this.known;
  }

  /** |w| as `weights` has w. */
  private sizes(): Value {
    return this.b.op("Abs", [this.weights], this.weights.type);
  }

  /** A deviation in steps of each column. */
  private inSteps(sigma: number): Value {
    return this.b.floats(perStep(this.strip, this.target).map((p) => p * sigma));
  }

  private plusGaussian(y: Value, sigma: Value, purpose: number): Value {
    const { b } = this;
    const z = this.how.chip.gaussian(b, y, this.strip, purpose, this.vectors);
    return b.op("Add", [y, b.op("Mul", [z, sigma], y.type)], y.type);
  }
}
