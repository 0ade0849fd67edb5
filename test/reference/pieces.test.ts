/** Models run piece by piece give the answers of the whole. */

import { join } from "node:path";
import { expect, test } from "vitest";
import { GraphFile } from "../../bench/models/graph-file.ts";
import { differenceOf } from "../../src/compare/difference.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { openExactly } from "../../src/reference/exact.ts";
import { runInPieces } from "../../src/reference/run-pieces.ts";
import { tapModel } from "../../src/reference/tap.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { folder, node, port, ramp, write } from "../onnx/small-model.ts";
import { formed } from "../scale/forms.ts";

const W = 24;

/** Five products with a way around two of them; large values inside, one of them in a Constant node. */
const inside = (): string =>
  write({
    input: [port("x", [2, W])],
    output: [port("y", [2, W]), port("early", [2, W])],
    initializer: ["a", "b", "c", "d"].map((name) => toProto(name, ramp([W, W]))),
    node: [
      node("Constant", [], ["k"], { value: ramp([W, W]) }),
      node("MatMul", ["x", "a"], ["h0"]),
      node("Relu", ["h0"], ["early"]),
      node("MatMul", ["early", "b"], ["h1"]),
      node("MatMul", ["h1", "k"], ["h2"]),
      node("Add", ["h2", "early"], ["h3"]),
      node("MatMul", ["h3", "c"], ["h4"]),
      node("MatMul", ["h4", "d"], ["y"]),
    ],
  });

const inputs = [1, 2, 3].map((k) => {
  const x = ramp([2, W]);
  const data = Float32Array.from(x.data as Float32Array, (v) => v * k + Math.sin(k));
  return new Map<string, Tensor>([["x", { ...x, data }]]);
});

async function whole(path: string, outputs: readonly string[], taps: readonly string[]) {
  const session = await openExactly(path);
  const found = [];
  for (const given of inputs) found.push(await session.run(given, outputs));
  await session.close();
  const tap = await tapModel(path, taps);
  const tapped = await tap.run(inputs[0] ?? new Map());
  await tap.close();
  return { outputs: found.map((f) => new Map(f)), taps: new Map(tapped) };
}

const sorted = (values: ReadonlyMap<string, Tensor>) =>
  [...values].sort(([a], [b]) => (a < b ? -1 : 1));

test.each([1, 2 * W * W * 4, 2 ** 30])("of %i bytes: values inside of the file", async (bytes) => {
  const path = inside();
  const taps = ["h1", "early", "h3"];
  const pieces: number[] = [];
  const found = await runInPieces(path, inputs, {
    outputs: ["y", "early"],
    taps,
    bytes,
    tell: (_, of) => pieces.push(of),
  });
  const expected = await whole(path, ["y", "early"], taps);
  expect(pieces.length).toBe(pieces[0]);
  expect(pieces.length).toBe(bytes === 1 ? 5 : bytes === 2 ** 30 ? 1 : 3);
  expect(found?.outputs.map(sorted)).toEqual(expected.outputs.map(sorted));
  expect(sorted(found?.taps ?? new Map())).toEqual(sorted(expected.taps));
});

test("values beside the file", async () => {
  const file = new GraphFile("f32");
  let x = file.input("x", "f32", [2, W]);
  for (let i = 0; i < 4; i++) x = file.node("MatMul", `/m${i}`, [x, file.weight(`w${i}`, [W, W])]);
  file.output(x, "f32", [2, W]);
  const path = join(folder(), "beside.onnx");
  file.write(path, "random");
  const found = await runInPieces(path, inputs, { outputs: [x], taps: ["/m1_output_0"], bytes: 1 });
  expect(found).toEqual(await whole(path, [x], ["/m1_output_0"]));
});

test("pieces know the sizes of what they read: without them this attention takes its query for a packed one", async () => {
  const i32 = (name: string, ...values: number[]) =>
    toProto(name, fromNumbers("i32", [values.length], values));
  const path = write({
    input: [port("x", [2, W])],
    output: [port("y", [1, 2, W])],
    initializer: [
      ...["wk", "wv", "wq", "wo"].map((name) => toProto(name, ramp([W, W]))),
      toProto("three", fromNumbers("i64", [3], [1, 2, W])),
      toProto("past", fromNumbers("f32", [1, 3, 0, 8], [])),
      i32("seqlens", 1),
      toProto("total", fromNumbers("i32", [], [2])),
    ],
    node: [
      ...["k", "v", "q"].flatMap((name) => [
        node("MatMul", ["x", `w${name}`], [`${name}0`]),
        node("Reshape", [`${name}0`, "three"], [name]),
      ]),
      {
        ...node(
          "GroupQueryAttention",
          ["q", "k", "v", "past", "past", "seqlens", "total"],
          ["o", "pk", "pv"],
          {
            num_heads: 3,
            kv_num_heads: 3,
          },
        ),
        domain: "com.microsoft",
      },
      node("MatMul", ["o", "wo"], ["y"]),
    ],
  });
  const taps = ["q"];
  const found = await runInPieces(path, inputs, { outputs: ["y"], taps, bytes: 1 });
  expect(found).toEqual(await whole(path, ["y"], taps));
});

/** Products of forms.ts with 1024 inputs; each reads several parts of its weight. */
test.each(["matMul", "gemm", "halves", "integers", "dequantised", "blocks", "stack"] as const)(
  "a weight that is larger than a piece: %s",
  async (name) => {
    const path = join(folder(), `${name}.onnx`);
    const file = formed(name, name === "stack" ? 256 : 1024);
    file.write(path, "random");
    const given = [new Map([["x", ramp([4, 1024])]])];
    const output = "/Relu_output_0";
    const pieces: number[] = [];
    const wanted = {
      outputs: [output],
      taps: [],
      tell: (_: number, of: number) => pieces.push(of),
    };
    const found = await runInPieces(path, given, { ...wanted, bytes: 2 ** 19 });
    const session = await openExactly(path);
    const expected = await session.run(given[0] ?? new Map(), [output]);
    await session.close();
    // ONNX Runtime sums columns in an order that depends on how many there are.
    const [one, other] = [found?.outputs[0]?.get(output), expected.get(output)];
    const rounding = name === "halves" ? 2 ** -11 : 1e-5;
    expect(differenceOf(one, other as Tensor).relative).toBeLessThan(rounding);
    expect(pieces[0]).toBeGreaterThan(1);
  },
);

test("a model with graphs inside of nodes, or with nodes out of order, is not cut", async () => {
  const inner = { name: "b", node: [node("Identity", ["x"], ["z"])], output: [port("z", [2, W])] };
  const attribute = ["then_branch", "else_branch"].map((name) => ({ name, type: 5, g: inner }));
  const model = (nodes: ReturnType<typeof node>[]) =>
    write({ input: [port("x", [2, W])], output: [port("y", [2, W])], node: nodes });
  const wanted = { outputs: ["y"], taps: [], bytes: 1 };
  const yes: Tensor = { elem: "i1", shape: [1], data: Uint8Array.of(1) };
  const choosing = model([
    node("Constant", [], ["c"], { value: yes }),
    { ...node("If", ["c"], ["y"]), attribute },
  ]);
  expect(await runInPieces(choosing, inputs, wanted)).toBeNull();
  const turned = model([node("Relu", ["h"], ["y"]), node("Abs", ["x"], ["h"])]);
  expect(await runInPieces(turned, inputs, wanted)).toBeNull();
});
