/** Converter ranges against the plainest arithmetic on the samples. */

import { describe, expect, test } from "vitest";
import { calibrate } from "../../passes/calibrate.ts";
import type { CalibratedWeight } from "../../src/artifact/calibration.ts";
import { rangesOf as rangesOfGrid } from "../../src/ir/dialects/aimc.ts";
import type { Attrs, Module, Value } from "../../src/ir/op.ts";
import { verify } from "../../src/ir/verify.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import type { ModelStore } from "../../src/weights/model-store.ts";
import { f32, moduleOf, numbers, op, random, surroundings } from "./fixtures.ts";

const ROWS = [0, 5, 10];
const COLS = [0, 4, 8, 12];

const x: Value = { id: "x", type: f32(3, 10), tensor: "hidden" };

function grid(store: ModelStore, attrs: Attrs = {}, input = x): Module {
  const weight = store.add("w", random([10, 12], 2));
  const y: Value = { id: "y", type: f32(2, ...input.type.shape.slice(0, -1).map(Number), 12) };
  const splits = { row_splits: ROWS, col_splits: COLS };
  const mvm = op("aimc.mvm", [input], y, {
    weight,
    transposed: false,
    role: "other",
    ...splits,
    ...attrs,
  });
  return { ...moduleOf([input], [mvm]), level: "aimc" };
}

const rangesOf = (module: Module) => {
  const mvm = module.ops.find((o) => o.kind === "aimc.mvm");
  if (!mvm) throw new Error("the module has no grid");
  return rangesOfGrid(mvm);
};

/** Largest |x| of a row block, and largest normalised sum of a block, straight from their definitions. */
function expected(samples: readonly number[][], weights: readonly number[]) {
  const rows = samples.flatMap((s) =>
    Array.from({ length: s.length / 10 }, (_, t) => s.slice(t * 10, t * 10 + 10)),
  );
  const blocks = <T>(splits: readonly number[], each: (from: number, to: number) => T): T[] =>
    splits.slice(1).map((to, i) => each(splits[i] ?? 0, to));
  const span = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
  const input = blocks(ROWS, (from, to) =>
    Math.max(...rows.flatMap((r) => r.slice(from, to).map(Math.abs))),
  );
  const adc = blocks(ROWS, (r0, r1) => {
    const alpha = Math.max(...rows.flatMap((r) => r.slice(r0, r1).map(Math.abs)));
    return blocks(COLS, (c0, c1) =>
      Math.max(
        ...span(c0, c1).flatMap((c) => {
          const gamma = Math.max(...span(r0, r1).map((j) => Math.abs(weights[j * 12 + c] ?? 0)));
          return rows.map((row) =>
            Math.abs(
              span(r0, r1).reduce(
                (sum, j) => sum + ((weights[j * 12 + c] ?? 0) / gamma) * ((row[j] ?? 0) / alpha),
                0,
              ),
            ),
          );
        }),
      ),
    );
  }).flat();
  return { input, adc };
}

const samples = [numbers(30, 4), numbers(30, 5).map((v) => 3 * v)];
const shown = new Map([["hidden", samples.map((s) => Float32Array.from(s))]]);

test.each([
  ["as [in, out]", {}],
  ["as [out, in]", { transposed: true }],
  ["as a slice", { slice: 1 }],
])("ranges are the samples' maxima, the ADC's with 5 %% more: %s", async (_, attrs: Attrs) => {
  const { context, store, remarks } = surroundings({ samples: shown });
  const w = toNumbers(random([10, 12], 2));
  const transposed = Array.from(
    { length: 120 },
    (_, i) => w[(i % 10) * 12 + Math.floor(i / 10)] ?? 0,
  );
  const stored = attrs["transposed"] ? transposed : attrs["slice"] ? [...numbers(120, 9), ...w] : w;
  const shape = attrs["transposed"] ? [12, 10] : attrs["slice"] ? [2, 10, 12] : [10, 12];
  const weight = store.add("w2", { elem: "f32", shape, data: Float32Array.from(stored) });
  const after = await calibrate.run(grid(store, { ...attrs, weight }), context);
  expect([...verify(after)]).toEqual([]);
  const { input, adc } = rangesOf(after);
  const right = expected(samples, w);
  for (const [i, v] of right.input.entries()) expect(input[i]).toBeCloseTo(v, 6);
  for (const [i, v] of right.adc.entries()) expect(adc[i]).toBeCloseTo(1.05 * v, 5);
  expect(remarks).toEqual([]);
});

test("the ADC's bound stays below the target's", async () => {
  const given = surroundings({ samples: shown });
  const { adc, ...tile } = given.context.target.tile;
  const low = { ...adc, bound: { value: 0.5, source: "a test" } };
  const context = {
    ...given.context,
    target: { ...given.context.target, tile: { ...tile, adc: low } },
  };
  const { adc: bounds } = rangesOf(await calibrate.run(grid(given.store), context));
  expect(bounds).toEqual(new Array(6).fill(0.5));
});

test("every place may be chosen in another way, and what each costs is told", async () => {
  const reports: CalibratedWeight[] = [];
  const options = {
    calibration: {
      dac: { method: "percentile", percent: 50 },
      adc: { method: "sigma", count: 1 },
      columns: { method: "sigma", count: 1 },
    },
  } as const;
  const { context, store, reported } = surroundings({ samples: shown, options });
  const told = { ...context, calibrated: (r: CalibratedWeight) => void reports.push(r) };
  const { input, adc } = rangesOf(await calibrate.run(grid(store), told));
  const all = samples.flatMap((s) => s.filter((_, i) => i % 10 < 5)).map(Math.abs);
  const middle = all.sort((a, b) => a - b)[Math.ceil(all.length / 2) - 1] ?? 0;
  expect(Math.abs((input[0] ?? 0) / middle - 1)).toBeLessThan(0.01);
  const [report] = reports;
  expect(report).toMatchObject({
    weight: "w",
    inputs: 60,
    dac: { chosen: { method: "percentile:50" } },
    adc: { chosen: { method: "sigma:1", low: Math.min(...adc), high: Math.max(...adc) } },
  });
  expect(Math.abs((report?.dac.chosen.clipped ?? 0) - 0.5)).toBeLessThan(0.06);
  expect(report?.dac.others.map((o) => o.method)).toEqual([
    "max",
    "percentile:99.995",
    "sigma:3",
    "mse",
  ]);
  expect(report?.dac.others[0]).toMatchObject({ clipped: 0 });
  expect(report?.columns.chosen.clipped).toBeGreaterThan(0.2);
  expect(reported).toEqual([]);
});

test("a DAC that reaches further than 1 has its full scale at the largest input", async () => {
  const given = surroundings({ samples: shown });
  const { dac, ...tile } = given.context.target.tile;
  const bound = { value: 4, source: "a test" };
  const target = { ...given.context.target, tile: { ...tile, dac: { ...dac, bound } } };
  const found = rangesOf(await calibrate.run(grid(given.store), { ...given.context, target }));
  const right = expected(samples, toNumbers(random([10, 12], 2)));
  for (const [i, v] of right.input.entries()) expect(found.input[i]).toBeCloseTo(v / 4, 6);
  for (const [i, v] of right.adc.entries()) expect(found.adc[i]).toBeCloseTo(1.05 * 4 * v, 4);
});

test.each([
  ["symmetric", 127],
  ["two-counter", 255],
] as const)(
  "what a %s converter of 8 bits loses is told as rounding loses it",
  async (scheme, levels) => {
    const reports: CalibratedWeight[] = [];
    const given = surroundings({ samples: shown });
    const { adc, ...tile } = given.context.target.tile;
    const context = {
      ...given.context,
      target: { ...given.context.target, tile: { ...tile, adc: { ...adc, scheme } } },
      calibrated: (r: CalibratedWeight) => void reports.push(r),
    };
    const { input, adc: bounds } = rangesOf(await calibrate.run(grid(given.store), context));
    const w = toNumbers(random([10, 12], 2));
    const rows = samples.flatMap((s) => [0, 10, 20].map((at) => s.slice(at, at + 10)));
    let [signal, error] = [0, 0];
    for (const [r, from] of [0, 5].entries()) {
      for (let c = 0; c < 12; c++) {
        const column = [0, 1, 2, 3, 4].map((j) => w[(from + j) * 12 + c] ?? 0);
        const gamma = Math.max(...column.map(Math.abs));
        const step = (bounds[3 * r + Math.floor(c / 4)] ?? 0) / levels;
        for (const row of rows) {
          const terms = column.map(
            (v, j) => ((v / gamma) * (row[from + j] ?? 0)) / (input[r] ?? 0),
          );
          const z = Math.abs(terms.reduce((a, b) => a + b, 0));
          const load = terms.reduce((a, b) => a + Math.abs(b), 0);
          // Of two counters, the one that counts more.
          const read = scheme === "symmetric" ? z : (load + z) / 2;
          signal += read ** 2;
          error += (read - step * Math.round(read / step)) ** 2;
        }
      }
    }
    expect(bounds.length).toBe(6);
    // 144 errors: their mean square is known to a tenth.
    expect(
      Math.abs((reports[0]?.adc.chosen.snrDb ?? 0) - 10 * Math.log10(signal / error)),
    ).toBeLessThan(1);
  },
);

test("the sums of a dynamic range are those of vectors divided by their own largest input", async () => {
  const given = surroundings({ samples: shown });
  const { dac, ...tile } = given.context.target.tile;
  const target = {
    ...given.context.target,
    tile: { ...tile, dac: { ...dac, range: "abs-max" as const } },
  };
  const { adc } = rangesOf(await calibrate.run(grid(given.store), { ...given.context, target }));
  const own = samples.flatMap((s) =>
    Array.from({ length: 3 }, (_, t) => s.slice(t * 10, t * 10 + 10)),
  );
  // Each vector alone has the range that it gets from its largest input, block by block.
  const right = own
    .map((v) => expected([[...v]], toNumbers(random([10, 12], 2))).adc)
    .reduce((a, b) => a.map((v, i) => Math.max(v, b[i] ?? 0)));
  for (const [i, v] of right.entries()) expect(adc[i]).toBeCloseTo(1.05 * v, 5);
});

test("a full scale that clips nearly everything is refused", async () => {
  const calibration = {
    dac: { method: "sigma", count: 1e-3 },
    adc: { method: "max" },
    columns: { method: "max" },
  } as const;
  const given = surroundings({ samples: shown, options: { calibration } });
  await calibrate.run(grid(given.store), given.context);
  expect(given.reported).toMatchObject([
    { code: "A232", text: expect.stringMatching(/inputs of weight 'w' are clipped.*DAC/) },
  ]);
});

test("a block of zeros still has a bound above zero", async () => {
  const { context, store } = surroundings({ samples: shown });
  const weight = store.add("zeros", { elem: "f32", shape: [10, 12], data: new Float32Array(120) });
  const { adc } = rangesOf(await calibrate.run(grid(store, { weight }), context));
  expect(adc).toEqual(new Array(6).fill(1 / 16));
});

test("without samples the documented ranges hold, and a remark says so", async () => {
  const { context, store, remarks } = surroundings();
  const after = await calibrate.run(grid(store), context);
  expect(rangesOf(after)).toEqual({ input: [3, 3], adc: new Array(6).fill(10) });
  expect(remarks[0]?.text).toContain("1 of 1 analog linears");
  expect(remarks[0]?.nodes).toEqual(["node_of_y"]);
});

test.each([
  ["zeros", 0],
  ["no numbers", Number.NaN],
])("samples of nothing but %s are none, and a remark says so", async (_, value) => {
  const nothing = new Map([["hidden", [new Float32Array(30).fill(value)]]]);
  const { context, store, remarks } = surroundings({ samples: nothing });
  const after = await calibrate.run(grid(store), context);
  expect(rangesOf(after)).toEqual({ input: [3, 3], adc: new Array(6).fill(10) });
  expect(remarks[0]?.text).toContain("1 of 1 analog linears, or only zeros");
});

test("a block of rows of whose inputs only zeros are seen has the target's bound", async () => {
  const first = samples.map((s) => Float32Array.from(s, (v, i) => (i % 10 < 5 ? v : 0)));
  const { context, store } = surroundings({ samples: new Map([["hidden", first]]) });
  const { input, adc } = rangesOf(await calibrate.run(grid(store), context));
  expect(input[0]).not.toBe(3);
  expect(input[1]).toBe(3);
  expect(Math.max(...adc.slice(0, 3))).toBeLessThan(10);
  expect(adc.slice(3)).toEqual([10, 10, 10]);
});

test("an input is seen through reshapes that keep its order", async () => {
  const { context, store } = surroundings({ samples: shown });
  const hidden: Value = { id: "h", type: f32(1, 3, 10), tensor: "hidden" };
  const shape: Value = { id: "shape", type: { elem: "i64", shape: [2] } };
  const flat: Value = { id: "x", type: f32(3, 10) };
  const inner = grid(store, {}, flat);
  const constant = op("onnx.Constant", [], shape, {
    value: { elem: "i64", shape: [2], data: BigInt64Array.from([3n, 10n]) },
  });
  const module: Module = {
    ...inner,
    inputs: [{ name: "h", value: hidden }],
    ops: [constant, op("onnx.Reshape", [hidden, shape], flat), ...inner.ops],
  };
  const { input } = rangesOf(await calibrate.run(module, context));
  const right = expected(samples, toNumbers(random([10, 12], 2)));
  expect(input.map((v) => v.toFixed(5))).toEqual(right.input.map((v) => v.toFixed(5)));
});

describe("grids of one matrix", () => {
  test("share ranges that hold for the inputs of all", async () => {
    const seen = new Map([
      ["hidden", [Float32Array.from(samples[0] ?? [])]],
      ["later", [Float32Array.from(samples[1] ?? [])]],
    ]);
    const { context, store } = surroundings({ samples: seen });
    const later: Value = { id: "x2", type: f32(3, 10), tensor: "later" };
    const one = grid(store);
    const first = one.ops[0];
    if (!first) throw new Error("the grid has no operation");
    const second = { ...first, operands: [later], results: [{ id: "y2", type: f32(2, 3, 12) }] };
    const module: Module = {
      ...one,
      inputs: [...one.inputs, { name: "x2", value: later }],
      ops: [first, second],
    };
    const after = await calibrate.run(module, context);
    const right = expected(samples, toNumbers(random([10, 12], 2)));
    expect(after.ops[0]?.attrs["input_range"]).toEqual(after.ops[1]?.attrs["input_range"]);
    expect(rangesOf(after).input.map((v) => v.toFixed(5))).toEqual(
      right.input.map((v) => v.toFixed(5)),
    );
  });
});

test("an input that the model has no tensor for is computed from those that it has", async () => {
  const { context, store, remarks } = surroundings({ samples: shown });
  const matrix = (name: string, rows: number, cols: number, seed: number) =>
    store.add(name, random([rows, cols], seed));
  const value = (id: string, width: number): Value => ({ id, type: f32(3, width) });
  const mvm = (from: Value, to: Value, weight: Attrs[string], rows: number, cols: number) =>
    op("aimc.mvm", [from], to, {
      weight,
      transposed: false,
      role: "expert",
      row_splits: [0, rows],
      col_splits: [0, cols],
    });
  const bias = op(
    "onnx.Constant",
    [],
    { id: "bias", type: f32(6), tensor: "bias" },
    { value: random([6], 8) },
  );
  const [up, shifted, act, y] = [
    value("up", 6),
    value("shifted", 6),
    value("act", 6),
    value("y", 4),
  ];
  const module: Module = {
    ...moduleOf(
      [x],
      [
        bias,
        mvm(x, up, matrix("up", 10, 6, 2), 10, 6),
        op("onnx.Add", [up, bias.results[0] ?? null], shifted),
        op("nn.activation", [shifted], act, { function: "relu" }),
        mvm(act, y, matrix("down", 6, 4, 3), 6, 4),
      ],
    ),
    level: "aimc",
  };
  const after = await calibrate.run(module, context);
  const [w, b] = [toNumbers(random([10, 6], 2)), toNumbers(random([6], 8))];
  const sums = samples.flatMap((s) =>
    Array.from({ length: 18 }, (_, i) => {
      const [t, n] = [Math.floor(i / 6), i % 6];
      return Array.from(
        { length: 10 },
        (_, k) => (s[t * 10 + k] ?? 0) * (w[k * 6 + n] ?? 0),
      ).reduce((a, v) => a + v, b[n] ?? 0);
    }),
  );
  const [range] = rangesOf({ ...after, ops: after.ops.slice(-1) }).input;
  expect(range).toBeCloseTo(Math.max(...sums), 5);
  expect(remarks).toEqual([]);
});
