/** Kernels that move, choose and combine elements, against ONNX Runtime. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { KERNELS } from "../../src/tensor/kernels/index.ts";
import { type Elem, sizeOf, type Tensor } from "../../src/tensor/tensor.ts";
import {
  agrees,
  type Draw,
  int,
  ints,
  narrowed,
  permutation,
  pick,
  shapeOf,
  values,
} from "./on-ort.ts";

const EXACT = { relative: 0, absolute: 0 };
const anyElem = (draw: Draw): Elem => pick(draw, "f32", "i64", "i32", "f16", "ui8", "i1", "f64");

describe("shapes", () => {
  agrees(
    "Reshape",
    (draw) => {
      const shape = shapeOf(draw);
      const to = shape.length === 1 ? [-1] : [0, -1];
      return { kind: "onnx.Reshape", inputs: [values(draw, anyElem(draw), shape), ints(to)] };
    },
    EXACT,
  );
  agrees(
    "Flatten",
    (draw) => {
      const shape = shapeOf(draw);
      const axis = int(draw, -shape.length, shape.length);
      return { kind: "onnx.Flatten", inputs: [values(draw, "f32", shape)], attrs: { axis } };
    },
    EXACT,
  );
  agrees(
    "Squeeze and Unsqueeze",
    (draw) => {
      const shape = shapeOf(draw, 1, 3);
      const axes = [int(draw, 0, shape.length), -1];
      const distinct = axes[0] === shape.length + 1 ? [-1] : axes;
      return { kind: "onnx.Unsqueeze", inputs: [values(draw, "f32", shape), ints(distinct)] };
    },
    EXACT,
  );
  agrees(
    "Squeeze",
    (draw) => {
      const shape = [1, ...shapeOf(draw, 0, 3), 1];
      const axes = pick(draw, [0], [-1], [0, -1]);
      return { kind: "onnx.Squeeze", inputs: [values(draw, "f32", shape), ints(axes)] };
    },
    EXACT,
  );
  agrees(
    "Transpose",
    (draw) => {
      const shape = shapeOf(draw, 1, 5, 0);
      const perm = permutation(draw, shape.length);
      return {
        kind: "onnx.Transpose",
        inputs: [values(draw, anyElem(draw), shape)],
        attrs: { perm },
      };
    },
    EXACT,
    30,
  );
  agrees(
    "Expand",
    (draw) => {
      const shape = shapeOf(draw);
      const x = values(draw, pick(draw, "f32", "i64", "i1", "f16"), narrowed(draw, shape));
      return { kind: "onnx.Expand", inputs: [x, ints(shape)] };
    },
    EXACT,
  );
  agrees(
    "Concat",
    (draw) => {
      const shape = shapeOf(draw);
      const axis = int(draw, 0, shape.length - 1);
      const elem = anyElem(draw);
      const part = () => values(draw, elem, shape.with(axis, int(draw, 0, 4)));
      return {
        kind: "onnx.Concat",
        inputs: [part(), part(), part()],
        attrs: { axis: axis - shape.length },
      };
    },
    EXACT,
  );
  agrees(
    "Split",
    (draw) => {
      const shape = shapeOf(draw);
      const axis = int(draw, 0, shape.length - 1);
      const sizes = [int(draw, 0, 3), int(draw, 1, 3), int(draw, 0, 3)];
      const x = values(
        draw,
        "f32",
        shape.with(
          axis,
          sizes.reduce((a, b) => a + b),
        ),
      );
      return { kind: "onnx.Split", inputs: [x, ints(sizes)], attrs: { axis }, results: 3 };
    },
    EXACT,
  );
  agrees(
    "Tile",
    (draw) => {
      const shape = shapeOf(draw, 1, 3);
      const repeats = shape.map(() => int(draw, 0, 3));
      return { kind: "onnx.Tile", inputs: [values(draw, "f32", shape), ints(repeats)] };
    },
    EXACT,
  );
  agrees(
    "Trilu",
    (draw) => {
      const shape = shapeOf(draw, 2, 4);
      const elem = pick(draw, "f32", "i64", "f64");
      const k = ints([int(draw, -6, 6)], []);
      return {
        kind: "onnx.Trilu",
        inputs: [values(draw, elem, shape), k],
        attrs: { upper: int(draw, 0, 1) },
      };
    },
    EXACT,
  );
  agrees(
    "NonZero",
    (draw) => ({
      kind: "onnx.NonZero",
      inputs: [values(draw, pick(draw, "f32", "i64", "i1"), shapeOf(draw), 1)],
    }),
    EXACT,
  );
  agrees(
    "Range",
    (draw) => {
      const step = pick(draw, -3, -1, 1, 2);
      const list = [int(draw, -9, 9), int(draw, -9, 9), step];
      return { kind: "onnx.Range", inputs: list.map((v) => ints([v], [])) };
    },
    EXACT,
  );
  agrees("CumSum", (draw) => {
    const shape = shapeOf(draw);
    const axis = ints([int(draw, -shape.length, shape.length - 1)], []);
    const attrs = { exclusive: int(draw, 0, 1), reverse: int(draw, 0, 1) };
    const x = values(draw, pick(draw, "f32", "i64", "i32"), shape);
    return { kind: "onnx.CumSum", inputs: [x, axis], attrs };
  });
});

describe("slices", () => {
  agrees(
    "Slice",
    (draw) => {
      const shape = shapeOf(draw, 1, 4);
      const axes = draw(fc.subarray([...shape.keys()], { minLength: 1 }));
      const bound = () => axes.map(() => int(draw, -7, 7));
      const steps = axes.map(() => pick(draw, 1, 1, 2, -1, -2));
      const x = values(draw, anyElem(draw), shape);
      return {
        kind: "onnx.Slice",
        inputs: [x, ints(bound()), ints(bound()), ints(axes), ints(steps)],
      };
    },
    EXACT,
    60,
  );
  agrees(
    "Pad",
    (draw) => {
      const shape = shapeOf(draw, 1, 3, 3);
      const mode = pick(draw, "constant", "reflect", "edge", "wrap");
      const least = mode === "constant" ? -1 : 0;
      const pads = [...shape, ...shape].map(() => int(draw, least, 2));
      const value = values(draw, "f32", []);
      const fill = mode === "constant" ? value : null;
      return {
        kind: "onnx.Pad",
        inputs: [values(draw, "f32", shape), ints(pads), fill],
        attrs: { mode },
      };
    },
    EXACT,
    40,
  );
});

/** Positions into an axis, negative ones included. */
function positions(draw: Draw, shape: readonly number[], size: number): Tensor {
  const list = Array.from({ length: sizeOf(shape) }, () => int(draw, -size, size - 1));
  return ints(list, shape);
}

describe("gathering and scattering", () => {
  agrees(
    "Gather",
    (draw) => {
      const shape = shapeOf(draw);
      const axis = int(draw, 0, shape.length - 1);
      const indices = positions(draw, shapeOf(draw, 0, 2), shape[axis] ?? 1);
      return {
        kind: "onnx.Gather",
        inputs: [values(draw, anyElem(draw), shape), indices],
        attrs: { axis },
      };
    },
    EXACT,
  );
  agrees(
    "GatherElements",
    (draw) => {
      const shape = shapeOf(draw);
      const axis = int(draw, 0, shape.length - 1);
      const indices = positions(draw, shape.with(axis, int(draw, 1, 4)), shape[axis] ?? 1);
      return {
        kind: "onnx.GatherElements",
        inputs: [values(draw, "f32", shape), indices],
        attrs: { axis },
      };
    },
    EXACT,
  );
  agrees(
    "GatherND",
    (draw) => {
      const shape = shapeOf(draw, 2, 4);
      const batch = int(draw, 0, 1);
      const least = Math.min(...shape);
      const head = batch === 1 ? [shape[0] ?? 1, int(draw, 1, 3)] : [int(draw, 1, 3)];
      const depth = int(draw, 1, shape.length - batch);
      const indices = positions(draw, [...head, depth], least);
      return {
        kind: "onnx.GatherND",
        inputs: [values(draw, "f32", shape), indices],
        attrs: { batch_dims: batch },
      };
    },
    EXACT,
  );
  agrees("ScatterElements", (draw) => {
    const shape = shapeOf(draw);
    const axis = int(draw, 0, shape.length - 1);
    const reduction = pick(draw, "none", "add", "mul", "max", "min");
    const size = shape[axis] ?? 1;
    // Where nothing combines, two updates of one place would leave the winner open.
    const indices = reduction === "none" ? along(shape, axis) : positions(draw, shape, size);
    const elem = pick(draw, "f32" as const, "i64" as const);
    const [x, updates] = [values(draw, elem, shape), values(draw, elem, shape)];
    return {
      kind: "onnx.ScatterElements",
      inputs: [x, indices, updates],
      attrs: { axis, reduction },
    };
  });
  agrees("ScatterND", (draw) => {
    const shape = shapeOf(draw, 2, 3);
    const depth = int(draw, 1, shape.length);
    const reduction = pick(draw, "add", "mul", "max", "min");
    const indices = positions(draw, [int(draw, 1, 4), depth], Math.min(...shape));
    const updates = values(draw, "f32", [indices.shape[0] ?? 1, ...shape.slice(depth)]);
    return {
      kind: "onnx.ScatterND",
      inputs: [values(draw, "f32", shape), indices, updates],
      attrs: { reduction },
    };
  });
  agrees(
    "ScatterND of products that 32 bits do not hold",
    () => {
      const wide = (v: number) => ({ elem: "i32", shape: [1], data: Int32Array.of(v) }) as const;
      return {
        kind: "onnx.ScatterND",
        inputs: [wide(806_036_993), ints([0], [1, 1]), wide(806_036_993)],
        attrs: { reduction: "mul" },
      };
    },
    EXACT,
  );
  agrees(
    "OneHot",
    (draw) => {
      const shape = shapeOf(draw, 1, 2);
      const depth = int(draw, 1, 5);
      const axis = int(draw, -1, shape.length);
      const inputs = [
        positions(draw, shape, depth + 1),
        ints([depth], []),
        values(draw, "f32", [2]),
      ];
      return { kind: "onnx.OneHot", inputs, attrs: { axis } };
    },
    EXACT,
  );
  agrees(
    "TopK",
    (draw) => {
      const shape = shapeOf(draw);
      const axis = int(draw, 0, shape.length - 1);
      const k = ints([int(draw, 0, shape[axis] ?? 1)]);
      // A small range, so that many values are equal and the order of ties shows.
      const x = values(draw, pick(draw, "f32" as const, "i64" as const), shape, 2);
      return {
        kind: "onnx.TopK",
        inputs: [x, k],
        attrs: { axis, largest: int(draw, 0, 1) },
        results: 2,
      };
    },
    EXACT,
    30,
  );
});

test("a value that is tiled to millions is copied in runs, not one by one", () => {
  const times = 2 ** 27;
  const call = { inputs: [fromNumbers("i8", [1], [7]), ints([times])], attrs: {}, outShapes: null };
  const [tiled] = KERNELS.get("Tile")?.(call) ?? [];
  expect(tiled?.shape).toEqual([times]);
  expect(tiled?.data.at(-1)).toBe(7);
});

/** Every index is its own position on the axis, in reverse. */
function along(shape: readonly number[], axis: number): Tensor {
  const size = shape[axis] ?? 1;
  const step = sizeOf(shape.slice(axis + 1));
  const list = Array.from(
    { length: sizeOf(shape) },
    (_, i) => size - 1 - (Math.floor(i / step) % size),
  );
  return ints(list, shape);
}
