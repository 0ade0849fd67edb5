/** Reductions, norms, softmax, products and einsum against ONNX Runtime. */

import fc from "fast-check";
import { describe } from "vitest";
import { agrees, type Draw, int, ints, pick, shapeOf, values } from "./on-ort.ts";

const DOUBLE = { relative: 1e-12, absolute: 1e-12 };
const HALF = { relative: 5e-3, absolute: 5e-3 };

const axesIn = (draw: Draw, rank: number) =>
  draw(fc.subarray([...Array(rank).keys()], { minLength: 1 })).map((a) => pick(draw, a, a - rank));

describe("reductions", () => {
  const floats = ["Sum", "Mean", "Prod", "Max", "Min", "L1", "L2", "SumSquare", "LogSumExp"];
  for (const name of floats) {
    agrees(`Reduce${name}`, (draw) => {
      const shape = shapeOf(draw);
      const axes = pick(draw, true, true, false) ? ints(axesIn(draw, shape.length)) : null;
      const x = values(draw, "f32", shape);
      return {
        kind: `onnx.Reduce${name}`,
        inputs: [x, axes],
        attrs: { keepdims: int(draw, 0, 1) },
      };
    });
  }
  for (const name of ["Sum", "Max", "Min", "Mean"]) {
    agrees(`Reduce${name} on i64 and i32`, (draw) => {
      const shape = shapeOf(draw);
      const x = values(draw, name === "Mean" ? "i32" : pick(draw, "i64", "i32"), shape, 1000);
      return { kind: `onnx.Reduce${name}`, inputs: [x, ints(axesIn(draw, shape.length))] };
    });
  }
  for (const name of ["ArgMax", "ArgMin"]) {
    agrees(name, (draw) => {
      const shape = shapeOf(draw);
      const axis = int(draw, -shape.length, shape.length - 1);
      const attrs = { axis, keepdims: int(draw, 0, 1), select_last_index: int(draw, 0, 1) };
      const x = values(draw, "i32", shape, 2);
      return { kind: `onnx.${name}`, inputs: [x], attrs };
    });
  }
});

describe("softmax", () => {
  for (const name of ["Softmax", "LogSoftmax", "Hardmax"]) {
    agrees(name, (draw) => {
      const shape = shapeOf(draw);
      const axis = int(draw, -shape.length, shape.length - 1);
      return { kind: `onnx.${name}`, inputs: [values(draw, "f32", shape, 20)], attrs: { axis } };
    });
  }
});

describe("norms", () => {
  agrees(
    "LayerNormalization",
    (draw) => {
      const shape = shapeOf(draw, 2, 4);
      const axis = int(draw, 1, shape.length - 1);
      const scale = values(draw, "f32", shape.slice(axis));
      const bias = pick(draw, true, false) ? values(draw, "f32", shape.slice(axis)) : null;
      const attrs = { axis: axis - shape.length, epsilon: 1e-3 };
      const inputs = [values(draw, "f32", shape), scale, bias];
      return { kind: "onnx.LayerNormalization", inputs, attrs, results: 3 };
    },
    { relative: 1e-4, absolute: 1e-4 },
  );
  agrees("RMSNormalization", (draw) => {
    const shape = shapeOf(draw, 2, 4);
    const scale = values(draw, "f32", shape.slice(-1));
    const inputs = [values(draw, "f32", shape), scale];
    return { kind: "onnx.RMSNormalization", inputs, attrs: { axis: -1, epsilon: 1e-3 } };
  });
  const channels = (draw: Draw) => [int(draw, 1, 3), 4, int(draw, 1, 5), int(draw, 2, 5)];
  const affine = (draw: Draw) => [values(draw, "f32", [4]), values(draw, "f32", [4])];
  agrees("BatchNormalization", (draw) => {
    const x = values(draw, "f32", channels(draw));
    const variance = { ...values(draw, "f32", [4]), data: Float32Array.of(1, 0.5, 2, 3) };
    const inputs = [x, ...affine(draw), values(draw, "f32", [4]), variance];
    return { kind: "onnx.BatchNormalization", inputs };
  });
  agrees(
    "InstanceNormalization",
    (draw) => {
      const inputs = [values(draw, "f32", channels(draw)), ...affine(draw)];
      return { kind: "onnx.InstanceNormalization", inputs, attrs: { epsilon: 1e-2 } };
    },
    { relative: 1e-4, absolute: 1e-4 },
  );
  agrees(
    "GroupNormalization",
    (draw) => {
      const inputs = [values(draw, "f32", channels(draw)), ...affine(draw)];
      const attrs = { num_groups: pick(draw, 1, 2, 4), epsilon: 1e-2 };
      return { kind: "onnx.GroupNormalization", inputs, attrs };
    },
    { relative: 1e-4, absolute: 1e-4 },
  );
});

describe("matrix products", () => {
  const sizes = (draw: Draw) => [int(draw, 1, 7), int(draw, 1, 7), int(draw, 1, 7)] as const;
  const batches = (draw: Draw) =>
    pick(
      draw,
      [[], []],
      [[3], []],
      [[], [2]],
      [[2, 3], [3]],
      [
        [2, 1],
        [1, 4],
      ],
      [
        [2, 3],
        [2, 3],
      ],
    );
  for (const elem of ["f32", "f64", "i64", "i32", "f16"] as const) {
    const tolerance = elem === "f64" ? DOUBLE : elem === "f16" ? HALF : undefined;
    agrees(
      `MatMul on ${elem}`,
      (draw) => {
        const [m, k, n] = sizes(draw);
        const [a = [], b = []] = batches(draw);
        const inputs = [values(draw, elem, [...a, m, k]), values(draw, elem, [...b, k, n])];
        return { kind: "onnx.MatMul", inputs };
      },
      tolerance,
    );
  }
  agrees("MatMul of vectors", (draw) => {
    const [m, k, n] = sizes(draw);
    const [a, b] = pick(draw, [[k], [k]], [[k], [2, k, n]], [[2, m, k], [k]]);
    return {
      kind: "onnx.MatMul",
      inputs: [values(draw, "f32", a ?? []), values(draw, "f32", b ?? [])],
    };
  });
  agrees("Gemm", (draw) => {
    const [m, k, n] = sizes(draw);
    const [transA, transB] = [int(draw, 0, 1), int(draw, 0, 1)];
    const a = values(draw, "f32", transA ? [k, m] : [m, k]);
    const b = values(draw, "f32", transB ? [n, k] : [k, n]);
    const c = pick(draw, null, [m, n], [n], [m, 1], [1], []);
    const attrs = { transA, transB, alpha: 0.5, beta: 1.5 };
    return { kind: "onnx.Gemm", inputs: [a, b, c && values(draw, "f32", c)], attrs };
  });
});

describe("Einsum", () => {
  const cases: readonly (readonly [string, ...(readonly number[])[]])[] = [
    ["ij,jk->ik", [2, 3], [3, 4]],
    ["bhid,bhjd->bhij", [2, 2, 3, 4], [2, 2, 5, 4]],
    ["bij,bjk", [2, 3, 4], [2, 4, 2]],
    ["ij->ji", [2, 3]],
    ["ij->", [2, 3]],
    ["ii->i", [3, 3]],
    ["...ii->...i", [2, 3, 3]],
    ["...ij,...jk->...ik", [2, 3, 4], [1, 4, 2]],
    ["te,etd->td", [3, 2], [2, 3, 4]],
    ["i,j->ij", [3], [4]],
    ["ij,ij->", [2, 3], [2, 3]],
    ["bi,ij,bj->b", [2, 3], [3, 4], [2, 4]],
    ["td,edf->etf", [3, 4], [2, 4, 5]],
  ];
  for (const [equation, ...shapes] of cases) {
    agrees(
      equation,
      (draw) => ({
        kind: "onnx.Einsum",
        inputs: shapes.map((s) => values(draw, "f32", s)),
        attrs: { equation },
      }),
      undefined,
      2,
    );
  }
});
