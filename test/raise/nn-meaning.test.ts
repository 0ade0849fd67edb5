/** What nn operations mean as ONNX, held against their definitions written out as loops. */

import { describe, expect, test } from "vitest";
import type { Attrs, Module, Value } from "../../src/ir/op.ts";
import { verify } from "../../src/ir/verify.ts";
import { exportModule } from "../../src/onnx/export.ts";
import { runModel } from "../../src/reference/run.ts";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import { sizeOf, type Tensor } from "../../src/tensor/tensor.ts";
import { ModelStore } from "../../src/weights/model-store.ts";

/** Numbers between -2 and 2 without a pattern that a wrong index could meet. */
const filled = (shape: readonly number[], seed: number): Tensor =>
  fromNumbers(
    "f32",
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => 2 * Math.sin(seed * 12.9898 + i * 78.233)),
  );

async function run(
  kind: string,
  operands: readonly (Tensor | null)[],
  attrs: Attrs,
  shape: readonly number[],
  store = new ModelStore(),
): Promise<readonly number[]> {
  const values = operands.map((t, i): Value | null =>
    t ? { id: `x${i}`, type: { elem: t.elem, shape: t.shape } } : null,
  );
  const result: Value = { id: "y", type: { elem: "f32", shape } };
  const module: Module = {
    level: "nn",
    name: "one",
    inputs: values.flatMap((value) => (value ? [{ name: value.id, value }] : [])),
    outputs: [{ name: "y", value: result }],
    ops: [{ kind, operands: values, results: [result], attrs, origin: ["here"] }],
  };
  expect([...verify(module)]).toEqual([]);
  const feeds = new Map(operands.flatMap((t, i) => (t ? [[`x${i}`, t] as const] : [])));
  const y = (await runModel(exportModule(module, store), feeds)).get("y");
  if (!y) throw new Error("there is no result");
  expect(y.shape).toEqual(shape);
  return toNumbers(y);
}

function expectClose(actual: readonly number[], expected: readonly number[]) {
  expect(actual).toHaveLength(expected.length);
  for (const [i, e] of expected.entries()) expect(actual[i]).toBeCloseTo(e, 4);
}

const at = (list: readonly number[], i: number): number => list[i] ?? Number.NaN;

describe("nn.attention", () => {
  test.each([{ causal: true }, { causal: true, window: 2 }, { causal: false }])(
    "on grouped heads with a mask, %o",
    async (who) => {
      const [H, Hk, Sq, Sk, D, Dv] = [4, 2, 3, 5, 2, 3];
      const [q, k, v] = [
        filled([1, H, Sq, D], 1),
        filled([1, Hk, Sk, D], 2),
        filled([1, Hk, Sk, Dv], 3),
      ];
      const mask = filled([Sq, Sk], 4);
      const y = await run("nn.attention", [q, k, v, mask], { scale: 0.7, ...who }, [1, H, Sq, Dv]);
      const [Q, K, V, M] = [q, k, v, mask].map(toNumbers) as [
        number[],
        number[],
        number[],
        number[],
      ];
      const window = who.window ?? Sk;
      const expected: number[] = [];
      for (let h = 0; h < H; h++) {
        const g = Math.floor((h * Hk) / H);
        for (let i = 0; i < Sq; i++) {
          const newest = i + Sk - Sq;
          const weights = Array.from({ length: Sk }, (_, j) => {
            if (who.causal && (j > newest || j <= newest - window)) return 0;
            let dot = 0;
            for (let d = 0; d < D; d++)
              dot += at(Q, (h * Sq + i) * D + d) * at(K, (g * Sk + j) * D + d);
            return Math.exp(0.7 * dot + at(M, i * Sk + j));
          });
          const total = weights.reduce((a, b) => a + b);
          for (let d = 0; d < Dv; d++) {
            const sum = weights.reduce((s, w, j) => s + w * at(V, (g * Sk + j) * Dv + d), 0);
            expected.push(sum / total);
          }
        }
      }
      expectClose(y, expected);
    },
  );
});

describe("nn.rope", () => {
  test.each([false, true])("interleaved: %s", async (interleaved) => {
    const [S, D] = [3, 6];
    const [x, cos, sin] = [filled([1, 2, S, D], 1), filled([1, 1, S, D], 2), filled([S, D], 3)];
    const y = await run("nn.rope", [x, cos, sin], { interleaved }, [1, 2, S, D]);
    const [X, C, N] = [x, cos, sin].map(toNumbers) as [number[], number[], number[]];
    const expected = X.map((value, i) => {
      const d = i % D;
      const row = i - d;
      const low = interleaved ? d % 2 === 0 : d < D / 2;
      const step = interleaved ? 1 : D / 2;
      const turned = low ? -at(X, row + d + step) : at(X, row + d - step);
      return value * at(C, i % (S * D)) + turned * at(N, i % (S * D));
    });
    expectClose(y, expected);
  });
});

describe("nn.router", () => {
  const scores = {
    softmax: (row: readonly number[]) => {
      const total = row.reduce((s, x) => s + Math.exp(x), 0);
      return row.map((x) => Math.exp(x) / total);
    },
    sigmoid: (row: readonly number[]) => row.map((x) => 1 / (1 + Math.exp(-x))),
  };
  const cases = (["softmax", "sigmoid"] as const).flatMap((score) =>
    (["score", "top_k"] as const).flatMap((first) =>
      [true, false].map((normalize) => ({ score, first, normalize })),
    ),
  );

  test.each(cases)("%o", async ({ score, first, normalize }) => {
    const [T, E, k] = [4, 5, 2];
    const logits = filled([T, E], 5);
    const y = await run("nn.router", [logits], { top_k: k, normalize, score, first }, [T, E]);
    const expected = Array.from({ length: T }, (_, t) => {
      const row = toNumbers(logits).slice(t * E, (t + 1) * E);
      const chosen = row
        .map((_, e) => e)
        .toSorted((a, b) => at(row, b) - at(row, a))
        .slice(0, k);
      const picked = chosen.map((e) => at(row, e));
      const all = scores[score](row);
      const w = first === "score" ? chosen.map((e) => at(all, e)) : scores[score](picked);
      const total = normalize ? w.reduce((a, b) => a + b) : 1;
      return row.map((_, e) => (chosen.includes(e) ? at(w, chosen.indexOf(e)) / total : 0));
    }).flat();
    expectClose(y, expected);
  });
});

describe("nn.linear", () => {
  test.each([false, true])("one expert of a stack, transposed: %s", async (transposed) => {
    const [T, E, I, O, e] = [3, 4, 2, 3, 2];
    const store = new ModelStore();
    const stack = filled(transposed ? [E, O, I] : [E, I, O], 6);
    const weight = store.add("stack", stack);
    const [x, bias] = [filled([T, I], 7), filled([O], 8)];
    const routing = fromNumbers("f32", [T, E], [0, 0, 0.5, 0, 1, 0, 0, 0, 0, 0, 0.25, 0]);
    const attrs = { weight, transposed, slice: e, expert: e, role: "expert" };
    const y = await run("nn.linear", [x, bias, routing], attrs, [T, O], store);
    const [X, W, B, R] = [x, stack, bias, routing].map(toNumbers) as [
      number[],
      number[],
      number[],
      number[],
    ];
    const expected = Array.from({ length: T * O }, (_, n) => {
      const [t, o] = [Math.floor(n / O), n % O];
      if (at(R, t * E + e) === 0) return 0;
      let sum = at(B, o);
      for (let i = 0; i < I; i++) {
        sum += at(X, t * I + i) * at(W, e * I * O + (transposed ? o * I + i : i * O + o));
      }
      return sum;
    });
    expectClose(y, expected);
  });
});

test("nn.lora adds scale (x Aᵀ) Bᵀ", async () => {
  const [T, I, O, r] = [2, 3, 4, 2];
  const store = new ModelStore();
  const [A, B] = [filled([r, I], 9), filled([O, r], 10)];
  const [x, y0] = [filled([T, I], 11), filled([T, O], 12)];
  const attrs = { a: store.add("a", A), b: store.add("b", B), scale: 1.5, of: "w" };
  const y = await run("nn.lora", [x, y0], attrs, [T, O], store);
  const [X, Y, a, b] = [x, y0, A, B].map(toNumbers) as [number[], number[], number[], number[]];
  const expected = Array.from({ length: T * O }, (_, n) => {
    const [t, o] = [Math.floor(n / O), n % O];
    let sum = at(Y, n);
    for (let k = 0; k < r; k++) {
      for (let i = 0; i < I; i++)
        sum += 1.5 * at(X, t * I + i) * at(a, k * I + i) * at(b, o * r + k);
    }
    return sum;
  });
  expectClose(y, expected);
});

test("nn.combine sums the experts by their routing", async () => {
  const [T, H, E] = [3, 2, 3];
  const routing = filled([T, E], 13);
  const ys = [14, 15, 16].map((seed) => filled([T, H], seed));
  const y = await run("nn.combine", [routing, ...ys], {}, [T, H]);
  const R = toNumbers(routing);
  const expected = Array.from({ length: T * H }, (_, n) =>
    ys.reduce((s, t, e) => s + at(R, Math.floor(n / H) * E + e) * at(toNumbers(t), n), 0),
  );
  expectClose(y, expected);
});
