/** The inputs that a command was given: `--data`, `--inputs`, or drawn by seed. */

import { notNumbers } from "../data/not-a-number.ts";
import { drawInputs, type InputPort, type Sample, splitInferences } from "../data/sample.ts";
import { readSampleFolder } from "../data/sample-folder.ts";
import { readTensorFile } from "../data/tensor-file.ts";
import { fail, InputError } from "../diag/diagnostic.ts";
import type { Mode } from "../sim/program-tiles.ts";
import { toNumbers } from "../tensor/convert.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { pairs } from "./options.ts";
import { say } from "./terminal.ts";

export interface InputOptions {
  readonly data?: string;
  readonly inputs?: readonly string[];
  readonly seed: number;
  readonly mode: Mode;
}

export interface GivenInputs {
  /** One map of inputs for each inference. */
  readonly inferences: readonly Sample[];
  /** Outputs recorded in `--data`, of all inferences along the leading axis. */
  readonly recorded: ReadonlyMap<string, Tensor>;
  /** Where they came from, for messages. */
  readonly from: string;
}

/**
 * Errors: A420 to A426 for what the files hold, A429 for NaN that would meet a converter. In `ideal` NaN is told on
 * standard error: a model may look for it.
 */
export function givenInputs(
  options: InputOptions,
  ports: readonly InputPort[],
  outputNames: readonly string[],
): GivenInputs {
  const given = readInputs(options, ports, outputNames);
  const odd = notNumbers(given.inferences);
  if (odd.length > 0 && options.mode !== "ideal") refuseNaN(odd);
  for (const text of odd) say(`note: ${text}`);
  return given;
}

function refuseNaN(odd: readonly string[]): never {
  const hint = "mend the inputs; --mode ideal takes them as they are";
  throw new InputError(odd.map((text) => ({ code: "A429", text, at: { kind: "command" }, hint })));
}

function readInputs(
  options: InputOptions,
  ports: readonly InputPort[],
  outputNames: readonly string[],
): GivenInputs {
  const none = new Map<string, Tensor>();
  const names = ports.map((p) => p.name);
  const fixed = ports.filter((p) => p.fixed).map((p) => p.name);
  if (options.data !== undefined) {
    const { inputs, outputs } = readSampleFolder(options.data, names, outputNames, fixed);
    return { inferences: splitInferences(ports, inputs), recorded: outputs, from: options.data };
  }
  if (options.inputs !== undefined) {
    const inputs = readPairs(options.inputs, names, fixed);
    return { inferences: splitInferences(ports, inputs), recorded: none, from: "--inputs" };
  }
  const drawn = drawInputs(ports, options.seed);
  return { inferences: [drawn], recorded: none, from: `inputs drawn with seed ${options.seed}` };
}

function readPairs(
  list: readonly string[],
  names: readonly string[],
  fixed: readonly string[],
): Sample {
  const given = pairs(list, "--inputs");
  for (const name of given.keys()) {
    if (names.includes(name)) continue;
    const hint = `the model's inputs are ${names.join(", ")}`;
    fail("A426", `the model has no input '${name}'`, { kind: "command" }, hint);
  }
  const missing = names.filter((n) => !given.has(n) && !fixed.includes(n));
  if (missing.length > 0) {
    const text = `no file is given for input ${missing.map((n) => `'${n}'`).join(", ")}`;
    fail("A426", text, { kind: "command" }, `add --inputs ${missing[0]}=FILE`);
  }
  return new Map([...given].map(([name, file]) => [name, tensorCalled(name, file)]));
}

/** The tensor of a file; of an .npz the array of that name, or its only one. */
export function tensorCalled(name: string, file: string): Tensor {
  const found = readTensorFile(file);
  const one = found.find((t) => t.name === name) ?? (found.length === 1 ? found[0] : undefined);
  if (one) return one.value;
  const held = found.map((t) => t.name).join(", ");
  const hint = `it holds ${held === "" ? "nothing" : held}`;
  return fail("A420", `no array is called '${name}'`, { kind: "file", file }, hint);
}

const WORDS: Readonly<Record<string, number>> = { true: 1, false: 0 };

/** What `--set INPUT=VALUE` says, by input: numbers, words for truth, or the contents of a file. Errors: A002, A014. */
export function settings(list: readonly string[]): Readonly<Record<string, readonly number[]>> {
  const given = pairs(list, "--set");
  return Object.fromEntries([...given].map(([name, text]) => [name, valuesOf(name, text)]));
}

function valuesOf(name: string, text: string): readonly number[] {
  if (/\.(npy|npz|pb)$/.test(text)) return [...toNumbers(tensorCalled(name, text))];
  return text.split(",").map((part) => {
    const word = part.trim().toLowerCase();
    const value = WORDS[word] ?? (word === "" ? Number.NaN : Number(word));
    if (Number.isFinite(value)) return value;
    const hint = "numbers separated by commas, true, false, or a .npy, .npz or .pb file";
    return fail("A014", `'${part}' is no value for input '${name}'`, { kind: "command" }, hint);
  });
}
