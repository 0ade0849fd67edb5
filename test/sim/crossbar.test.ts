import { describe, expect, test } from "vitest";
import { loadDevice, loadTarget } from "../../src/target/load.ts";
import type { Target } from "../../src/target/schema.ts";
import { expectGaussian, quiet } from "./noise.ts";
import { gaussians, through, uniform } from "./one-tile.ts";
import { standardError, standardMachine } from "./standard-product.ts";

describe("products", () => {
  const [rows, cols, count] = [37, 21, 6];
  const tile = { weights: gaussians(rows * cols, 1), rows, cols };
  const x = uniform(count * rows, 2);
  const exact = (w: (r: number, c: number) => number, v: (i: number, r: number) => number) =>
    Array.from({ length: count * cols }, (_, k) => {
      const [i, c] = [Math.floor(k / cols), k % cols];
      let sum = 0;
      for (let r = 0; r < rows; r++) sum += w(r, c) * v(i, r);
      return sum;
    });

  test("ideal is the product of the file's weights", () => {
    const y = through(quiet(), tile, x, "ideal");
    const expected = exact(
      (r, c) => tile.weights[r * cols + c] ?? 0,
      (i, r) => x[i * rows + r] ?? 0,
    );
    for (const [k, v] of expected.entries()) expect(y[k]).toBeCloseTo(v, 4);
  });

  test("quantized clips and rounds inputs and results as the converters do", () => {
    const gamma = Float32Array.from({ length: cols }, (_, c) =>
      Math.max(
        ...Array.from({ length: rows }, (_, r) => Math.abs(tile.weights[r * cols + c] ?? 0)),
      ),
    );
    const target = quiet((t) => {
      t.tile.dac.bits.value = 8;
      t.tile.adc.bits.value = 8;
      t.device.levels = { value: 15, source: "a test" };
    });
    const [inputRange, adcBound] = [0.8, 3];
    const y = through(target, { ...tile, gamma, inputRange, adcBound }, x, "quantized");
    const grid = (v: number, bound: number) => {
      const step = (2 * bound) / (2 ** 8 - 2);
      return Math.round(Math.min(bound, Math.max(-bound, v)) / step) * step;
    };
    const sums = exact(
      (r, c) => Math.round(((tile.weights[r * cols + c] ?? 0) / (gamma[c] ?? 1)) * 15) / 15,
      (i, r) => grid((x[i * rows + r] ?? 0) / inputRange, 1),
    );
    const step = (2 * adcBound) / 254;
    let clipped = 0;
    for (const [k, sum] of sums.entries()) {
      const found = (y[k] ?? 0) / (inputRange * (gamma[k % cols] ?? 1));
      if (Math.abs(sum) > adcBound) clipped++;
      // The sum in double precision may round to the other side of a tie.
      const tie = Math.abs(Math.abs((sum / step) % 1) - 0.5) < 1e-4;
      if (!tie) expect(found).toBeCloseTo(grid(sum, adcBound), 5);
      expect(Math.abs(found)).toBeLessThanOrEqual(adcBound + 1e-5);
    }
    expect(clipped).toBeGreaterThan(0);
  });

  test("both converters round halves to even", () => {
    const target = quiet((t) => {
      t.tile.dac.bits.value = 4;
      t.tile.dac.bound.value = 7;
      t.tile.adc.bits.value = 5;
    });
    // Steps of 1: on one row, the inputs' converter alone; behind weights of a half, the outputs' too.
    const halves = [-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5];
    const even = [-4, -2, -2, 0, 0, 2, 2, 4];
    const of = (weight: number, x: readonly number[]) => [
      ...through(
        target,
        { weights: Float32Array.of(weight), rows: 1, cols: 1, adcBound: 15 },
        Float32Array.from(x),
        "quantized",
      ).map((v) => v + 0),
    ];
    expect(of(1, halves)).toEqual(even);
    expect(of(0.5, [-7, -5, -3, -1, 1, 3, 5, 7])).toEqual(even);
  });

  test("a vector that never fits is read ten times again, each time with its inputs halved", () => {
    const target = quiet((t) => {
      t.tile.adc.whenClipped = "retry";
    });
    const of = (adcBound: number) =>
      through(
        target,
        { weights: Float32Array.of(1), rows: 1, cols: 1, adcBound },
        Float32Array.of(1),
        "quantized",
      )[0];
    expect(of(2 ** -10)).toBeCloseTo(1, 4);
    expect(of(2 ** -12)).toBe(2 ** 10 * 2 ** -12);
  });

  test("noise relative to the layer is as large in every column, whatever the column's scale", () => {
    const [size, scales] = [256, [1, 0.25, 0.01, 2 ** -30]];
    const target = quiet((t) => {
      t.device = loadDevice("additive-layer");
    });
    const gamma = Float32Array.from(scales);
    const zeros = new Float32Array(size * scales.length);
    const eye = Float32Array.from({ length: size * size }, (_, i) =>
      i % (size + 1) === 0 ? 1 : 0,
    );
    const limits = { adcBound: 2 ** 23, inputRange: 1 };
    target.tile.adc.bits.value = 32;
    const y = through(
      target,
      { weights: zeros, rows: size, cols: scales.length, gamma, ...limits },
      eye,
      "noisy",
    );
    for (const [c, g] of scales.entries()) {
      const column = Array.from({ length: size }, (_, r) => y[r * scales.length + c] ?? 0);
      // Joshi: 3.8 % of the layer's largest, which is 1; at most 2^20 times the column's own scale.
      expectGaussian(column, 0, 0.038 * Math.min(1, 2 ** 20 * g));
    }
  });

  test("without noise, noisy is quantized", () => {
    const unit = { ...tile, weights: tile.weights.map((w) => w / 8) };
    const [a, b] = [through(quiet(), unit, x, "quantized"), through(quiet(), unit, x, "noisy")];
    for (const [k, v] of a.entries()) expect(b[k]).toBeCloseTo(v, 5);
  });

  test("IR drop is the published approximation", () => {
    const unit = { ...tile, weights: tile.weights.map((w) => w / 8) };
    // A wire so long that every term is seen on a small tile.
    const wire = 3500;
    const target = quiet((t) => {
      t.analog.irDrop.scale.value = 1;
      t.analog.irDrop.wireOhm.value = wire;
    });
    const y = through(target, unit, x, "noisy");
    const w = (r: number, c: number) => unit.weights[r * cols + c] ?? 0;
    const v = (i: number, r: number) => x[i * rows + r] ?? 0;
    const sum = exact(w, v);
    const load = exact(
      (r, c) => Math.abs(w(r, c)),
      (i, r) => Math.abs(v(i, r)),
    );
    const far = exact((r, c) => w(r, c) * (1 - (1 - r / rows) ** 2), v);
    for (const [k, s] of sum.entries()) {
      const a = wire * 5e-6 * rows * (load[k] ?? 0);
      const c = 0.05 * a ** 3 - 0.2 * a ** 2 + 0.5 * a;
      expect(y[k]).toBeCloseTo(s - c * (far[k] ?? 0), 4);
    }
  });
});

describe("odd values", () => {
  const [rows, cols] = [24, 18];
  const weights = gaussians(rows * cols, 1).map((w) => w / 8);
  const ordinary = uniform(rows, 2);
  const targets = (["static", "abs-max"] as const).flatMap((range) =>
    (["symmetric", "two-counter"] as const).flatMap((scheme) =>
      (["saturate", "retry"] as const).map((whenClipped) =>
        quiet((t) => {
          t.tile.dac.range = range;
          Object.assign(t.tile.adc, { scheme, whenClipped });
          t.analog.readNoise.value = 0.0175;
          t.analog.irDrop.scale.value = 1;
        }),
      ),
    ),
  );

  test("a vector with NaN has no numbers for results, and its neighbours do not notice", () => {
    const x = new Float32Array(3 * rows);
    for (let i = 0; i < 3; i++) x.set(ordinary, i * rows);
    const odd = x.slice();
    odd[rows + 5] = Number.NaN;
    for (const target of targets) {
      const y = through(target, { weights, rows, cols }, odd, "noisy");
      const right = through(target, { weights, rows, cols }, x, "noisy");
      expect(y.subarray(cols, 2 * cols).every(Number.isNaN)).toBe(true);
      expect(y.subarray(0, cols)).toEqual(right.subarray(0, cols));
      expect(y.subarray(2 * cols)).toEqual(right.subarray(2 * cols));
    }
  });

  test("zeros give zeros, as inputs and as weights", () => {
    for (const target of targets) {
      const none = through(target, { weights, rows, cols }, new Float32Array(rows), "noisy");
      expect(none.every((v) => v === 0)).toBe(true);
      const tile = {
        weights: new Float32Array(rows * cols),
        rows,
        cols,
        gamma: new Float32Array(cols).fill(2 ** -126),
      };
      for (const mode of ["ideal", "quantized", "noisy"] as const) {
        expect(through(target, tile, ordinary, mode).every((v) => v === 0)).toBe(true);
      }
    }
  });

  test("a tile of zeros on real devices is noise of the least scale, and stays a number in time", () => {
    const target = loadTarget("ahwa-lora");
    const tile = {
      weights: new Float32Array(rows * cols),
      rows,
      cols,
      gamma: new Float32Array(cols).fill(2 ** -126),
    };
    const y = through(target, tile, ordinary, "noisy", 31_536_000);
    expect(y.every((v) => Math.abs(v) < 1e-30)).toBe(true);
  });

  test("infinite inputs are full scale of static ranges", () => {
    const x = ordinary.slice();
    x[3] = Infinity;
    const full = ordinary.slice();
    full[3] = 1;
    const [plain = quiet()] = targets;
    expect(through(plain, { weights, rows, cols }, x, "noisy")).toEqual(
      through(plain, { weights, rows, cols }, full, "noisy"),
    );
  });

  test("a column of equal weights, and one of which nothing is left", () => {
    const equal = Float32Array.from({ length: rows * cols }, (_, i) => (i % cols === 0 ? 0.5 : 0));
    const gamma = Float32Array.from({ length: cols }, (_, j) => (j === 0 ? 0.5 : 2 ** -126));
    const y = through(quiet(), { weights: equal, rows, cols, gamma }, ordinary, "quantized");
    const sum = ordinary.reduce((s, v) => s + v / 2, 0);
    expect(y[0]).toBeCloseTo(sum, 3);
    expect(y.subarray(1).every((v) => v === 0)).toBe(true);
  });
});

describe("noise of every vector", () => {
  const [rows, cols, count] = [64, 32, 2000];
  const weights = gaussians(rows * cols, 4).map((w) => w / 8);
  const row = uniform(rows, 6);
  const x = new Float32Array(count * rows);
  for (let i = 0; i < count; i++) x.set(row, i * rows);

  const errors = (change: (t: Target) => void) => {
    const tile = { weights, rows, cols };
    const [clean, noisy] = [quiet(), quiet(change)].map((t) => through(t, tile, x, "noisy"));
    return Array.from({ length: cols }, (_, c) =>
      Array.from(
        { length: count },
        (_, i) => (noisy?.[i * cols + c] ?? 0) - (clean?.[i * cols + c] ?? 0),
      ),
    );
  };

  test("output noise has its deviation and is new in each vector and column", () => {
    const columns = errors((t) => {
      t.analog.outputNoise.value = 0.04;
    });
    expectGaussian(columns.flat(), 0, 0.04);
    const [a = [], b = []] = columns;
    const correlation = a.reduce((s, v, i) => s + v * (b[i] ?? 0), 0) / (count * 0.04 ** 2);
    expect(Math.abs(correlation)).toBeLessThan(4 / Math.sqrt(count));
    const next = a.slice(1).reduce((s, v, i) => s + v * (a[i] ?? 0), 0) / (count * 0.04 ** 2);
    expect(Math.abs(next)).toBeLessThan(4 / Math.sqrt(count));
  });

  test("short-term read noise grows as sigma sqrt(sum |w| x^2)", () => {
    const columns = errors((t) => {
      t.analog.readNoise.value = 0.0175;
    });
    for (const [c, found] of columns.entries()) {
      const power = row.reduce((s, v, r) => s + Math.abs(weights[r * cols + c] ?? 0) * v * v, 0);
      expectGaussian(found, 0, 0.0175 * Math.sqrt(power));
    }
  });
});

/** Rasch et al. (2023) do not say at which time. */
test.each([
  ["at once", 0],
  ["after an hour", 3600],
])("the standard model's error of a product is about 15 %% %s", (_, timeSeconds) => {
  const ratio = standardError(standardMachine(loadTarget("ahwa-lora")), { seed: 5, timeSeconds });
  expect(ratio).toBeGreaterThan(0.13);
  expect(ratio).toBeLessThan(0.17);
});
