/** Elementwise kernels against ONNX Runtime. */

import { describe, expect, test } from "vitest";
import { runModel } from "../../src/reference/run.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { KERNELS } from "../../src/tensor/kernels/index.ts";
import { type Elem, isFloat, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { encode, node, port } from "../onnx/small-model.ts";
import type { Draw, Example } from "./on-ort.ts";
import { agrees, narrowed, pick, shapeOf, values } from "./on-ort.ts";

/** Half precision keeps 11 bits; both sides round once. */
const HALF = { relative: 2e-3, absolute: 1e-3 };
const EXACT = { relative: 2e-7, absolute: 1e-7 };
const DOUBLE = { relative: 1e-14, absolute: 1e-14 };

function pair(draw: Draw, elem: Elem): Tensor[] {
  const shape = shapeOf(draw, 0, 4, 0);
  const [a, b] = pick(draw, [true, true], [true, false], [false, true]);
  return [a, b].map((full) => values(draw, elem, full ? shape : narrowed(draw, shape), 20));
}

const toleranceOf = (elem: Elem) => (elem === "f16" ? HALF : elem === "f64" ? DOUBLE : EXACT);

describe.each(["f32", "f64", "f16", "i64", "i32"] as const)("arithmetic on %s", (elem) => {
  for (const name of ["Add", "Sub", "Mul"]) {
    agrees(name, (draw) => ({ kind: `onnx.${name}`, inputs: pair(draw, elem) }), toleranceOf(elem));
  }
  const divisor = (t: Tensor): Tensor => nonZero(t);
  const divide =
    (kind: string, attrs = {}) =>
    (draw: Draw): Example => {
      const [a, b] = pair(draw, elem);
      return { kind, inputs: [a as Tensor, divisor(b as Tensor)], attrs };
    };
  agrees("Div", divide("onnx.Div"), toleranceOf(elem));
  if (!isFloat(elem)) agrees("Mod", divide("onnx.Mod"));
  if (elem !== "f16") agrees("fmod", divide("onnx.Mod", { fmod: 1 }), toleranceOf(elem));
  const many = (draw: Draw) => [...pair(draw, elem), values(draw, elem, [])];
  for (const name of ["Max", "Min"]) {
    agrees(name, (draw) => ({ kind: `onnx.${name}`, inputs: many(draw) }), toleranceOf(elem));
  }
});

function nonZero(t: Tensor): Tensor {
  const data = t.data.slice();
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    return { ...t, data: data.map((v) => (v === 0n ? 3n : v)) as BigInt64Array };
  }
  return { ...t, data: data.map((v) => (v === 0 ? 3 : v)) };
}

describe("arithmetic beyond two operands", () => {
  const three = (draw: Draw) => {
    const shape = shapeOf(draw);
    return [shape, narrowed(draw, shape), shape].map((s) => values(draw, "f32", s));
  };
  for (const name of ["Sum", "Mean"]) {
    agrees(name, (draw) => ({ kind: `onnx.${name}`, inputs: three(draw) }));
  }
  agrees("Where", (draw) => {
    const shape = shapeOf(draw);
    const elem = pick(draw, "f32" as const, "i64" as const, "ui8" as const);
    const [a, b] = [narrowed(draw, shape), narrowed(draw, shape)];
    const condition = values(draw, "i1", shape);
    return {
      kind: "onnx.Where",
      inputs: [condition, values(draw, elem, a), values(draw, elem, b)],
    };
  });
  agrees("PRelu", (draw) => {
    const shape = shapeOf(draw);
    const slope = values(draw, "f32", narrowed(draw, shape));
    return { kind: "onnx.PRelu", inputs: [values(draw, "f32", shape), slope] };
  });
});

describe("powers", () => {
  const power =
    (base: Elem, exponent: Elem) =>
    (draw: Draw): Example => {
      const shape = shapeOf(draw);
      const x = values(draw, base, shape, 4);
      const magnitude = isFloat(base) ? abs(x) : x;
      return { kind: "onnx.Pow", inputs: [magnitude, abs(values(draw, exponent, [], 5))] };
    };
  for (const base of ["f32", "i64", "i32"] as const) {
    for (const exponent of ["f32", "i64", "i32"] as const) {
      if (base !== "f32" && exponent === "f32") continue;
      agrees(`${base} to ${exponent}`, power(base, exponent), { relative: 1e-6, absolute: 1e-7 });
    }
  }
});

function abs(t: Tensor): Tensor {
  const { data } = t;
  if (data instanceof BigInt64Array) return { ...t, data: data.map((v) => (v < 0n ? -v : v)) };
  return { ...t, data: (data as Float32Array).map(Math.abs) };
}

describe("comparisons", () => {
  const close = (draw: Draw, elem: Elem) => {
    const shape = shapeOf(draw);
    return [values(draw, elem, shape, 2), values(draw, elem, narrowed(draw, shape), 2)];
  };
  const elem = (draw: Draw) => pick(draw, "f32" as const, "i64" as const, "i32" as const);
  for (const name of ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"]) {
    agrees(name, (draw) => ({ kind: `onnx.${name}`, inputs: close(draw, elem(draw)) }));
  }
  for (const name of ["And", "Or", "Xor"]) {
    agrees(name, (draw) => ({ kind: `onnx.${name}`, inputs: close(draw, "i1") }));
  }
  agrees("Not", (draw) => ({ kind: "onnx.Not", inputs: [values(draw, "i1", shapeOf(draw))] }));
  const odd = { elem: "f32", shape: [5], data: Float32Array.of(0, NaN, Infinity, -Infinity, 1) };
  for (const name of ["IsNaN", "IsInf"]) {
    agrees(name, () => ({ kind: `onnx.${name}`, inputs: [odd as Tensor] }), EXACT, 1);
  }
});

test("rounding keeps the sign of zero, as ONNX Runtime does", async () => {
  const x = tensor("f32", [6], Float32Array.of(-0.5, -0.3, -0, 0, 0.3, 0.5));
  for (const name of ["Round", "Ceil", "Floor"]) {
    const graph = {
      node: [node(name, ["x"], ["y"])],
      input: [port("x", x.shape)],
      output: [port("y", x.shape)],
    };
    const wanted = (await runModel(encode(graph, 17), new Map([["x", x]]))).get("y");
    const [found] = KERNELS.get(name)?.({ inputs: [x], attrs: {}, outShapes: null }) ?? [];
    expect(found?.data, name).toEqual(wanted?.data);
  }
});

describe("functions of one element", () => {
  const names = [
    ...["Abs", "Neg", "Sign", "Relu", "Exp", "Sin", "Cos", "Tanh", "Erf", "Sigmoid", "Softplus"],
    ...["Mish", "Ceil", "Floor", "Round", "HardSwish", "Softsign", "Gelu"],
    ...["Elu", "LeakyRelu", "Selu", "HardSigmoid", "Celu", "ThresholdedRelu"],
  ];
  for (const name of names) {
    agrees(
      name,
      (draw) => ({ kind: `onnx.${name}`, inputs: [values(draw, "f32", shapeOf(draw, 0, 3), 6)] }),
      { relative: 2e-5, absolute: 1e-6 },
    );
  }
  for (const name of ["Sqrt", "Log", "Reciprocal"]) {
    agrees(name, (draw) => ({
      kind: `onnx.${name}`,
      inputs: [nonZero(abs(values(draw, "f32", shapeOf(draw), 6)))],
    }));
  }
  agrees("Gelu with tanh", (draw) => ({
    kind: "onnx.Gelu",
    inputs: [values(draw, "f32", shapeOf(draw), 6)],
    attrs: { approximate: "tanh" },
  }));
  // ONNX Runtime's vectorised Sign looks at 32 bits only, so its operands stay within them.
  const ranges = { Abs: 1e12, Neg: 1e12, Sign: 1e9 };
  for (const [name, range] of Object.entries(ranges)) {
    agrees(`${name} on i64`, (draw) => ({
      kind: `onnx.${name}`,
      inputs: [values(draw, "i64", shapeOf(draw), range)],
    }));
  }
  agrees("Clip", (draw) => {
    const elem = pick(draw, "f32" as const, "i64" as const, "i8" as const);
    const bound = (v: number) => (pick(draw, true, false) ? scalarOf(elem, v) : null);
    const inputs = [values(draw, elem, shapeOf(draw), 9), bound(-4), bound(5)];
    return { kind: "onnx.Clip", inputs };
  });
});

const scalarOf = (elem: Elem, v: number): Tensor =>
  elem === "i64"
    ? { elem, shape: [], data: BigInt64Array.of(BigInt(v)) }
    : { elem, shape: [], data: elem === "f32" ? Float32Array.of(v) : Int8Array.of(v) };

describe("casts", () => {
  agrees("to 64 bits without a sign of what they do not hold", () => {
    const held = [-3, 2 ** 63, 1.5 * 2 ** 63];
    const not = [-1.5 * 2 ** 63, -(2 ** 64), 2 ** 64, 2 ** 70, Infinity, -Infinity, Number.NaN];
    const all = [...held, ...not];
    return {
      kind: "onnx.Cast",
      inputs: [fromNumbers("f32", [all.length], all)],
      attrs: { to: 13 },
    };
  });
  const codes = { f32: 1, ui8: 2, i8: 3, i32: 6, i64: 7, i1: 9, f16: 10, f64: 11 } as const;
  const elems = Object.keys(codes) as (keyof typeof codes)[];
  for (const from of elems) {
    agrees(`from ${from}`, (draw) => {
      const to = pick(draw, ...elems);
      // Negative reals are left out where the target is unsigned: C++ does not define that.
      const range = to === "ui8" && from !== "ui8" ? 0.9 : 100;
      return {
        kind: "onnx.Cast",
        inputs: [values(draw, from, shapeOf(draw), range)],
        attrs: { to: codes[to] },
      };
    });
  }
});
