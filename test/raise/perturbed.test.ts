/** Raising under changes: those that keep the meaning must not hide a module, others must not pass for one. */

import { describe, expect, test } from "vitest";
import { foldConstants } from "../../passes/fold-constants.ts";
import { inferShapes } from "../../passes/infer-shapes.ts";
import { simplify } from "../../passes/simplify.ts";
import { isTensorAttr, isWeightRef, type Module, type Op } from "../../src/ir/op.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import type { WeightStore } from "../../src/weights/store.ts";
import { apply, readCorpus } from "../ir/onnx-models.ts";
import { census, expectSame, raised } from "./raised.ts";
import { small } from "./small.ts";

function simple(name: string) {
  const { module, store, sample } = readCorpus(`${name}/test_data_set_0`);
  const passes = [inferShapes, foldConstants, simplify];
  return { module: passes.reduce((m, p) => apply(p, m, store), module), store, sample };
}

const COMMUTATIVE = new Set(["onnx.Add", "onnx.Mul"]);

const commuted = (module: Module): Module => ({
  ...module,
  ops: module.ops.map((op) =>
    COMMUTATIVE.has(op.kind) ? { ...op, operands: op.operands.toReversed() } : op,
  ),
});

describe.each([
  "bert_base_dynamic_t113hf433",
  "gpt2_past_t113hf433",
  "llama_past_t26hf450",
  "mixtral_loop_t26hf446",
  "olmoe_dense_t26hf5",
  "t5_encoder_t113hf433",
])("%s with the operands of every sum and product swapped", (name) => {
  test("holds the same modules and gives the same answer", async () => {
    const { module, store, sample } = simple(name);
    const [plain, swapped] = [raised(module, store), raised(commuted(module), store)];
    expect(census(swapped)).toEqual(census(plain));
    await expectSame(module, swapped, store, sample.inputs);
  });
});

/** The module with every constant of this shape changed. */
function withConstants(
  module: Module,
  store: WeightStore,
  shape: string,
  change: (values: number[]) => number[],
): Module {
  const ops = module.ops.map((op): Op => {
    const { value } = op.attrs;
    const held = isWeightRef(value) ? value.type.shape : isTensorAttr(value) ? value.shape : [];
    if (op.kind !== "onnx.Constant" || held.join() !== shape) return op;
    const old = isWeightRef(value) ? store.load(value) : (value as Tensor);
    return { ...op, attrs: { value: fromNumbers(old.elem, old.shape, change(toNumbers(old))) } };
  });
  return { ...module, ops };
}

const attentions = (module: Module) => module.ops.filter((op) => op.kind === "nn.attention");

describe("masks", () => {
  const SIZE = 16;
  const masks = `1,1,${SIZE},${SIZE}`;
  const { module, store, sample } = simple("gpt2_lm_t113hf433");
  const changed = (change: (i: number, j: number, visible: boolean) => boolean) =>
    withConstants(module, store, masks, (flags) =>
      flags.map((f, at) => (change(Math.floor(at / SIZE), at % SIZE, f !== 0) ? 1 : 0)),
    );

  test("the model's own is causal and goes", () => {
    for (const op of attentions(raised(module, store))) {
      expect(op.attrs).toMatchObject({ causal: true });
      expect(op.attrs).not.toHaveProperty("window");
      expect(op.operands).toHaveLength(3);
    }
  });

  test("one hidden pair more, or one visible pair more, is not causal", async () => {
    const cases = [
      changed((i, j, visible) => visible && !(i === 9 && j === 3)),
      changed((i, j, visible) => visible || (i === 4 && j === 7)),
      changed((_, j, visible) => visible && j > 0),
    ];
    for (const perturbed of cases) {
      const after = raised(perturbed, store);
      for (const op of attentions(after)) expect(op.attrs).toMatchObject({ causal: false });
      await expectSame(perturbed, after, store, sample.inputs);
    }
  });

  test("a window is found with its width", async () => {
    const perturbed = changed((i, j) => j <= i && j > i - 5);
    const after = raised(perturbed, store);
    expect(attentions(after)).toHaveLength(2);
    for (const op of attentions(after)) {
      expect(op.attrs).toMatchObject({ causal: true, window: 5 });
    }
    await expectSame(perturbed, after, store, sample.inputs);
  });
});

describe("norms", () => {
  const row = [1, -2, 3, 0.5];
  const feeds = new Map([["x", fromNumbers("f32", [2, 4], [...row, 0.1, 0.2, -0.1, 0.05])]]);
  const rms = (outside: boolean) =>
    small({ x: [2, 4] }, ({ op, number, ints }) => {
      const mean = op("ReduceMean", [op("Mul", ["x", "x"]), ints([-1])], { keepdims: 1 });
      const root = outside
        ? op("Add", [op("Sqrt", [mean]), number(0.25)])
        : op("Sqrt", [op("Add", [mean, number(0.25)])]);
      return op("Div", ["x", root]);
    });

  test("epsilon inside of the root makes an RMS norm", async () => {
    const { module, store } = rms(false);
    const after = raised(module, store);
    expect(census(after)).toEqual({ "nn.rms_norm": 1 });
    expect(after.ops.at(-1)?.attrs).toMatchObject({ epsilon: 0.25 });
    await expectSame(module, after, store, feeds);
  });

  test("epsilon beside the root does not", async () => {
    const { module, store } = rms(true);
    const after = raised(module, store);
    expect(census(after)).not.toHaveProperty("nn.rms_norm");
    await expectSame(module, after, store, feeds);
  });

  test("a mean over another axis does not", () => {
    const { module, store } = small({ x: [4, 4] }, ({ op, number, ints }) => {
      const mean = op("ReduceMean", [op("Mul", ["x", "x"]), ints([0])], { keepdims: 1 });
      return op("Div", ["x", op("Sqrt", [op("Add", [mean, number(0.25)])])]);
    });
    expect(census(raised(module, store))).not.toHaveProperty("nn.rms_norm");
  });
});

describe("activations", () => {
  const feeds = new Map([["x", fromNumbers("f32", [5], [-3, -0.5, 0, 0.7, 2])]]);

  /** x/2 (1 + tanh(c (x + k x³))), the cube as a product. */
  const gelu = (k: number) =>
    small({ x: [5] }, ({ op, number }) => {
      const cube = op("Mul", ["x", op("Mul", ["x", "x"])]);
      const inner = op("Add", [op("Mul", [number(k), cube]), "x"]);
      const tanh = op("Tanh", [op("Mul", [number(Math.sqrt(2 / Math.PI)), inner])]);
      return op("Mul", [op("Add", [number(1), tanh]), op("Div", ["x", number(2)])]);
    });

  test("the cubic of GELU is found however it is written", async () => {
    const { module, store } = gelu(0.044715);
    const after = raised(module, store);
    expect(census(after)).toEqual({ "nn.activation": 1 });
    expect(after.ops.at(-1)?.attrs).toMatchObject({ function: "gelu_tanh" });
    await expectSame(module, after, store, feeds);
  });

  test("another cubic is not GELU", async () => {
    const { module, store } = gelu(0.05);
    const after = raised(module, store);
    const functions = after.ops.map((op) => op.attrs["function"]);
    expect(functions).not.toContain("gelu_tanh");
    await expectSame(module, after, store, feeds);
  });
});

describe("linears", () => {
  const weights = { shape: [3, 2], values: [1, 2, 3, 4, 5, 6] };
  const feeds = new Map([["x", fromNumbers("f32", [2, 3], [1, -1, 2, 0.5, 0, -2])]]);

  test.each([
    ["alpha", { alpha: 2 }],
    ["beta", { beta: 0.5 }],
  ])("a Gemm with %s keeps its meaning", async (_, attrs) => {
    const { module, store } = small({ x: [2, 3] }, ({ op, constant }) =>
      op("Gemm", ["x", constant(weights.shape, weights.values), constant([2], [10, 20])], attrs),
    );
    await expectSame(module, raised(module, store), store, feeds);
  });

  test("a product that others read too keeps its bias apart", async () => {
    const { module, store } = small({ x: [2, 3] }, ({ op, constant }) => {
      const y = op("MatMul", ["x", constant(weights.shape, weights.values)]);
      return op("Mul", [y, op("Add", [y, constant([2], [10, 20])])]);
    });
    const after = raised(module, store);
    expect(census(after)["nn.linear"]).toBe(1);
    await expectSame(module, after, store, feeds);
  });

  test("a constant on the left is a linear over the columns", async () => {
    const { module, store } = small({ x: [2, 3] }, ({ op, constant }) =>
      op("MatMul", [constant([2, 2], [1, 2, 3, 4]), "x"]),
    );
    const after = raised(module, store);
    expect(census(after)).toEqual({ "onnx.Transpose": 2, "nn.linear": 1 });
    await expectSame(module, after, store, feeds);
  });
});

test("a router's weights may be divided by the sum of their sizes", async () => {
  const { module, store, sample } = simple("mixtral_loop_t26hf446");
  const ops = module.ops.map((op) =>
    op.kind === "onnx.ReduceSum" ? { ...op, kind: "onnx.ReduceL1" } : op,
  );
  const sizes = { ...module, ops };
  const after = raised(sizes, store);
  expect(census(after)).toMatchObject({ "nn.router": 2, "nn.combine": 2 });
  await expectSame(module, after, store, sample.inputs);
});

/** As ONNX Runtime writes it: what picks or splits stands before the transposition that it stood behind. */
function transposedLast(module: Module): Module {
  const made = new Map(module.ops.flatMap((op) => op.results.map((r) => [r, op] as const)));
  const later = (op: Op, axis: number): readonly Op[] | null => {
    const [turned, ...more] = op.operands;
    const transpose = turned && made.get(turned);
    const [from] = transpose?.operands ?? [];
    if (transpose?.kind !== "onnx.Transpose" || !from) return null;
    const inner = op.results.map((r) => ({
      id: `${r.id}_turned`,
      type: { ...r.type, shape: r.type.shape.toReversed() },
    }));
    const first: Op = { ...op, operands: [from, ...more], results: inner, attrs: { axis } };
    const turns = op.results.map((r, i): Op => {
      const operands = inner.slice(i, i + 1);
      return { ...op, kind: "onnx.Transpose", operands, results: [r], attrs: { perm: [1, 0] } };
    });
    return [first, ...turns];
  };
  const AXES: Readonly<Record<string, number>> = { "onnx.Gather": 2, "onnx.Split": 0 };
  const ops = module.ops.flatMap((op) => {
    const axis = AXES[op.kind];
    return (axis === undefined ? null : later(op, axis)) ?? [op];
  });
  return { ...module, ops };
}

test("the experts' loop may pick from its indices before it turns them", async () => {
  const { module, store, sample } = simple("mixtral_loop_t26hf446");
  const turned = transposedLast(module);
  expect(census(turned)["onnx.Transpose"]).toBeGreaterThan(census(module)["onnx.Transpose"] ?? 0);
  const after = raised(turned, store);
  expect(census(after)).toMatchObject({ "nn.router": 2, "nn.combine": 2 });
  expect(census(after)["onnx.NonZero"]).toBeUndefined();
  await expectSame(module, after, store, sample.inputs);
});
