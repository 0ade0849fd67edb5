/** Options that several commands take, and the reading of their values. */

import { InvalidArgumentError, Option } from "commander";
import { secondsOf } from "../compare/age.ts";
import { fail } from "../diag/diagnostic.ts";

/** `NAME=N`, repeated, gathered into a record. */
export function addDim(text: string, before: Record<string, number> = {}): Record<string, number> {
  const [, name, size] = /^(.+)=(\d+)$/.exec(text) ?? [];
  if (name === undefined || size === undefined) {
    throw new InvalidArgumentError("Expected NAME=N, for example sequence=128.");
  }
  return { ...before, [name]: Number(size) };
}

export function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("Expected a whole number.");
  return Number(text);
}

/** Noise is drawn with 32 bits of a seed: larger ones would be chips that others are already. */
export const LARGEST_SEED = 2 ** 32 - 1;

function seedNumber(text: string): number {
  const seed = wholeNumber(text);
  if (seed <= LARGEST_SEED) return seed;
  throw new InvalidArgumentError(`Expected a whole number up to ${LARGEST_SEED}.`);
}

export function positiveNumber(text: string): number {
  const n = Number(text);
  if (!(n > 0)) throw new InvalidArgumentError("Expected a number above 0.");
  return n;
}

function duration(text: string): number {
  const seconds = secondsOf(text);
  if (seconds === null) {
    throw new InvalidArgumentError("Expected a time such as 90s, 1h, 1d, 1w or 1y.");
  }
  return seconds;
}

/** `1s,1h,1d`: times in ascending order, each once. */
function durations(text: string): readonly number[] {
  const all = text.split(",").map((t) => duration(t.trim()));
  return [...new Set(all)].sort((a, b) => a - b);
}

/** `0.5%` or `0.005`, as a share. */
export function shareNumber(text: string): number {
  const [, n, percent] = /^(\d*\.?\d+)\s*(%?)$/.exec(text) ?? [];
  const share = Number(n) / (percent === "%" ? 100 : 1);
  if (!(share > 0 && share < 1)) {
    throw new InvalidArgumentError("Expected a share between 0 and 1, such as 0.5% or 0.005.");
  }
  return share;
}

/** `name=file` pairs. */
export function pairs(list: readonly string[], option: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const text of list) {
    const at = text.indexOf("=");
    if (at <= 0 || at === text.length - 1) {
      const hint = `for example ${option} input_ids=ids.npy`;
      fail("A002", `'${text}' is not NAME=FILE`, { kind: "command" }, hint);
    }
    found.set(text.slice(0, at), text.slice(at + 1));
  }
  return found;
}

export const MODES = ["ideal", "quantized", "noisy"] as const;
export type Mode = (typeof MODES)[number];

export const modeOption = (description: string): Option =>
  new Option("--mode <mode>", description).choices(MODES).default("ideal");

export const isaOption = (): Option =>
  new Option("--isa", "run the machine code of the clusters, instruction by instruction");

/** Errors: A016 for options that mean nothing for machine code. */
export function checkIsa(options: {
  readonly isa?: boolean;
  readonly engine?: string;
  readonly explain?: boolean;
  readonly stream?: boolean;
}): void {
  const { isa, engine, explain, stream } = options;
  if (!isa) return;
  const other = engine === "ort" ? "--engine ort" : explain ? "--explain" : stream && "--stream";
  if (!other) return;
  const text = `${other} is for the simulator of kernels, and --isa runs machine code`;
  fail("A016", text, { kind: "command" }, "leave out one of them");
}

export const seedOption = (description: string): Option =>
  new Option("--seed <n>", description).argParser(seedNumber).default(0);

export const timeOption = (): Option =>
  new Option("--time <t>", "time since programming, for drift: 90s, 1h, 1d, 1w, 1y")
    .argParser(duration)
    .default(0, "0s");

export const timesOption = (): Option =>
  new Option("--time <t,...>", "times since programming, for drift: 1d, or 1s,1h,1d,1y,10y")
    .argParser(durations)
    .default([0], "0s");

export const streamOption = (): Option =>
  new Option(
    "--stream",
    "program tiles and read constants when they are needed: memory does not grow with the model",
  );

export const dataOption = (description: string): Option =>
  new Option("--data <folder>", description).conflicts("inputs");

export const inputsOption = (): Option =>
  new Option("--inputs <name=file...>", "inputs from .pb, .npy or .npz files");

export const jsonOption = (): Option => new Option("--json", "print JSON (docs/json.md)");
