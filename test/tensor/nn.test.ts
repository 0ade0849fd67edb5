/** Kernels of the nn and aimc levels against what their operations mean as ONNX graphs. */

import { describe, expect, test } from "vitest";
import { EXPANSIONS } from "../../passes/expand-fused.ts";
import { OPS } from "../../src/ir/registry.ts";
import { toNumbers } from "../../src/tensor/convert.ts";
import { KERNELS, kernelOf } from "../../src/tensor/kernels/index.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { agrees, type Draw, int, narrowed, pick, shapeOf, values } from "./on-ort.ts";

/** The functions that docs of nn.activation list. */
const FUNCTIONS = /one of (.+)\./.exec(OPS.get("nn.activation")?.doc ?? "")?.[1]?.split(", ") ?? [];

const CLOSER = { relative: 2e-5, absolute: 2e-5 };

/** What no kernel computes: tiles do aimc.mvm, and the program level wraps operations. */
const NOT_DIGITAL = /^(aimc\.mvm|program\..*)$/;

describe("the registry", () => {
  const digital = [...OPS.keys()].filter((kind) => !NOT_DIGITAL.test(kind));
  // An operation that is written out before anything runs it needs none: what stays is refused (A151).
  const run = digital.filter((kind) => EXPANSIONS[kind] === undefined);
  test.each(run)("%s has a kernel", (kind) => expect(kernelOf(kind)).toBeDefined());
  test("every kernel has an operation", () => {
    const kinds = [...KERNELS.keys()].map((k) => (/^(nn|aimc)\./.test(k) ? k : `onnx.${k}`));
    expect(kinds.filter((k) => !OPS.has(k))).toEqual([]);
  });
});

const f32 = (draw: Draw, ...shape: number[]) => values(draw, "f32", shape);

describe("linear layers", () => {
  agrees(
    "nn.linear",
    (draw) => {
      const x = f32(draw, ...shapeOf(draw, 0, 3), 6);
      const columns = int(draw, 1, 9);
      const transposed = pick(draw, true, false);
      const slice = pick(draw, null, 0, 2);
      const matrix = transposed ? [columns, 6] : [6, columns];
      const weight = f32(draw, ...(slice === null ? matrix : [3, ...matrix]));
      const bias = pick(draw, true, false) ? f32(draw, columns) : null;
      const attrs = { weight, transposed, role: "other", ...(slice === null ? {} : { slice }) };
      return { kind: "nn.linear", inputs: [x, bias], attrs, weights: [null, weight] };
    },
    CLOSER,
    40,
  );
  agrees(
    "nn.linear of an expert",
    (draw) => {
      const [tokens, experts, columns] = [int(draw, 1, 7), 3, int(draw, 1, 5)];
      const transposed = pick(draw, true, false);
      const weight = f32(draw, ...(transposed ? [columns, 6] : [6, columns]));
      const bias = pick(draw, true, false) ? f32(draw, columns) : null;
      const routing = sparse(f32(draw, tokens, experts));
      const attrs = { weight, transposed, role: "expert", expert: int(draw, 0, 2) };
      const inputs = [f32(draw, tokens, 6), bias, routing];
      return { kind: "nn.linear", inputs, attrs, weights: [weight] };
    },
    CLOSER,
    30,
  );
  agrees(
    "nn.lora",
    (draw) => {
      const batch = shapeOf(draw, 1, 2);
      const [a, b] = [f32(draw, 2, 6), f32(draw, 5, 2)];
      const inputs = [f32(draw, ...batch, 6), f32(draw, ...batch, 5)];
      return { kind: "nn.lora", inputs, attrs: { a, b, scale: 0.7, of: "w" }, weights: [a, b] };
    },
    CLOSER,
  );
});

/** About half of the values become 0. */
function sparse(t: Tensor): Tensor {
  return { ...t, data: (t.data as Float32Array).map((v) => Math.max(v, 0)) };
}

describe("rows", () => {
  agrees("nn.embedding", (draw) => {
    const ids = values(draw, pick(draw, "i64", "i32"), shapeOf(draw, 1, 2), 4);
    return { kind: "nn.embedding", inputs: [f32(draw, 5, 3), ids] };
  });
  const optional = (draw: Draw) => (pick(draw, true, false) ? f32(draw, 8) : null);
  const rows = (draw: Draw) => f32(draw, ...shapeOf(draw, 1, 3), 8);
  const norm = { relative: 1e-4, absolute: 1e-4 };
  agrees(
    "nn.layer_norm",
    (draw) => ({
      kind: "nn.layer_norm",
      inputs: [rows(draw), optional(draw), optional(draw)],
      attrs: { epsilon: 1e-3 },
    }),
    norm,
  );
  agrees(
    "nn.rms_norm",
    (draw) => ({
      kind: "nn.rms_norm",
      inputs: [rows(draw), optional(draw)],
      attrs: { epsilon: 1e-3 },
    }),
    norm,
  );
  agrees("nn.softmax", (draw) => ({
    kind: "nn.softmax",
    inputs: [rows(draw)],
    attrs: { axis: pick(draw, -1, 0, -2) },
  }));
});

describe("elements", () => {
  test("the functions are known", () => expect(FUNCTIONS).toContain("gelu_erf"));
  for (const name of FUNCTIONS) {
    agrees(
      `nn.activation ${name}`,
      (draw) => ({
        kind: "nn.activation",
        inputs: [values(draw, "f32", shapeOf(draw), 6)],
        attrs: { function: name },
      }),
      CLOSER,
    );
    agrees(
      `nn.gated ${name}`,
      (draw) => {
        const shape = shapeOf(draw);
        const inputs = [values(draw, "f32", shape, 6), values(draw, "f32", shape)];
        return { kind: "nn.gated", inputs, attrs: { function: name } };
      },
      CLOSER,
      5,
    );
  }
  agrees("nn.residual", (draw) => {
    const shape = shapeOf(draw);
    return { kind: "nn.residual", inputs: [f32(draw, ...shape), f32(draw, ...shape)] };
  });
  agrees("nn.cache_append", (draw) => {
    const shape = [2, 3, 4, 5];
    const axis = int(draw, -4, 3);
    const one = () => f32(draw, ...shape.with(axis, int(draw, 1, 4)));
    return { kind: "nn.cache_append", inputs: [one(), one()], attrs: { axis } };
  });
  agrees("nn.rope", (draw) => {
    const shape = [int(draw, 1, 2), int(draw, 1, 3), int(draw, 1, 5), 2 * int(draw, 1, 4)];
    const table = () => f32(draw, ...narrowed(draw, shape.slice(0, 3)), shape[3] ?? 2);
    const interleaved = pick(draw, true, false);
    return {
      kind: "nn.rope",
      inputs: [f32(draw, ...shape), table(), table()],
      attrs: { interleaved },
    };
  });
});

describe("attention", () => {
  agrees(
    "nn.attention",
    (draw) => {
      const [batch, keyHeads, share] = [int(draw, 1, 2), int(draw, 1, 2), int(draw, 1, 3)];
      const queries = int(draw, 1, 5);
      const keys = queries + int(draw, 0, 4);
      const [depth, width] = [int(draw, 1, 8), int(draw, 1, 8)];
      const heads = keyHeads * share;
      const q = f32(draw, batch, heads, queries, depth);
      const k = f32(draw, batch, keyHeads, keys, depth);
      const v = f32(draw, batch, keyHeads, keys, width);
      const masked = narrowed(draw, [batch, heads, queries, keys]);
      const mask = pick(draw, true, false) ? f32(draw, ...masked) : null;
      const causal = pick(draw, true, false);
      const window = causal && pick(draw, true, false) ? { window: int(draw, 1, 4) } : {};
      const attrs = { scale: 0.4, causal, ...window };
      const sinks = narrowed(draw, [batch, heads, queries, 1]);
      const sink = pick(draw, true, false) ? f32(draw, ...sinks) : null;
      return { kind: "nn.attention", inputs: [q, k, v, mask, sink], attrs };
    },
    CLOSER,
    80,
  );

  test("a block of queries gets the rows that it would get among all queries", () => {
    const draw = { q: seeded([1, 2, 6, 4]), k: seeded([1, 2, 6, 4]), v: seeded([1, 2, 6, 4]) };
    const kernel = kernelOf("nn.attention");
    const run = (from: number, to: number) => {
      const inputs = [rowsOf(draw.q, from, to), rowsOf(draw.k, 0, to), rowsOf(draw.v, 0, to)];
      const attrs = { scale: 0.5, causal: true, window: 3 };
      return kernel?.({ inputs, attrs, outShapes: null })[0] as Tensor;
    };
    const whole = run(0, 6);
    for (const [from, to] of [
      [0, 2],
      [2, 4],
      [3, 6],
    ] as const) {
      expect(toNumbers(run(from, to))).toEqual(toNumbers(rowsOf(whole, from, to)));
    }
  });

  test("a query whose keys are all masked out gives zeros, not NaN", () => {
    const kernel = kernelOf("nn.attention");
    const mask = {
      elem: "f32",
      shape: [2, 2],
      data: Float32Array.of(0, -Infinity, -Infinity, -Infinity),
    };
    const x = seeded([1, 1, 2, 4]);
    const inputs = [x, x, x, mask as Tensor];
    const [y] = kernel?.({ inputs, attrs: { scale: 1, causal: false }, outShapes: null }) ?? [];
    expect(toNumbers(y as Tensor).slice(4)).toEqual([0, 0, 0, 0]);
    expect(toNumbers(y as Tensor).slice(0, 4)).toEqual(toNumbers(x).slice(0, 4));
  });
});

/** Rows `from` to `to` of axis 2 of [B, H, S, D]. */
function rowsOf(t: Tensor, from: number, to: number): Tensor {
  const [batch = 1, heads = 1, rows = 1, depth = 1] = t.shape;
  const data: number[] = [];
  for (let h = 0; h < batch * heads; h++) {
    data.push(
      ...(t.data as Float32Array).slice((h * rows + from) * depth, (h * rows + to) * depth),
    );
  }
  return { elem: "f32", shape: [batch, heads, to - from, depth], data: Float32Array.from(data) };
}

function seeded(shape: readonly number[]): Tensor {
  const size = shape.reduce((a, b) => a * b);
  return {
    elem: "f32",
    shape,
    data: Float32Array.from({ length: size }, (_, i) => Math.sin(i * i)),
  };
}

describe("experts", () => {
  for (const score of ["softmax", "sigmoid"]) {
    for (const first of ["score", "top_k"]) {
      agrees(`nn.router: ${first} first, by ${score}`, (draw) => {
        const experts = int(draw, 1, 8);
        const top = int(draw, 1, experts);
        const attrs = { top_k: top, normalize: pick(draw, true, false), score, first };
        return { kind: "nn.router", inputs: [f32(draw, int(draw, 1, 5), experts)], attrs };
      });
    }
  }
  agrees("nn.combine", (draw) => {
    const [tokens, experts, width] = [int(draw, 1, 5), int(draw, 1, 4), int(draw, 1, 6)];
    const ys = Array.from({ length: experts }, () => f32(draw, tokens, width));
    return { kind: "nn.combine", inputs: [sparse(f32(draw, tokens, experts)), ...ys] };
  });
  test("rows of experts that were not chosen are not read", () => {
    const routing = { elem: "f32", shape: [1, 2], data: Float32Array.of(0, 2) } as Tensor;
    const y = (v: number): Tensor => ({ elem: "f32", shape: [1, 1], data: Float32Array.of(v) });
    const kernel = kernelOf("nn.combine");
    const [sum] = kernel?.({ inputs: [routing, y(NaN), y(3)], attrs: {}, outShapes: null }) ?? [];
    expect(toNumbers(sum as Tensor)).toEqual([6]);
  });
});

describe("partial sums", () => {
  agrees("aimc.sum", (draw) => ({ kind: "aimc.sum", inputs: [f32(draw, int(draw, 2, 9), 3, 4)] }));
  test("the tree rounds to float32 after every addition of two neighbours", () => {
    // Added in order, the small terms vanish one by one; in pairs they survive as 2^-23.
    const small = 2 ** -24;
    const partials = { elem: "f32", shape: [4, 1], data: Float32Array.of(1, 0, small, small) };
    const [sum] =
      kernelOf("aimc.sum")?.({ inputs: [partials as Tensor], attrs: {}, outShapes: null }) ?? [];
    expect(toNumbers(sum as Tensor)).toEqual([1 + 2 * small]);
  });
});
