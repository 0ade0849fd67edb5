/** Sizes that a view of a model guesses. */

import { expect, test } from "vitest";
import { guessedSizes } from "../../src/driver/sizes.ts";

const port = (name: string, dims: (string | null)[]) => ({
  name,
  elem: "i64" as const,
  shape: dims.map(() => 1),
  dims,
});

test("what is an expression of other dimensions follows from them", () => {
  const inputs = [
    port("input_ids", ["batch_size", "sequence_length"]),
    port("attention_mask", ["batch_size", "past_sequence_length + 1"]),
    port("mask", ["past_sequence_length + sequence_length"]),
    port("past", ["batch_size", null, "past_sequence_length", null]),
  ];
  for (const sizes of guessedSizes(inputs, {})) {
    const past = sizes["past_sequence_length"] ?? 0;
    expect(sizes["past_sequence_length + 1"]).toBe(past + 1);
    expect(sizes["past_sequence_length + sequence_length"]).toBe(
      past + (sizes["sequence_length"] ?? 0),
    );
  }
  const [given] = guessedSizes(inputs, { past_sequence_length: 5 });
  expect(given?.["past_sequence_length + 1"]).toBe(6);
});
