/**
 * Every source of noise against its formula: mean, deviation and whole distribution, in closed form at the times of
 * the literature, and independent of every other. Seeds are fixed, so nothing here is a matter of luck.
 */

import { describe, expect, test } from "vitest";
import { bends } from "../../src/sim/bends.ts";
import { Devices } from "../../src/sim/devices.ts";
import { gaussianAt, momentOf, PURPOSE, streamOf } from "../../src/sim/noise-address.ts";
import { evaluateCurve } from "../../src/target/curve.ts";
import type { Device } from "../../src/target/device.ts";
import { loadDevice } from "../../src/target/load.ts";
import { Wasm } from "../../src/wasm/module.ts";
import {
  clamped,
  correlation,
  distance,
  expectDistribution,
  folded,
  normal,
} from "./distribution.ts";
import { expectGaussian, quiet } from "./noise.ts";
import { through } from "./one-tile.ts";

const N = 1 << 15;
const TIMES = [
  ["1 s", 1],
  ["1 h", 3600],
  ["1 d", 86_400],
  ["1 y", 31_536_000],
  ["10 y", 315_360_000],
] as const;
const XS = [0.1, 0.4, 0.7, 1] as const;
const constant = (value: number) => ({ value, source: "a test" });

/** N devices that are programmed to x, as they are at the time; silent and alone but for the change. */
function held(x: number, timeSeconds: number, change: (d: Device) => void, seed = 11, number = 2) {
  const device = structuredClone(loadDevice("ideal"));
  device.pair = "active";
  change(device);
  const weights = new Float32Array(N).fill(x);
  const block = { weights, cols: 64, layerScale: new Float32Array(64).fill(1), number };
  new Devices(device, new Wasm()).disturb(block, { seed, timeSeconds });
  return weights;
}

describe("the test itself", () => {
  const z = Float32Array.from({ length: N }, (_, i) =>
    gaussianAt(i, { seed: 3, stream: 50, row: 0, inference: 0, block: 0 }),
  );
  test("takes a gaussian for one", () => expectDistribution(z, normal(0, 1)));
  test.each([
    ["a mean that is off by a twentieth", normal(0.05, 1)],
    ["a deviation that is off by a fifteenth", normal(0, 1.067)],
    ["what is folded", folded(0, 1)],
  ])("but not %s", (_, cdf) => expect(distance(z, cdf)).toBeGreaterThan(2.3));
});

test("words are uniform", () => {
  const wasm = new Wasm();
  const at = wasm.reserve(N);
  wasm.call.words(at, 0, N, 1, 2, 3, 4, 5);
  expectDistribution(
    Array.from(wasm.words(at, N), (u) => (u + 0.5) / 2 ** 32),
    (v) => v,
  );
});

describe.each([
  "pcm-like-25us",
  "hermes-one-device",
  "hermes-two-device",
  "afm-pcm",
  "additive-column",
  "additive-layer",
  "multiplicative",
])("programming of %s", (name) => {
  const { programming, gMax, pair } = loadDevice(name);
  const sigmaOf = (x: number) => evaluateCurve(programming.sigma, x) / gMax.value;
  const noisy = (d: Device) => {
    d.programming = programming;
    d.gMax = gMax;
    d.pair = pair === "signed" ? "signed" : "active";
  };

  test.each(XS)("x = %f", (x) => {
    const g = held(x, 0, noisy);
    const law = pair === "signed" ? normal : clamped;
    expectDistribution(g, law(x, sigmaOf(x)));
    if (x > 4 * sigmaOf(x)) expectGaussian(g, x, sigmaOf(x));
  });
});

describe("programming of cells", () => {
  const [sigma, x] = [0.05, 0.5];
  const flat = { pieces: [{ polynomial: [sigma] }], source: "a test" };
  const noisy = (d: Device) => {
    d.programming.sigma = flat;
    d.gMax = constant(1);
  };

  test.each([2, 4])("%i devices share the weight: the deviation falls with their root", (count) => {
    const g = held(x, 0, (d) => {
      noisy(d);
      d.devicesPerPolarity = constant(count);
    });
    expectGaussian(g, x, sigma / Math.sqrt(count));
    expectDistribution(g, normal(x, sigma / Math.sqrt(count)));
  });

  test("write-verify cuts the gaussian off at the margin", () => {
    const margin = 0.04;
    const g = held(x, 0, (d) => {
      noisy(d);
      d.programming.verify = { margin: constant(margin), iterations: constant(30) };
    });
    const inside = 1 - 2 * normal(0, sigma)(-margin);
    const lowest = normal(0, sigma)(-margin);
    const law = (v: number) => (normal(x, sigma)(v) - lowest) / inside;
    expectDistribution(g, (v) => Math.min(1, Math.max(0, law(v))));
    expect(g.every((v) => Math.abs(v - x) < margin + 1e-6)).toBe(true);
  });

  test("with few attempts as many miss the margin as their chances say", () => {
    const [margin, iterations] = [0.02, 3];
    const g = held(x, 0, (d) => {
      noisy(d);
      d.programming.verify = { margin: constant(margin), iterations: constant(iterations) };
    });
    const miss = (2 * normal(0, sigma)(-margin)) ** iterations;
    const found = g.filter((v) => Math.abs(v - x) > margin).length / N;
    expect(Math.abs(found - miss)).toBeLessThan(4 * Math.sqrt((miss * (1 - miss)) / N));
  });

  test("stuck devices are as many as said, whatever they were to hold", () => {
    const [off, on] = [0.03, 0.01];
    const g = held(x, 0, (d) => {
      d.faults = { stuckOff: constant(off), stuckOn: constant(on) };
    });
    for (const [value, share] of [
      [0, off],
      [1, on],
    ] as const) {
      const found = g.filter((v) => v === value).length / N;
      expect(Math.abs(found - share)).toBeLessThan(4 * Math.sqrt(share / N));
    }
    const later = held(x, 3600, (d) => {
      d.faults = { stuckOff: constant(off), stuckOn: constant(on) };
    });
    expect(later).toEqual(g);
  });
});

describe.each(["pcm-like-25us", "hermes-one-device", "hermes-two-device"])("%s in time", (name) => {
  const { drift, flicker } = loadDevice(name);
  if (!drift || !flicker) throw new Error(`${name} neither drifts nor flickers`);
  const t0 = drift.t0Seconds.value;
  const tRead = flicker.tReadSeconds.value;
  const steady = { pieces: [{ polynomial: [0] }], source: "a test" };

  test.each(TIMES)("drift without variability is its closed form after %s", (_, time) => {
    for (const x of XS) {
      const g = held(x, time, (d) => {
        d.drift = { ...drift, deviation: steady };
      });
      const right = x * ((time + t0) / t0) ** -evaluateCurve(drift.mean, x);
      expect(Math.abs((g[0] ?? 0) / right - 1)).toBeLessThan(1e-5);
      expect(g.every((v) => v === g[0])).toBe(true);
    }
  });

  test.each(TIMES)("drift exponents have their distribution after %s", (_, time) => {
    for (const x of XS) {
      const g = held(x, time, (d) => {
        d.drift = drift;
      });
      const nu = g.map((v) => -Math.log(v / x) / Math.log((time + t0) / t0));
      const law = folded(evaluateCurve(drift.mean, x), evaluateCurve(drift.deviation, x));
      // After a second, float32 tells exponents only so far apart.
      if (time > 1) expectDistribution(nu, law);
      else expect(distance(nu, law)).toBeLessThan(4);
    }
  });

  test("a device keeps its exponent", () => {
    const exponents = TIMES.slice(1).map(([, time]) =>
      held(0.5, time, (d) => {
        d.drift = drift;
      }).map((v) => -Math.log(v / 0.5) / Math.log((time + t0) / t0)),
    );
    const [first] = exponents;
    for (const later of exponents) {
      expect(later.every((nu, i) => Math.abs(nu - (first?.[i] ?? 0)) < 1e-5)).toBe(true);
    }
  });

  test("1/f noise is another one at every time, and the same whenever one looks", () => {
    const at = (time: number) =>
      held(0.5, time, (d) => {
        d.flicker = flicker;
      });
    const seen = TIMES.map(([, time]) => at(time));
    for (const [i, a] of seen.entries()) {
      expect(at(TIMES[i]?.[1] ?? 0)).toEqual(a);
      for (const b of seen.slice(i + 1)) {
        expect(Math.abs(correlation(a, b))).toBeLessThan(4.5 / Math.sqrt(N));
      }
    }
  });

  test.each(TIMES)("1/f noise is its closed form after %s", (_, time) => {
    for (const x of XS.slice(1)) {
      const g = held(x, time, (d) => {
        d.flicker = flicker;
        d.drift = { ...drift, mean: steady, deviation: steady };
      });
      const spread = Math.sqrt(Math.log((time + t0 + tRead) / (2 * tRead)));
      const sigma = x * evaluateCurve(flicker.q, x) * spread;
      expectGaussian(g, x, sigma);
      expectDistribution(g, clamped(x, sigma));
    }
  });
});

describe("every vector", () => {
  const [rows, cols, count] = [32, 32, 1024];
  const weights = Float32Array.from({ length: rows * cols }, (_, i) => Math.sin(7 * i));
  const row = Float32Array.from({ length: rows }, (_, i) => Math.cos(3 * i));
  const x = new Float32Array(rows * count);
  for (let i = 0; i < count; i++) x.set(row, i * rows);
  const tile = { weights, rows, cols };
  const clean = through(quiet(), tile, x, "noisy");

  test("output noise is gaussian", () => {
    const noisy = quiet((t) => {
      t.analog.outputNoise.value = 0.04;
    });
    const errors = through(noisy, tile, x, "noisy").map((y, i) => y - (clean[i] ?? 0));
    expectGaussian(errors, 0, 0.04);
    expectDistribution(errors, normal(0, 0.04));
  });

  test("short-term read noise is gaussian with sigma sqrt(sum |w| x^2)", () => {
    const noisy = quiet((t) => {
      t.analog.readNoise.value = 0.0175;
    });
    const power = Float32Array.from({ length: cols }, (_, c) =>
      row.reduce((s, v, r) => s + Math.abs(weights[r * cols + c] ?? 0) * v * v, 0),
    );
    const y = through(noisy, tile, x, "noisy");
    const z = y.map((v, i) => (v - (clean[i] ?? 0)) / Math.sqrt(power[i % cols] ?? 1));
    expectGaussian(z, 0, 0.0175);
    expectDistribution(z, normal(0, 0.0175));
  });

  test("bends are |N(mean, deviation)|, once a column", () => {
    const shape = { mean: constant(0.25), deviation: constant(0.2) };
    expectDistribution(bends(shape, 4096, 9, 3), folded(0.25, 0.2));
    expect(bends(shape, 64, 9, 3)).toEqual(bends(shape, 4096, 9, 3).subarray(0, 64));
  });
});

describe("independence", () => {
  const at = { seed: 5, stream: streamOf(PURPOSE.programming), row: 0, inference: 0, block: 0 };
  const wasm = new Wasm();
  const place = wasm.reserve(N);
  const draw = (change: Partial<typeof at>): Float32Array => {
    const { seed, stream, row, inference, block } = { ...at, ...change };
    wasm.call.gaussians(place, 0, N, seed, stream, row, inference, block);
    return wasm.view(place, N).slice();
  };
  const others: readonly (readonly [string, Partial<typeof at>])[] = [
    ["itself", {}],
    ["the next seed", { seed: 6 }],
    ["a seed far away", { seed: 0x80000005 }],
    ...Object.entries(PURPOSE)
      .filter(([, purpose]) => purpose !== PURPOSE.programming)
      .map(([name, purpose]) => [`purpose ${name}`, { stream: streamOf(purpose) }] as const),
    ["the other side of the pair", { stream: streamOf(PURPOSE.programming, 1) }],
    ["the next parallel device", { stream: streamOf(PURPOSE.programming, 0, 1) }],
    ["the next attempt", { stream: streamOf(PURPOSE.programming, 0, 0, 1) }],
    ["the next vector", { row: 1 }],
    ["the next inference", { inference: 1 }],
    ...[1, 3600, 86_400, 31_536_000].map((time) => {
      const [row, inference] = momentOf(time);
      return [`after ${time} s`, { row, inference }] as const;
    }),
    ["the next tile", { block: 1 }],
  ];
  const drawn = others.map(([name, change]) => [name, draw(change)] as const);
  const bound = 4.5 / Math.sqrt(N);

  test("no two addresses have correlated numbers, nor correlated squares", () => {
    for (const [i, [a, x]] of drawn.entries()) {
      for (const [b, y] of drawn.slice(i + 1)) {
        const squares = correlation(
          x.map((v) => v * v),
          y.map((v) => v * v),
        );
        expect(Math.abs(correlation(x, y)), `${a} and ${b}`).toBeLessThan(bound);
        expect(Math.abs(squares), `squares of ${a} and ${b}`).toBeLessThan(bound);
      }
    }
  });

  test("neighbours in an array are not correlated", () => {
    const z = draw({});
    for (let lag = 1; lag <= 64; lag++) {
      const r = correlation(z.subarray(0, N - lag), z.subarray(lag));
      expect(Math.abs(r), `${lag} apart`).toBeLessThan(bound);
    }
  });

  test("whole tiles: programming, drift and 1/f noise of other tiles, seeds and devices", () => {
    const standard = loadDevice("pcm-like-25us");
    const whole = (seed: number, number: number) =>
      held(0.5, 3600, (d) => Object.assign(d, standard, { pair: "both" }), seed, number);
    const tiles = [whole(1, 0), whole(1, 1), whole(2, 0), whole(2, 1)];
    for (const [i, a] of tiles.entries()) {
      for (const b of tiles.slice(i + 1)) {
        expect(Math.abs(correlation(a, b))).toBeLessThan(bound);
      }
    }
    expect(whole(1, 0)).toEqual(tiles[0]);
  });
});
