/** Storage that is used again: whoever still reads it finds his own values there. */

import { createHash } from "node:crypto";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { NodeProto } from "../../src/onnx/proto.ts";
import { toProto } from "../../src/onnx/tensor-proto.ts";
import { openModel } from "../../src/reference/run.ts";
import { Simulator } from "../../src/sim/simulate.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { giveBack, idleStorage, neverGiveBack } from "../../src/tensor/storage.ts";
import { float32s, type Tensor, toBytes } from "../../src/tensor/tensor.ts";
import { writeSafetensors } from "../../src/weights/safetensors.ts";
import { lazySafetensors } from "../../src/weights/tensor-file.ts";
import { folder, node, port, write } from "../onnx/small-model.ts";
import { compiled } from "../tensor/on-machine.ts";

test("storage comes back empty, once, and in its own size", () => {
  const [a, b] = [float32s(5000).fill(7), float32s(5000).fill(8)];
  giveBack(a.buffer);
  expect(idleStorage(5001 * 4)).toBeUndefined();
  const again = float32s(5000);
  expect(again.buffer).toBe(a.buffer);
  expect(again.every((v) => v === 0)).toBe(true);
  expect(float32s(5000).buffer).not.toBe(b.buffer);
  neverGiveBack(b.buffer);
  giveBack(b.buffer);
  expect(idleStorage(5000 * 4)).toBeUndefined();
});

test("constants stay", () => {
  const path = join(folder(), "constants.safetensors");
  writeSafetensors(path, [{ name: "c", elem: "f32", shape: [SIDE, SIDE] }], () => matrix(1));
  const { data } = lazySafetensors(path).get("c") ?? matrix(1);
  giveBack(data.buffer);
  expect(idleStorage(data.byteLength)).toBeUndefined();
});

const SIDE = 64;

/** A value is a matrix or a list, of as many elements. */
const SHAPES = { matrix: [SIDE, SIDE], list: [SIDE * SIDE] };
type Kind = keyof typeof SHAPES;

const INDICES = { ...SHAPES, half: [SIDE / 2], all: [SIDE], first: [0], twice: [2] };

/** Operations whose results share memory with what they read, and some whose results do not. */
const OPERATIONS = ["reshape", "halves", "slice", "constant", "add", "abs", "neg"] as const;

interface Choice {
  readonly operation: (typeof OPERATIONS)[number];
  /** Which of the last values it reads. */
  readonly a: number;
  readonly b: number;
}

interface Value {
  readonly name: string;
  readonly kind: Kind;
}

const other = (kind: Kind): Kind => (kind === "list" ? "matrix" : "list");

const kindOf = (operation: Choice["operation"], { kind }: Value): Kind => {
  if (operation === "constant") return "matrix";
  return operation === "reshape" ? other(kind) : kind;
};

function nodesOf(operation: Choice["operation"], a: Value, b: Value, to: string): NodeProto[] {
  const part = `${to}_part`;
  const from = a.name;
  switch (operation) {
    case "reshape":
      return [node("Reshape", [from, other(a.kind)], [to])];
    case "halves":
      return [
        node("Split", [from], [`${to}_unread`, part], { axis: 0, num_outputs: 2 }),
        node("Concat", [part, part], [to], { axis: 0 }),
      ];
    case "slice":
      return [
        node("Reshape", [from, "matrix"], [`${to}_matrix`]),
        node("Slice", [`${to}_matrix`, "half", "all", "first"], [part]),
        node("Concat", [part, part], [`${to}_all`], { axis: 0 }),
        node("Reshape", [`${to}_all`, a.kind], [to]),
      ];
    case "constant":
      return [node("Max", ["c"], [to])];
    case "add":
      return [node("Reshape", [b.name, a.kind], [part]), node("Add", [from, part], [to])];
    case "abs":
      return [node("Abs", [from], [to])];
    case "neg":
      return [node("Neg", [from], [to])];
  }
}

/** A graph in which each choice reads some of the last values before it. */
function grown(choices: readonly Choice[], outputs: number) {
  const values: Value[] = [{ name: "x", kind: "matrix" }];
  const nodes = choices.flatMap(({ operation, a, b }, i) => {
    const before = (n: number) => values.at(-1 - (n % Math.min(4, values.length))) as Value;
    const [read, also] = [before(a), before(b)];
    const name = `v${i}`;
    values.push({ name, kind: kindOf(operation, read) });
    return nodesOf(operation, read, also, name);
  });
  const initializer = [
    toProto("c", matrix(5)),
    ...Object.entries(INDICES).map(([name, at]) =>
      toProto(name, fromNumbers("i64", [at.length], at)),
    ),
  ];
  const output = values.slice(-outputs).map(({ name, kind }) => port(name, SHAPES[kind]));
  const input = [port("x", SHAPES.matrix)];
  return write({ input, output, node: nodes, initializer }, 18);
}

const choice = fc.record({
  operation: fc.constantFrom(...OPERATIONS),
  a: fc.nat(100),
  b: fc.nat(100),
});

test("outputs of a stream are those of ONNX Runtime, whoever shares memory with whom", async () => {
  const graphs = fc.tuple(
    fc.array(choice, { minLength: 12, maxLength: 24 }),
    fc.integer({ min: 2, max: 4 }),
  );
  await fc.assert(
    fc.asyncProperty(graphs, async ([choices, outputs]) => {
      const model = grown(choices, outputs);
      const session = await openModel(model);
      const inputs = [1, 2, 3].map((k) => new Map([["x", matrix(k)]]));
      const expected = await Promise.all(inputs.map((x) => session.run(x)));
      await session.close();
      const artifact = await compiled(model, inputs[0] ?? new Map());
      for (const stream of [false, true]) {
        const simulator = new Simulator(artifact, { inputs, threads: 1, stream });
        const first = await simulator.run({ mode: "ideal", whole: true });
        const second = await simulator.run({ mode: "ideal", whole: true });
        expect(digestsOf(first.outputs)).toEqual(digestsOf(expected));
        expect(digestsOf(second.outputs)).toEqual(digestsOf(expected));
        await simulator.close();
      }
      expect(inputs[0]?.get("x")).toEqual(matrix(1));
    }),
    { numRuns: 40, seed: 11 },
  );
});

const matrix = (k: number) =>
  fromNumbers(
    "f32",
    SHAPES.matrix,
    Array.from({ length: SIDE * SIDE }, (_, i) => ((i * 37 + k) % 41) - 20),
  );

/** Whole values would be a page each where they differ. */
const digestsOf = (inferences: readonly ReadonlyMap<string, Tensor>[]) =>
  inferences.map((values) =>
    Object.fromEntries(
      Array.from(values, ([name, t]) => [
        name,
        createHash("sha256").update(toBytes(t)).digest("hex"),
      ]),
    ),
  );
