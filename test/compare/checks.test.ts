import { expect, test } from "vitest";
import { type LayerCheck, outputChecks } from "../../src/compare/checks.ts";
import { differenceOf } from "../../src/compare/difference.ts";
import type { OriginalRun } from "../../src/compare/original-run.ts";
import { turnedATie } from "../../src/compare/verification.ts";
import type { Artifact } from "../../src/sim/load.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

const value = (...data: number[]): Tensor => ({
  elem: "f32",
  shape: [data.length],
  data: Float32Array.from(data),
});
const outputs = [{ name: "y", elem: "f32", shape: [2] }];
const artifact = { manifest: { model: { outputs } } } as unknown as Artifact;
const named = <T>(y: T): ReadonlyMap<string, T> => new Map([["y", y]]);
const none = new Map<string, number>();
const original: OriginalRun = {
  outputs: named(value(1, 2)),
  taps: new Map(),
  rounding: none,
  strange: none,
  ties: none,
};

test("ties explain only what is off", () => {
  const turned = { ...original, ties: named(0.1) };
  const [near] = outputChecks(artifact, named(value(1, 2.0001)), turned, new Map());
  expect(near?.rounding).toBeUndefined();
  const [far] = outputChecks(artifact, named(value(1, 2.1)), turned, new Map());
  expect(far?.rounding).toBe(0.1);
  expect(far?.difference.relative).toBeCloseTo(0.05, 6);
});

test("what was recorded is excused by rounding, or called strange when ONNX Runtime is off it as well", () => {
  const recorded = named(value(1, 2.4));
  const own = named(value(1, 2));
  const strange = { ...original, strange: named(0.2) };
  const [onOrt, off] = outputChecks(artifact, own, strange, recorded);
  expect(onOrt).toMatchObject({ against: "ONNX Runtime", difference: { relative: 0 } });
  expect(off).toMatchObject({ against: "recorded", original: 0.2 });
  const rounded = { ...strange, rounding: named(0.15) };
  const [, excused] = outputChecks(artifact, own, rounded, recorded);
  expect(excused).toMatchObject({ against: "recorded", rounding: 0.15 });
  expect(excused?.original).toBeUndefined();
});

test("values of the original that are not finite are counted", () => {
  const odd = { ...original, outputs: named(value(Number.NaN, 2)) };
  const [check] = outputChecks(artifact, named(value(Number.NaN, 2)), odd, new Map());
  expect(check).toMatchObject({ notFinite: 1, difference: { relative: 0 } });
  expect(
    outputChecks(artifact, named(value(1, 2)), original, new Map())[0]?.notFinite,
  ).toBeUndefined();
});

test("only a quantiser that is off by one step, before any other layer, turned a tie", () => {
  const layer = (kernel: string, maxError: number, relative: number): LayerCheck => ({
    tensor: kernel,
    step: "s0",
    kernel,
    module: "",
    nodes: [],
    difference: { ...exact, maxError, relative },
  });
  const exact = differenceOf(value(1, 2), value(1, 2));
  const before = layer("mvm", 1e-7, 1e-7);
  const turned = layer("QuantizeLinear", 1, 1 / 128);
  const behind = layer("Add", 0.3, 0.1);
  expect(turnedATie([before, turned, behind])).toBe(true);
  expect(turnedATie([before, behind, turned])).toBe(false);
  expect(turnedATie([before, layer("QuantizeLinear", 2, 2 / 128), behind])).toBe(false);
  expect(turnedATie([before])).toBe(false);
});
