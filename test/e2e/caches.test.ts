/**
 * Decoders with a key/value cache: a prefill from an empty cache and steps of one token each, every step's outputs
 * fed back as the next one's inputs, on the simulated machine as on ONNX Runtime; and both give what one pass
 * over all tokens gives.
 */

import { join } from "node:path";
import { expect, test } from "vitest";
import { differenceOf } from "../../src/compare/difference.ts";
import { readPorts } from "../../src/onnx/read.ts";
import { runModel } from "../../src/reference/run.ts";
import { loadArtifact } from "../../src/sim/load.ts";
import { simulate } from "../../src/sim/simulate.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import type { Elem, Tensor } from "../../src/tensor/tensor.ts";
import { place } from "./cli.ts";
import { compile } from "./corpus.ts";

type Values = ReadonlyMap<string, Tensor>;

interface Shape {
  readonly batch: number;
  readonly past: number;
  readonly sequence: number;
}

/** What exporters call the four free dimensions of a decoder. */
function sizeOf(dim: string, { batch, past, sequence }: Shape): number {
  if (/total|\+/.test(dim)) return past + sequence;
  if (dim.startsWith("past")) return past;
  return dim.startsWith("batch") ? batch : sequence;
}

/** Tokens that differ from row to row and from place to place. */
const token = (row: number, at: number, below: number): number => (7 * at + 3 * row + 1) % below;

/** The inputs of one step: tokens, a mask that hides nothing, positions, and what the last step left. */
function inputsOf(model: string, shape: Shape, presents: readonly Tensor[]): Values {
  const { batch, past, sequence } = shape;
  let next = 0;
  const entries = readPorts(model).inputs.map((p): [string, Tensor] => {
    const dims = p.shape.map((d, i) => d ?? sizeOf(p.dims[i] ?? "", shape));
    const elem = p.elem as Elem;
    if (p.name.startsWith("past")) {
      const kept = presents[next++];
      return [p.name, kept ?? fromNumbers(elem, dims, [])];
    }
    const width = p.name.includes("mask") ? past + sequence : sequence;
    const from = p.name.includes("mask") ? 0 : past;
    const values = Array.from({ length: batch * width }, (_, i) => {
      const [row, at] = [Math.floor(i / width), from + (i % width)];
      if (p.name.includes("mask")) return 1;
      return p.name.includes("position") ? at : token(row, at, 90);
    });
    return [p.name, fromNumbers(elem, dims, values)];
  });
  return new Map(entries);
}

const presentsOf = (model: string, outputs: Values): readonly Tensor[] =>
  readPorts(model)
    .outputs.slice(1)
    .flatMap(({ name }) => outputs.get(name) ?? []);

function logitsOf(model: string, outputs: Values): Tensor {
  const found = outputs.get(readPorts(model).outputs[0]?.name ?? "");
  if (!found) throw new Error("the first output of a decoder is its logits");
  return found;
}

async function onMachine(model: string, shape: Shape, inputs: Values): Promise<Values> {
  const dims = Object.fromEntries(
    readPorts(model).inputs.flatMap((p) =>
      p.dims.flatMap((d) => (d === null ? [] : [[d, sizeOf(d, shape)] as const])),
    ),
  );
  const dir = join(place(), "artifact");
  await compile(model, dir, undefined, { dims, lora: { kind: "none" } });
  const { outputs } = await simulate(loadArtifact(dir), { inputs: [inputs], mode: "ideal" });
  const [first] = outputs;
  if (!first) throw new Error("one inference gives one set of outputs");
  return first;
}

/** Rows [from, to) of the sequence axis of [batch, sequence, width]. */
function rows(logits: Tensor, from: number, to: number): Tensor {
  const [batch = 0, sequence = 0, width = 0] = logits.shape;
  const data = Array.from({ length: batch }, (_, b) =>
    [...logits.data].slice((b * sequence + from) * width, (b * sequence + to) * width),
  );
  return fromNumbers(logits.elem, [batch, to - from, width], data.flat().map(Number));
}

test.each([
  ["llama_past_t26hf450", 1],
  ["llama_past_t26hf450", 2],
  ["gpt2_past_t113hf433", 2],
  ["qwen2_past_t26hf446", 2],
  ["genai_tiny-random-gpt2-fp32_past", 2],
])(
  "%s, batch %i: a prefill, then steps of one token",
  async (name, batch) => {
    const model = join("test/corpus", name, "model.onnx");
    const steps = [5, 1, 1].map((sequence, i, all) => ({
      batch,
      sequence,
      past: all.slice(0, i).reduce((a, b) => a + b, 0),
    }));
    const whole = { batch, past: 0, sequence: 7 };
    const once = logitsOf(model, await runModel(model, inputsOf(model, whole, [])));
    let [ours, theirs]: (readonly Tensor[])[] = [[], []];
    for (const shape of steps) {
      const expected = await runModel(model, inputsOf(model, shape, theirs ?? []));
      const outputs = await onMachine(model, shape, inputsOf(model, shape, ours ?? []));
      for (const [output, value] of expected) {
        expect(outputs.get(output)?.shape, output).toEqual(value.shape);
        expect(differenceOf(outputs.get(output), value).relative, output).toBeLessThan(1e-4);
      }
      const part = rows(once, shape.past, shape.past + shape.sequence);
      expect(differenceOf(logitsOf(model, outputs), part).relative).toBeLessThan(1e-4);
      ours = presentsOf(model, outputs);
      theirs = presentsOf(model, expected);
    }
  },
  120_000,
);
