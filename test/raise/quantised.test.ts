/** Quantised products as exporters and quantisers write them: their integers lie on tiles, bit by bit. */

import { describe, expect, test } from "vitest";
import { inferShapes } from "../../passes/infer-shapes.ts";
import type { Module, Op } from "../../src/ir/op.ts";
import { isWeightRef } from "../../src/ir/op.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import type { WeightStore } from "../../src/weights/store.ts";
import { apply } from "../ir/onnx-models.ts";
import { randomOf } from "./perturb.ts";
import { census, expectSame, raised } from "./raised.ts";
import { small, type Writer } from "./small.ts";

const [ROWS, IN, OUT] = [3, 24, 5];

const whole = (count: number, low: number, high: number, seed: number): number[] => {
  const random = randomOf(seed);
  return Array.from({ length: count }, () => Math.floor(low + (high - low + 1) * random()));
};

const BYTES = whole(IN * OUT, -127, 127, 1);
const UNSIGNED = whole(IN * OUT, 0, 255, 2);
const NIBBLES = whole(IN * OUT, -8, 7, 4);
const SCALES = [0.01, 0.02, 0.03, 0.015, 0.005];
const random = randomOf(5);
const X = Array.from({ length: ROWS * IN }, () => 4 * random() - 1.5);
const feeds = new Map([["x", fromNumbers("f32", [ROWS, IN], X)]]);

/** Raises, and holds the answer against the module as it was written. */
async function raisedAs(written: { module: Module; store: WeightStore }): Promise<Module> {
  const after = raised(written.module, written.store);
  await expectSame(apply(inferShapes, written.module, written.store), after, written.store, feeds);
  return after;
}

const linearIn = (module: Module): Op => {
  const found = module.ops.filter((op) => op.kind === "nn.linear");
  expect(found).toHaveLength(1);
  return found[0] as Op;
};

/** The matrix that the linear names, as the store has it. */
function weightIn(op: Op, store: WeightStore): readonly number[] {
  const { weight } = op.attrs;
  if (!isWeightRef(weight)) throw new Error("a linear without a weight");
  expect(weight.type.elem).toMatch(/^u?i[48]$/);
  return toNumbers(store.load(weight));
}

/** x as unsigned bytes of 0.02 around 77, and back as real numbers. */
function bytesOf(w: Writer) {
  const [scale, zero] = [w.number(0.02), w.tensor("ui8", [], [77])];
  return { bytes: w.op("QuantizeLinear", ["x", scale, zero]), scale, zero };
}

interface Form {
  readonly write: (w: Writer) => string;
  readonly weight: readonly number[];
  readonly attrs: Readonly<Record<string, unknown>>;
}

/** 255 - 77 is further than 77 - 0. */
const STATIC = { input_bound: 178, input_scale: Math.fround(0.02) };

const FORMS: Readonly<Record<string, Form>> = {
  "QDQ, one scale": {
    write(w) {
      const { bytes, scale, zero } = bytesOf(w);
      const x = w.op("DequantizeLinear", [bytes, scale, zero]);
      const matrix = w.op("DequantizeLinear", [w.tensor("i8", [IN, OUT], BYTES), w.number(0.01)]);
      return w.op("Add", [w.op("MatMul", [x, matrix]), w.constant([OUT], [1, 2, 3, 4, 5])]);
    },
    weight: BYTES,
    attrs: { transposed: false, ...STATIC },
  },
  "QDQ, a scale for each output, transposed": {
    write(w) {
      const { bytes, scale, zero } = bytesOf(w);
      const x = w.op("DequantizeLinear", [bytes, scale, zero]);
      const zeros = w.tensor("i8", [OUT], [0, 0, 0, 0, 0]);
      const stored = w.tensor("i8", [OUT, IN], BYTES);
      const matrix = w.op("DequantizeLinear", [stored, w.constant([OUT], SCALES), zeros], {
        axis: 0,
      });
      return w.op("MatMul", [x, w.op("Transpose", [matrix], { perm: [1, 0] })]);
    },
    weight: BYTES,
    attrs: { transposed: true, ...STATIC },
  },
  "QDQ Gemm with a quantised bias": {
    write(w) {
      const { bytes, scale, zero } = bytesOf(w);
      const x = w.op("DequantizeLinear", [bytes, scale, zero]);
      const stored = w.tensor("i8", [OUT, IN], BYTES);
      const matrix = w.op("DequantizeLinear", [stored, w.number(0.01)]);
      const bias = w.tensor("i32", [OUT], [100, -2000, 300, 4, 5]);
      const real = w.op("DequantizeLinear", [bias, w.number(0.0002)]);
      return w.op("Gemm", [x, matrix, real], { transB: 1 });
    },
    weight: BYTES,
    attrs: { transposed: true, ...STATIC },
  },
  "QDQ Gemm, a scale for each output": {
    write(w) {
      const { bytes, scale, zero } = bytesOf(w);
      const x = w.op("DequantizeLinear", [bytes, scale, zero]);
      const stored = w.tensor("i8", [OUT, IN], BYTES);
      const matrix = w.op("DequantizeLinear", [stored, w.constant([OUT], SCALES)], { axis: 0 });
      return w.op("Gemm", [x, matrix], { transB: 1 });
    },
    weight: BYTES,
    attrs: { transposed: true, ...STATIC },
  },
  "QDQ, weights of four bits": {
    write(w) {
      const { bytes, scale, zero } = bytesOf(w);
      const x = w.op("DequantizeLinear", [bytes, scale, zero]);
      const operands = [w.tensor("i4", [IN, OUT], NIBBLES), w.constant([OUT], SCALES)];
      return w.op("MatMul", [x, w.op("DequantizeLinear", operands, { axis: 1 })]);
    },
    weight: NIBBLES,
    attrs: { transposed: false, ...STATIC },
  },
  "weights of four bits, a scale and zero point for each block": {
    write(w) {
      const operands = [
        w.tensor(
          "ui4",
          [OUT, IN],
          NIBBLES.map((v) => v + 8),
        ),
        w.constant(
          [OUT, 3],
          Array.from({ length: 3 * OUT }, (_, i) => 0.01 * (i + 1)),
        ),
        w.tensor(
          "ui4",
          [OUT, 3],
          Array.from({ length: 3 * OUT }, (_, i) => i),
        ),
      ];
      const attrs = { axis: 1, block_size: 8 };
      const matrix = w.op("DequantizeLinear", operands, attrs);
      return w.op("MatMul", ["x", w.op("Transpose", [matrix], { perm: [1, 0] })]);
    },
    weight: NIBBLES.map((v) => v + 8),
    attrs: { transposed: true, block: 8 },
  },
  "activations of sixteen bits before weights in blocks": {
    write(w) {
      const [scale, zero] = [w.number(2 ** -10), w.tensor("ui16", [], [30000])];
      const codes = w.op("QuantizeLinear", ["x", scale, zero]);
      const x = w.op("DequantizeLinear", [codes, scale, zero]);
      const scales = w.constant(
        [2, OUT],
        Array.from({ length: 2 * OUT }, (_, i) => 0.01 * (i + 1)),
      );
      const operands = [w.tensor("i8", [IN, OUT], BYTES), scales];
      return w.op("MatMul", [x, w.op("DequantizeLinear", operands, { axis: 0, block_size: 12 })]);
    },
    weight: BYTES,
    attrs: { transposed: false, block: 12, input_bound: 35535 / 1024, input_scale: 1 },
  },
  "weights only": {
    write(w) {
      const matrix = w.op(
        "DequantizeLinear",
        [w.tensor("i8", [IN, OUT], BYTES), w.constant([OUT], SCALES)],
        { axis: 1 },
      );
      return w.op("MatMul", ["x", matrix]);
    },
    weight: BYTES,
    attrs: { transposed: false },
  },
  "unsigned weights around zero points": {
    write(w) {
      const { bytes, scale, zero } = bytesOf(w);
      const x = w.op("DequantizeLinear", [bytes, scale, zero]);
      const zeros = w.tensor("ui8", [OUT], [128, 120, 130, 7, 255]);
      const stored = w.tensor("ui8", [IN, OUT], UNSIGNED);
      const operands = [stored, w.constant([OUT], SCALES), zeros];
      return w.op("MatMul", [x, w.op("DequantizeLinear", operands, { axis: 1 })]);
    },
    weight: UNSIGNED,
    attrs: { transposed: false, ...STATIC },
  },
  "dynamic quantisation": {
    write(w) {
      const [bytes = "", scale = "", zero = ""] = w.several("DynamicQuantizeLinear", ["x"], 3);
      const stored = w.tensor("i8", [IN, OUT], BYTES);
      const sum = w.op("MatMulInteger", [bytes, stored, zero, w.tensor("i8", [], [0])]);
      const both = w.op("Mul", [scale, w.number(0.01)]);
      return w.op("Mul", [w.op("Cast", [sum], { to: 1 }), both]);
    },
    weight: BYTES,
    attrs: { input_bound: 255 },
  },
  "integers that stay integers": {
    write(w) {
      const { bytes, zero } = bytesOf(w);
      const zeros = w.tensor("ui8", [OUT], [128, 120, 130, 7, 255]);
      const stored = w.tensor("ui8", [IN, OUT], UNSIGNED);
      const sum = w.op("MatMulInteger", [bytes, stored, zero, zeros]);
      const third = w.op("Div", [sum, w.tensor("i32", [], [3])]);
      return w.op("Cast", [third], { to: 1 });
    },
    weight: UNSIGNED,
    attrs: { input_bound: 178 },
  },
  QLinearMatMul: {
    write(w) {
      const { bytes, scale, zero } = bytesOf(w);
      const stored = w.tensor("i8", [IN, OUT], BYTES);
      const [scaleY, zeroY] = [w.number(0.05), w.tensor("ui8", [], [99])];
      const weights = [stored, w.number(0.01), w.tensor("i8", [], [0])];
      const y = w.op("QLinearMatMul", [bytes, scale, zero, ...weights, scaleY, zeroY]);
      return w.op("DequantizeLinear", [y, scaleY, zeroY]);
    },
    weight: BYTES,
    attrs: STATIC,
  },
};

describe.each(Object.entries(FORMS))("%s", (_, { write, weight, attrs }) => {
  const written = small({ x: [ROWS, IN] }, write);

  test("gives the same answer from the file's own bytes", async () => {
    const after = await raisedAs(written);
    const linear = linearIn(after);
    expect(linear.attrs).toMatchObject(attrs);
    expect(weightIn(linear, written.store)).toEqual(weight);
    expect(Object.keys(census(after)).filter((k) => /MatMul|Gemm/.test(k))).toEqual([]);
  });
});

test("a product of computed values that are rounded on the way says why it stays", () => {
  const { module, store } = small({ x: [2, 3], y: [3, 4] }, (w) => {
    const scale = w.number(0.02);
    const [x, y] = ["x", "y"].map((v) =>
      w.op("DequantizeLinear", [w.op("QuantizeLinear", [v, scale]), scale]),
    );
    return w.op("MatMul", [x ?? "", y ?? ""]);
  });
  const reasons: string[] = [];
  const after = raised(module, store, ({ why }) => reasons.push(why));
  expect(census(after)["onnx.MatMul"]).toBe(1);
  expect(reasons).toEqual([expect.stringMatching(/both of its factors are computed, and rounded/)]);
});

describe("parameters that no tile holds", () => {
  const gamma = [90, -40, 127, 3, 55, -128, 70, 66];
  const shape = { x: [3, 8] };
  const inputs = new Map([["x", fromNumbers("f32", [3, 8], X.slice(0, 24))]]);
  const row = (w: Writer, values: readonly number[]) =>
    w.op("DequantizeLinear", [w.tensor("i8", [8], values), w.number(0.01)]);

  test("a norm with a quantised scale and bias is a norm", async () => {
    const { module, store } = small(shape, (w) =>
      w.op("LayerNormalization", ["x", row(w, gamma), row(w, gamma.toReversed())], { axis: -1 }),
    );
    const after = raised(module, store);
    await expectSame(apply(inferShapes, module, store), after, store, inputs);
    expect(census(after)).toEqual({ "nn.layer_norm": 1 });
  });

  test("an activation with quantised numbers is one", async () => {
    const number = (w: Writer, value: number, scale: number) =>
      w.op("DequantizeLinear", [
        w.tensor("ui8", [], [value]),
        w.number(scale),
        w.tensor("ui8", [], [0]),
      ]);
    const { module, store } = small(shape, (w) => {
      const inner = w.op("Erf", [w.op("Div", ["x", number(w, 255, Math.SQRT2 / 255)])]);
      const one = w.op("Add", [inner, number(w, 4, 0.25)]);
      return w.op("Mul", [w.op("Mul", ["x", one]), number(w, 2, 0.25)]);
    });
    const after = raised(module, store);
    await expectSame(apply(inferShapes, module, store), after, store, inputs);
    expect(census(after)).toEqual({ "nn.activation": 1 });
  });
});

describe("convolutions", () => {
  const filters = whole(5 * 3 * 2 * 2, -127, 127, 3);
  const image = fromNumbers("f32", [1, 3, 4, 8], [...X, ...X].slice(0, 96));

  test("ConvInteger is a linear of patches without their zero point", async () => {
    const { module, store } = small({ x: [1, 3, 4, 8] }, (w) => {
      const [bytes = "", , zero = ""] = w.several("DynamicQuantizeLinear", ["x"], 3);
      const stored = w.tensor(
        "ui8",
        [5, 3, 2, 2],
        filters.map((v) => v + 128),
      );
      const attrs = { strides: [2, 2], pads: [1, 1, 1, 1] };
      const y = w.op("ConvInteger", [bytes, stored, zero, w.tensor("ui8", [], [128])], attrs);
      return w.op("Cast", [y], { to: 1 });
    });
    const after = raised(module, store);
    await expectSame(apply(inferShapes, module, store), after, store, new Map([["x", image]]));
    expect(weightIn(linearIn(after), store)).toEqual(filters.map((v) => v + 128));
  });

  test("QLinearConv keeps its scales for each filter and its bias", async () => {
    const { module, store } = small({ x: [1, 3, 4, 8] }, (w) => {
      const { bytes, scale, zero } = bytesOf(w);
      const stored = w.tensor("i8", [5, 3, 2, 2], filters);
      const weights = [stored, w.constant([5], SCALES), w.tensor("i8", [5], [0, 0, 0, 0, 0])];
      const out = [w.number(0.03), w.tensor("ui8", [], [101])];
      const bias = w.tensor("i32", [5], [500, -300, 20, 9000, -1]);
      const operands = [bytes, scale, zero, ...weights, ...out, bias];
      const y = w.op("QLinearConv", operands, { strides: [2, 2] });
      return w.op("DequantizeLinear", [y, ...out]);
    });
    const after = raised(module, store);
    await expectSame(apply(inferShapes, module, store), after, store, new Map([["x", image]]));
    expect(weightIn(linearIn(after), store)).toEqual(filters);
    expect(linearIn(after).attrs).toMatchObject({ role: "patch", ...STATIC });
  });
});
