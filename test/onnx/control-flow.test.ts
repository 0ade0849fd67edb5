/** Branches, loops and sequences: ONNX Runtime runs the original and what was read. */

import { expect, test } from "vitest";
import { exportModule } from "../../src/onnx/export.ts";
import {
  type AttributeProto,
  type GraphProto,
  type NodeProto,
  onnx,
} from "../../src/onnx/proto.ts";
import { readModel } from "../../src/onnx/read.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { runModel } from "../../src/reference/run.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { node, port, ramp, write } from "./small-model.ts";

const KIND = onnx.AttributeProto.AttributeType;

const graphs = (of: Readonly<Record<string, GraphProto>>): AttributeProto[] =>
  Object.entries(of).map(([name, g]) => ({ name, type: KIND.GRAPH, g: { name, ...g } }));

/** A node with graphs inside. */
const holding = (plain: NodeProto, of: Readonly<Record<string, GraphProto>>): NodeProto => ({
  ...plain,
  attribute: [...(plain.attribute ?? []), ...graphs(of)],
});

const int = (name: string, ...values: number[]) =>
  toProto(name, fromNumbers("i64", [values.length], values));
const scalar = (name: string, value: number) => toProto(name, fromNumbers("i64", [], [value]));
const flag = (name: string, value: number) => toProto(name, fromNumbers("i1", [], [value]));

/** Reads the model, and has ONNX Runtime run both for the same inputs. */
async function sameAsOriginal(
  graph: GraphProto,
  feeds: ReadonlyMap<string, Tensor>,
  opset = 17,
): Promise<readonly string[]> {
  const path = write(graph, opset);
  const { module, store } = readModel(path, { dims: {} });
  expect(await runModel(exportModule(module, store), feeds)).toEqual(await runModel(path, feeds));
  return module.ops.map((op) => op.kind);
}

const X = new Map([["x", ramp([4, 3])]]);
const x43 = [port("x", [4, 3])];

/** for i in range(4): h = tanh(h * w + x[i]); collects h * i. */
const recurrence: GraphProto = {
  input: x43,
  output: [port("last", [3]), port("all", [4, 3])],
  initializer: [
    scalar("trip", 4),
    flag("yes", 1),
    toProto("h0", ramp([3])),
    toProto("w", fromNumbers("f32", [3], [0.5, -1, 2])),
  ],
  node: [
    holding(node("Loop", ["trip", "yes", "h0"], ["last", "all"]), {
      body: {
        input: [port("i", [], "i64"), port("go", [], "i1"), port("h", [3])],
        output: [port("go_on", [], "i1"), port("next", [3]), port("seen", [3])],
        node: [
          node("Identity", ["go"], ["go_on"]),
          node("Gather", ["x", "i"], ["row"]),
          node("Mul", ["h", "w"], ["hw"]),
          node("Add", ["hw", "row"], ["sum"]),
          node("Tanh", ["sum"], ["next"]),
          node("Cast", ["i"], ["f"], { to: 1 }),
          node("Mul", ["next", "f"], ["seen"]),
        ],
      },
    }),
  ],
};

test("a loop is unrolled, with what it carries on, what it collects and what it reads outside", async () => {
  const kinds = await sameAsOriginal(recurrence, X);
  expect(kinds.filter((k) => k === "onnx.Tanh")).toHaveLength(4);
  const { module } = readModel(write(recurrence), { dims: {} });
  const origins = module.ops.filter((op) => op.kind === "onnx.Tanh").map((op) => op.origin);
  expect(origins[2]).toEqual(["loop_of_last/2/tanh_of_next"]);
});

/** while size(cat) < 7: cat = concat(cat, x): the condition is known only as shapes are. */
test("a loop ends when a condition on shapes is false", async () => {
  const graph: GraphProto = {
    input: x43,
    output: [port("y", [8, 3])],
    initializer: [flag("yes", 1), scalar("most", 100), scalar("seven", 7), scalar("zero", 0)],
    node: [
      holding(node("Loop", ["most", "yes", "x"], ["y"]), {
        body: {
          input: [port("i", [], "i64"), port("go", [], "i1"), port("v", ["n", 3])],
          output: [port("again", [], "i1"), port("w", ["m", 3])],
          node: [
            node("Concat", ["v", "x"], ["w"], { axis: 0 }),
            node("Shape", ["w"], ["s"]),
            node("Gather", ["s", "zero"], ["rows"]),
            node("Less", ["rows", "seven"], ["again"]),
          ],
        },
      }),
    ],
  };
  const kinds = await sameAsOriginal(graph, X);
  expect(kinds.filter((k) => k === "onnx.Concat")).toHaveLength(1);
});

test("a loop of no steps passes on what it begins with", async () => {
  const graph = {
    ...recurrence,
    initializer:
      recurrence.initializer?.map((t) => (t.name === "trip" ? scalar("trip", 0) : t)) ?? [],
  };
  await sameAsOriginal({ ...graph, output: [port("last", [3]), port("all", [0, 3])] }, X);
});

test("loops within loops and branches, names alike inside and outside", async () => {
  const inner = holding(node("Loop", ["two", "yes", "h"], ["next"]), {
    body: {
      input: [port("i", [], "i64"), port("go", [], "i1"), port("x", [4, 3])],
      output: [port("go", [], "i1"), port("y", [4, 3])],
      node: [
        holding(node("If", ["is"], ["y"]), {
          then_branch: { output: [port("o", [4, 3])], node: [node("Tanh", ["x"], ["o"])] },
          else_branch: { output: [port("o", [4, 3])], node: [node("Neg", ["x"], ["o"])] },
        }),
      ],
    },
  });
  const graph: GraphProto = {
    input: x43,
    output: [port("y", [4, 3])],
    initializer: [scalar("three", 3), scalar("two", 2), flag("yes", 1), scalar("one", 1)],
    node: [
      holding(node("Loop", ["three", "yes", "x"], ["y"]), {
        body: {
          input: [port("j", [], "i64"), port("go", [], "i1"), port("h", [4, 3])],
          output: [port("go_on", [], "i1"), port("next", [4, 3])],
          node: [node("Identity", ["go"], ["go_on"]), node("Equal", ["j", "one"], ["is"]), inner],
        },
      }),
    ],
  };
  const kinds = await sameAsOriginal(graph, X);
  expect(kinds.filter((k) => k === "onnx.Tanh")).toHaveLength(2);
  expect(kinds.filter((k) => k === "onnx.Neg")).toHaveLength(4);
});

const choosing = (other: readonly number[]): GraphProto => ({
  input: [...x43, port("pick", [1], "i1")],
  output: [port("y", [4, 3])],
  initializer: [int("shape", ...other)],
  node: [
    holding(node("If", ["pick"], ["y"]), {
      then_branch: { output: [port("o", [4, 3])], node: [node("Tanh", ["x"], ["o"])] },
      else_branch: {
        output: [port("o", other)],
        node: [node("Reshape", ["x", "shape"], ["o"])],
      },
    }),
  ],
});

test.each([0, 1])(
  "an If by data between equal types computes both and selects (%i)",
  async (pick) => {
    const feeds = new Map([...X, ["pick", fromNumbers("i1", [1], [pick])]]);
    const kinds = await sameAsOriginal(choosing([4, 3]), feeds);
    expect(kinds).toContain("onnx.Where");
  },
);

test("an If by data between different types is refused, with the input that decides", () => {
  const path = write(choosing([3, 4]));
  expect(() => readModel(path, { dims: {} })).toThrow(
    /A126.*If 'if_of_y'.*4x3xf32 and 3x4xf32.*input pick[\s\S]*--set pick=VALUE/,
  );
});

test("a loop whose length is data is refused by name", () => {
  const input = [...x43, port("trip", [], "i64")];
  const path = write({ ...recurrence, input, initializer: recurrence.initializer?.slice(1) ?? [] });
  expect(() => readModel(path, { dims: {} })).toThrow(
    /A126.*Loop 'loop_of_last' runs as often as data say.*input trip/,
  );
});

test("a loop that never ends is refused", () => {
  const node = recurrence.node?.map((n) => ({ ...n, input: ["", "yes", "h0"] })) ?? [];
  const path = write({ ...recurrence, node });
  expect(() => readModel(path, { dims: {} })).toThrow(
    /A126.*loop_of_last.*no end, more than the 1024/,
  );
});

/** Scans backwards along axis 1 and stacks along axis 1, once in order and once turned around. */
const scanning = (directions: readonly number[], outDirections: readonly number[]): GraphProto => ({
  input: [port("x", [4, 3]), port("u", [3, 4])],
  output: [port("last", [4]), port("sums", [4, 3]), port("twice", [3, 4])],
  initializer: [toProto("s0", ramp([4])), toProto("two", fromNumbers("f32", [], [2]))],
  node: [
    holding(
      node("Scan", ["s0", "x", "u"], ["last", "sums", "twice"], {
        num_scan_inputs: 2,
        scan_input_axes: [1, -2],
        scan_input_directions: directions,
        scan_output_axes: [-1, 0],
        scan_output_directions: outDirections,
      }),
      {
        body: {
          input: [port("s", [4]), port("c", [4]), port("r", [4])],
          output: [port("t", [4]), port("t2", [4]), port("d", [4])],
          node: [
            node("Add", ["s", "c"], ["sc"]),
            node("Mul", ["sc", "r"], ["t"]),
            node("Identity", ["t"], ["t2"]),
            node("Mul", ["r", "two"], ["d"]),
          ],
        },
      },
    ),
  ],
});

test.each([
  [
    [0, 0],
    [0, 0],
  ],
  [
    [1, 0],
    [0, 1],
  ],
  [
    [0, 1],
    [1, 0],
  ],
])("a scan is unrolled (input directions %j, output directions %j)", async (ins, outs) => {
  const feeds = new Map([
    ["x", ramp([4, 3])],
    ["u", ramp([3, 4])],
  ]);
  await sameAsOriginal(scanning(ins, outs), feeds);
});

test("sequences are the tensors in them", async () => {
  const graph: GraphProto = {
    input: x43,
    output: [
      port("joined", [4, 3]),
      port("stacked", [3, 4, 2]),
      port("n", [], "i64"),
      port("part", [2, 3]),
    ],
    initializer: [scalar("one", 1), scalar("minus", -1), scalar("three", 3), int("sizes", 1, 2)],
    node: [
      node("SplitToSequence", ["x"], ["rows"], { axis: 0, keepdims: 0 }),
      node("SequenceAt", ["rows", "one"], ["row"]),
      node("SequenceInsert", ["rows", "row", "one"], ["five"]),
      node("SequenceErase", ["five", "minus"], ["four"]),
      node("ConcatFromSequence", ["four"], ["joined"], { axis: 0, new_axis: 1 }),
      node("SequenceLength", ["five"], ["n"]),
      node("SplitToSequence", ["x", "three"], ["chunks"]),
      node("SequenceAt", ["chunks", "minus"], ["tail"]),
      node("SplitToSequence", ["x", "sizes"], ["columns"], { axis: 1 }),
      node("SequenceAt", ["columns", "one"], ["wide"]),
      node("SequenceConstruct", ["wide", "wide", "wide"], ["wides"]),
      node("ConcatFromSequence", ["wides"], ["stacked"], { axis: 0, new_axis: 1 }),
      node("Concat", ["tail", "tail"], ["part"], { axis: 0 }),
    ],
  };
  await sameAsOriginal(graph, X);
});

test("an item inserted at -1 stands before the last one", async () => {
  const graph: GraphProto = {
    input: x43,
    output: [port("y", [4, 3])],
    initializer: [scalar("minus", -1)],
    node: [
      node("Neg", ["x"], ["n"]),
      node("SequenceConstruct", ["x", "n"], ["two"]),
      node("Abs", ["x"], ["a"]),
      node("SequenceInsert", ["two", "a", "minus"], ["three"]),
      node("SequenceAt", ["three", "minus"], ["y"]),
    ],
  };
  await sameAsOriginal(graph, X);
});

test("a loop that fills a sequence, and a map over it", async () => {
  const graph: GraphProto = {
    input: x43,
    output: [port("y", [12])],
    initializer: [scalar("trip", 4), flag("yes", 1)],
    node: [
      node("SequenceEmpty", [], ["none"]),
      holding(node("Loop", ["trip", "yes", "none"], ["rows"]), {
        body: {
          input: [
            port("i", [], "i64"),
            port("go", [], "i1"),
            { name: "seq", type: { sequenceType: { elemType: port("", [3]).type } } },
          ],
          output: [
            port("go_on", [], "i1"),
            { name: "more", type: { sequenceType: { elemType: port("", [3]).type } } },
          ],
          node: [
            node("Identity", ["go"], ["go_on"]),
            node("Gather", ["x", "i"], ["row"]),
            node("SequenceInsert", ["seq", "row"], ["more"]),
          ],
        },
      }),
      holding(node("SequenceMap", ["rows", "x"], ["bent"]), {
        body: {
          input: [port("r", [3]), port("all", [4, 3])],
          output: [port("o", [3])],
          node: [
            node("ReduceMax", ["all"], ["top"], { axes: [0], keepdims: 0 }),
            node("Sub", ["r", "top"], ["o"]),
          ],
        },
      }),
      node("ConcatFromSequence", ["bent"], ["y"], { axis: 0 }),
    ],
  };
  await sameAsOriginal(graph, X);
});

test("optional values are what is in them", async () => {
  const graph: GraphProto = {
    input: x43,
    output: [port("y", [4, 3])],
    node: [
      node("Optional", ["x"], ["maybe"]),
      node("OptionalHasElement", ["maybe"], ["has"]),
      holding(node("If", ["has"], ["y"]), {
        then_branch: {
          output: [port("o", [4, 3])],
          node: [node("OptionalGetElement", ["maybe"], ["o"])],
        },
        else_branch: { output: [port("o", [4, 3])], node: [node("Neg", ["x"], ["o"])] },
      }),
    ],
  };
  const kinds = await sameAsOriginal(graph, X, 18);
  expect(kinds).not.toContain("onnx.Neg");
});
