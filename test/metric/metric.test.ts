import { describe, expect, test } from "vitest";
import { labelsOfTensor, parseLabels } from "../../src/metric/labels.ts";
import { type MetricName, metricOf } from "../../src/metric/metric.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";

const f32 = (shape: number[], ...values: number[]) =>
  tensor("f32", shape, Float32Array.from(values));

/** The metric of an output called logits, by a labels file with this content. */
function score(name: MetricName, labels: object, output: Tensor, at = "logits"): number {
  const parsed = parseLabels(JSON.stringify(labels), "labels.json");
  return metricOf(name, parsed).of(new Map([[at, output]]));
}

const LN3 = Math.log(3);

describe("language models", () => {
  // Softmax of (0, ln 3) is (1/4, 3/4); of (0, 0) it is (1/2, 1/2).
  const logits = f32([1, 3, 2], 0, LN3, 0, LN3, 0, 0);

  test("bits per byte", () => {
    const nats = -Math.log(3 / 4) - Math.log(1 / 4) - Math.log(1 / 2);
    expect(score("bits-per-byte", { labels: [[1, 0, 0]] }, logits)).toBeCloseTo(
      nats / Math.LN2 / 3,
      6,
    );
    // Tokens of several bytes: 3 tokens stand for 12 of them.
    expect(score("bits-per-byte", { labels: [1, 0, 0], bytes: 12 }, logits)).toBeCloseTo(
      nats / Math.LN2 / 12,
      6,
    );
  });

  test("perplexity, without the labels that are skipped", () => {
    expect(score("perplexity", { labels: [1, 0, -100] }, logits)).toBeCloseTo(
      1 / Math.sqrt((3 / 4) * (1 / 4)),
      6,
    );
    expect(score("perplexity", { labels: [1, 9, 1], ignore: 9 }, logits)).toBeCloseTo(
      1 / Math.sqrt((3 / 4) * (1 / 2)),
      6,
    );
  });

  test("a uniform and a sure prediction, from a tensor", () => {
    const targets = labelsOfTensor(tensor("i64", [2], BigInt64Array.of(3n, 0n)));
    const metric = metricOf("bits-per-byte", targets);
    const of = (...values: number[]) => metric.of(new Map([["logits", f32([2, 4], ...values)]]));
    expect(of(0, 0, 0, 0, 5, 5, 5, 5)).toBeCloseTo(2, 12);
    expect(of(0, 0, 0, 99, 99, 0, 0, 0)).toBeCloseTo(0, 12);
  });
});

describe("classes", () => {
  // Decisions 1, 0, 1, 1, 0.
  const two = f32([5, 2], 0, 1, 1, 0, 0, 1, 0, 1, 1, 0);

  test("accuracy", () => {
    expect(score("accuracy", { labels: [1, 1, 0, 1, -100] }, two)).toBe(0.5);
  });

  test("F1 of class 1 of two, by hand: 2 hits, 1 false alarm, 1 miss", () => {
    expect(score("f1", { labels: [1, 1, 0, 1, 0] }, two)).toBeCloseTo(4 / 6, 12);
    expect(score("f1", { labels: [1, 1, 0, 1, 0], positive: 0 }, two)).toBeCloseTo(2 / 4, 12);
  });

  test("F1 of three classes is the mean of theirs", () => {
    // Decisions 0, 1, 2, 0 for labels 0, 1, 1, 2: F1 of 0 is 2/3, of 1 is 2/3, of 2 is 0.
    const three = f32([4, 3], 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0);
    expect(score("f1", { labels: [0, 1, 1, 2] }, three)).toBeCloseTo(4 / 9, 12);
  });

  test("exact match counts sequences", () => {
    const sequences = f32([2, 2, 2], 1, 0, 0, 1, 1, 0, 1, 0);
    const labels = [
      [0, 1],
      [0, 1],
    ];
    expect(score("exact-match", { labels }, sequences)).toBe(0.5);
    expect(score("exact-match", { labels: [0, 1, 0, -100] }, sequences)).toBe(1);
  });

  test("integers are decisions", () => {
    const tokens = tensor("i64", [2, 2], BigInt64Array.of(7n, 8n, 9n, 9n));
    expect(score("accuracy", { labels: [7, 8, 9, 1] }, tokens, "ids")).toBe(0.75);
    expect(score("exact-match", { labels: [7, 8, 9, 1] }, tokens, "ids")).toBe(0.5);
  });
});

test("mean squared error", () => {
  expect(score("mse", { labels: [1, 2, 5] }, f32([3, 1], 1, 4, 4), "regression")).toBeCloseTo(
    5 / 3,
    12,
  );
});

test("mean squared error skips what a file says, and nothing unless it does", () => {
  const found = f32([3, 1], 1, 4, -100);
  expect(score("mse", { labels: [3, 9, 5], ignore: 9 }, f32([3, 1], 1, 4, 4))).toBeCloseTo(2.5, 12);
  expect(score("mse", { labels: [1, 4, -100] }, found)).toBe(0);
});

describe("spans of answers", () => {
  // The answers found are tokens 1 to 2, and 0 to 0: an end before its start does not count.
  const start = f32([2, 4], 0, 5, 0, 0, 3, 0, 2, 0);
  const end = f32([2, 4], 9, 0, 5, 0, 6, 4, 0, 0);
  const outputs = new Map([
    ["start_logits", start],
    ["end_logits", end],
  ]);
  const spans = [
    [
      [1, 3],
      [0, 1],
    ],
    [[0, 0]],
  ];
  const labels = (more: object = {}) =>
    parseLabels(
      JSON.stringify({ start: "start_logits", end: "end_logits", spans, ...more }),
      "l.json",
    );

  test("F1 and exact match take the best of the right answers", () => {
    // Found [0, 0] scores 0 + 9, [1, 2] scores 5 + 5.
    expect(metricOf("f1", labels()).of(outputs)).toBeCloseTo((4 / 5 + 1) / 2, 12);
    expect(metricOf("exact-match", labels()).of(outputs)).toBe(0.5);
  });

  test("no answer is longer than wanted", () => {
    // Of one token: [0, 0] with 9 before [1, 1] with 5.
    expect(metricOf("f1", labels({ longest: 1 })).of(outputs)).toBeCloseTo((2 / 3 + 1) / 2, 12);
  });

  test("are for two metrics", () => {
    expect(() => metricOf("mse", labels())).toThrow(/A430.*mse needs labels, not spans/);
  });
});

describe("what does not fit is refused", () => {
  const logits = f32([1, 4], 0, 0, 0, 0);
  test.each([
    ["labels outside the vocabulary", { labels: [4] }, /A430.*label 4 is not in the vocabulary/],
    ["halves", { labels: [0.5] }, /A430.*label 0.5/],
    ["too many", { labels: [1, 2] }, /A430.*2 labels do not fit an output of shape \[1, 4\]/],
    ["none that counts", { labels: [-100] }, /A430.*no label counts/],
    ["another output", { labels: [1], output: "y" }, /A430.*no output 'y'/],
    ["words", { labels: [["cat"]] }, /A434.*label number 0 is "cat"/],
    ["misspelt fields", { labels: [1], ignored: 3 }, /A434.*ignored/],
    ["nothing", {}, /A434.*labels/],
    ["damaged spans", { start: "s", end: "e", spans: [[]] }, /A434.*spans.0/],
  ])("%s", (_, labels, message) => {
    expect(() => score("accuracy", labels, logits)).toThrow(message);
  });

  test("a class that the output does not have, whose F1 would be 0", () => {
    const labels = { labels: [1], positive: 4 };
    expect(() => score("f1", labels, logits)).toThrow(/A430.*no class 4/);
    expect(score("f1", { labels: [0], positive: 0 }, logits)).toBe(1);
  });

  test("answers that end before they begin, or beyond the tokens", () => {
    const spans = (...answer: number[]) => ({ start: "s", end: "s", spans: [[answer]] });
    expect(() => score("f1", spans(3, 1), logits, "s")).toThrow(
      /A434.*spans.0.0.*before it begins/,
    );
    expect(() => score("f1", spans(3, 4), logits, "s")).toThrow(/A430.*\[3, 4\].*within 4 tokens/);
  });

  test("numbers that are none", () => {
    const labels = labelsOfTensor(f32([4], 0, 1, Number.NaN, 0));
    const of = () => metricOf("mse", labels).of(new Map([["y", logits]]));
    expect(of).toThrow(/A430.*label number 2 is NaN/);
  });

  test("other text", () => {
    expect(() => parseLabels("1 2 3", "labels.txt")).toThrow(/A434.*not JSON/);
  });
});
