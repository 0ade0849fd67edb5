/**
 * Graphs that make a walk along all paths, or from every node to the end, take more time than anybody has: they
 * come to an end within the time of a test, and to the right one.
 */

import { expect, test } from "vitest";
import { fromNumbers, toNumbers } from "../../src/tensor/convert.ts";
import { node, port, write } from "../onnx/small-model.ts";
import { onMachine } from "../tensor/on-machine.ts";

const VALUES = [1, -2, 3];

/** Runs a graph of additions of `x` and of sums before: one for each pair of names, in order. */
async function summed(pairs: readonly (readonly [string, string])[]): Promise<readonly number[]> {
  const model = write({
    input: [port("x", [3])],
    output: [port(`t${pairs.length - 1}`, [3])],
    node: pairs.map(([a, b], i) => node("Add", [a, b], [`t${i}`])),
  });
  const outputs = await onMachine(model, new Map([["x", fromNumbers("f32", [3], VALUES)]]));
  return [...outputs.values()].flatMap(toNumbers);
}

test("sums of a sum and itself, again and again: 2^60 ways back to the input", async () => {
  const pairs = Array.from({ length: 60 }, (_, i): [string, string] =>
    i === 0 ? ["x", "x"] : [`t${i - 1}`, `t${i - 1}`],
  );
  expect(await summed(pairs)).toEqual(VALUES.map((v) => v * 2 ** 60));
});

test("thousands of additions in a row of what all of them read", async () => {
  const pairs = Array.from({ length: 2000 }, (_, i): [string, string] => [
    i === 0 ? "x" : `t${i - 1}`,
    "x",
  ]);
  expect(await summed(pairs)).toEqual(VALUES.map((v) => v * 2001));
});
