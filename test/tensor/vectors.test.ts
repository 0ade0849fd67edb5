/** Functions in WebAssembly against doubles, and that no result depends on what is computed beside it. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KERNELS } from "../../src/tensor/kernels/index.ts";
import type { Kernel } from "../../src/tensor/kernels/kernel.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { type ElementFunction, mapElements, normaliseRows } from "../../src/tensor/vectors.ts";

/** Distance of a float32 number from a double, in units in the last place of the number nearest to the double. */
function ulps(found: number, exact: number): number {
  if (Object.is(found, exact) || found === Math.fround(exact)) return 0;
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(exact))));
  return Math.abs(found - exact) / 2 ** (exponent - 23);
}

function mapped(how: ElementFunction, x: Float32Array): Float32Array {
  const out = new Float32Array(x.length);
  mapElements(x, out, how);
  return out;
}

const RANGE = Float32Array.from({ length: 40001 }, (_, i) => (i - 20000) / 400);
const SMALL = Float32Array.from(
  { length: 2001 },
  (_, i) => (i < 1000 ? -1 : 1) * 1.1 ** (-i % 400),
);

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
/** (1 + tanh u) / 2 is the logistic function of 2u, and that way no digits cancel. */
const geluTanh = (x: number) => x * sigmoid(2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3));

test.each<readonly [ElementFunction, (x: number) => number]>([
  [{ name: "exp" }, Math.exp],
  [{ name: "tanh" }, Math.tanh],
  [{ name: "sigmoid" }, sigmoid],
  [{ name: "swish" }, (x) => x * sigmoid(x)],
  [{ name: "swish", alpha: 1.702 }, (x) => x * sigmoid(1.702 * x)],
  [{ name: "gelu_tanh" }, geluTanh],
])("%o is the float32 number next to what doubles give", (how, exact) => {
  for (const x of [RANGE, SMALL]) {
    const found = mapped(how, x);
    const worst = x.reduce((m, v, i) => Math.max(m, ulps(found[i] as number, exact(v))), 0);
    expect(worst).toBeLessThan(0.51);
  }
});

/** x, erf x and x Phi(x), made with 40 digits by mpmath 1.3. */
const ERROR_FUNCTION: readonly (readonly [number, number, number])[] = [
  [-13.0, -1.0, -7.952313719414843e-38],
  [-9.5, -1.0, -9.969789321594476e-21],
  [-6.25, -1.0, -1.2826646407618368e-9],
  [-4.5, -0.9999999998033839, -1.5289529061285272e-5],
  [-3.0, -0.9999779095030014, -0.0040496940948902835],
  [-2.125, -0.9973459706405177, -0.035685776202953726],
  [-1.5, -0.9661051464753108, -0.1002108019032871],
  [-1.0625, -0.8670582694349528, -0.15300465268959412],
  [-1.0, -0.8427007929497149, -0.15865525393145705],
  [-0.84375, -0.7672256612323416, -0.16824759789772079],
  [-0.30000001192092896, -0.32862677175271543, -0.11462657653421583],
  [-0.0010000000474974513, -0.0011283788445643173, -0.0004996010814969171],
  [9.999999682655225e-21, 1.1283791312869893e-20, 4.999999841327613e-21],
  [0.0078125, 0.008815282895179188, 0.003930599256725333],
  [0.25, 0.27632639016823696, 0.14967658142073093],
  [0.46875, 0.49261347321793797, 0.3189261696013511],
  [0.699999988079071, 0.6778011855967799, 0.5306254318017016],
  [0.9375, 0.8151024010343998, 0.7741399576119915],
  [1.0010000467300415, 0.8431155048372895, 0.8424282330381953],
  [1.25, 0.9229001282564583, 1.117937782916431],
  [1.75, 0.9866716712191824, 1.67989647548832],
  [2.5, 0.999593047982555, 2.4844758366855597],
  [3.5, 0.9999992569016276, 3.4991857982233756],
  [4.25, 0.9999999981494259, 4.249954573765456],
  [5.5, 0.9999999999999927, 5.499999895557407],
  [8.0, 1.0, 7.999999999999995],
];

test("erf and gelu are the float32 numbers next to the true ones, also in their tails", () => {
  const x = Float32Array.from(ERROR_FUNCTION, ([at]) => at);
  const [erf, gelu] = [mapped({ name: "erf" }, x), mapped({ name: "gelu_erf" }, x)];
  for (const [i, [, erfOf, geluOf]] of ERROR_FUNCTION.entries()) {
    expect(ulps(erf[i] as number, erfOf)).toBeLessThan(0.51);
    expect(ulps(gelu[i] as number, geluOf)).toBeLessThan(0.51);
  }
});

test("what is no number, or infinite, or zero, stays what it is", () => {
  const x = Float32Array.of(NaN, Infinity, -Infinity, 0, -0);
  expect([...mapped({ name: "exp" }, x)]).toEqual([NaN, Infinity, 0, 1, 1]);
  expect([...mapped({ name: "tanh" }, x)]).toEqual([NaN, 1, -1, 0, -0]);
  expect([...mapped({ name: "erf" }, x)]).toEqual([NaN, 1, -1, 0, -0]);
  expect([...mapped({ name: "sigmoid" }, x)]).toEqual([NaN, 1, 0, 0.5, 0.5]);
  expect([...mapped({ name: "swish" }, x)]).toEqual([NaN, Infinity, NaN, 0, -0]);
  expect([...mapped({ name: "gelu_tanh" }, x)]).toEqual([NaN, Infinity, NaN, 0, -0]);
  expect([...mapped({ name: "gelu_erf" }, x)]).toEqual([NaN, Infinity, NaN, 0, -0]);
});

describe("no result depends on what is computed beside it", () => {
  const values = fc.float32Array({ minLength: 1, maxLength: 40, noNaN: true, min: -50, max: 50 });
  test("elements", () => {
    fc.assert(
      fc.property(values, fc.nat(39), (x, at) => {
        const i = at % x.length;
        for (const name of ["exp", "tanh", "gelu_erf", "erf"] as const) {
          const one = mapped({ name }, x.slice(i, i + 1));
          expect(one[0]).toBe(mapped({ name }, x)[i]);
        }
      }),
    );
  });
  test("more of them than go at once", () => {
    const long = Float32Array.from({ length: 70001 }, (_, i) => Math.sin(i));
    const parts = [0, 33333].map((at) => mapped({ name: "tanh" }, long.slice(at, at + 33333)));
    const whole = mapped({ name: "tanh" }, long);
    expect([...whole.subarray(0, 66666)]).toEqual(parts.flatMap((p) => [...p]));
  });
  test.each([1, 3, 8, 13])("rows of %i elements", (width) => {
    const x = Float32Array.from({ length: 7 * width }, (_, i) => Math.sin(i * i));
    const softmax = (part: Float32Array) => {
      const call = { inputs: [tensor("f32", [part.length / width, width], part)], outShapes: null };
      return [...((KERNELS.get("Softmax") as Kernel)({ ...call, attrs: {} })[0]?.data ?? [])];
    };
    const norm = (part: Float32Array) => {
      const [means, inverses] = [1, 2].map(() => new Float32Array(part.length / width));
      const how = { width, scale: null, bias: null, epsilon: 1e-5, centred: true };
      const out = new Float32Array(part.length);
      normaliseRows(part, out, how, means as Float32Array, inverses as Float32Array);
      return [...out];
    };
    const last = x.slice(6 * width);
    expect(softmax(x).slice(6 * width)).toEqual(softmax(last));
    expect(norm(x).slice(6 * width)).toEqual(norm(last));
  });
});

test("norms are those of doubles, rounded once", () => {
  const width = 37;
  const x = Float32Array.from({ length: 3 * width }, (_, i) => 1000 + Math.sin(i));
  const scale = Float32Array.from({ length: width }, (_, i) => 1 + i / 8);
  const bias = Float32Array.from({ length: width }, (_, i) => i / 16);
  const out = new Float32Array(x.length);
  const [means, inverses] = [new Float32Array(3), new Float32Array(3)];
  normaliseRows(x, out, { width, scale, bias, epsilon: 1e-5, centred: true }, means, inverses);
  for (let r = 0; r < 3; r++) {
    const row = [...x.subarray(r * width, (r + 1) * width)];
    const mean = row.reduce((a, b) => a + b, 0) / width;
    const variance = row.reduce((a, b) => a + (b - mean) ** 2, 0) / width;
    const exact = row.map((v, j) => {
      const y = (v - mean) / Math.sqrt(variance + 1e-5);
      return y * (scale[j] as number) + (bias[j] as number);
    });
    for (const [j, y] of exact.entries())
      expect(ulps(out[r * width + j] as number, y)).toBeLessThan(2);
    expect(means[r]).toBe(Math.fround(mean));
  }
});
