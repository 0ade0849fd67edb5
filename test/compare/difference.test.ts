import { expect, test } from "vitest";
import { argmaxAgreement, differenceOf } from "../../src/compare/difference.ts";
import { tensor } from "../../src/tensor/tensor.ts";

const f32 = (shape: number[], ...values: number[]) =>
  tensor("f32", shape, Float32Array.from(values));

test("error is relative to the largest reference value", () => {
  const d = differenceOf(f32([3], 1, 2, -7.5), f32([3], 1, 2, -8));
  expect(d).toMatchObject({ maxError: 0.5, maxReference: 8, relative: 0.0625 });
});

test("equal infinities agree, a NaN against a number does not", () => {
  expect(differenceOf(f32([2], -Infinity, 1), f32([2], -Infinity, 1)).maxError).toBe(0);
  expect(differenceOf(f32([1], Number.NaN), f32([1], 1)).relative).toBe(Infinity);
});

test("another size is infinitely far", () => {
  expect(differenceOf(f32([1], 1), f32([2], 1, 2)).relative).toBe(Infinity);
  expect(differenceOf(undefined, f32([2], 1, 2)).relative).toBe(Infinity);
});

test("argmax agreement counts vectors along the last axis", () => {
  const expected = f32([2, 2, 2], 1, 0, 0, 1, 1, 0, 0, 1);
  const actual = f32([2, 2, 2], 9, 0, 0, 1, 0, 1, 0, 1);
  expect(argmaxAgreement(actual, expected)).toBe(0.75);
});

test("signal to noise is a ratio of powers, in decibels", () => {
  // Signal 9 + 16, noise 0.25: a hundred to one.
  expect(differenceOf(f32([2], 3, 4.5), f32([2], 3, 4)).snr).toBeCloseTo(20, 5);
  expect(differenceOf(f32([1], 2), f32([1], 2)).snr).toBe(Infinity);
  expect(differenceOf(f32([1], 2), f32([1], 0)).snr).toBe(-Infinity);
  expect(differenceOf(f32([2], -Infinity, 11), f32([2], -Infinity, 10)).snr).toBeCloseTo(20, 5);
  expect(differenceOf(f32([1], Number.NaN), f32([1], 1)).snr).toBe(-Infinity);
});
