/**
 * Results that are noted as they come, so that a run that was ended goes on where it was: a file of JSON lines,
 * first what was measured, then one line for each seed at each time. docs/guide/verify.md describes it.
 */

import { createHash } from "node:crypto";
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { type Diagnostic, fail, InputError, inFile } from "../diag/diagnostic.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { ResultsLog, SeedRun, VerifyRequest } from "./verification.ts";

/** JSON has no infinities; they are written as words. */
const Real = z.union([z.number(), z.enum(["Infinity", "-Infinity", "NaN"]).transform(Number)]);

const DifferenceLine = z.strictObject({
  maxError: Real,
  maxReference: Real,
  relative: Real,
  cosine: Real,
  snr: Real,
});

const RunLine = z.strictObject({
  seed: z.int(),
  timeSeconds: z.number(),
  metric: Real.optional(),
  outputs: z.array(
    z.strictObject({
      output: z.string(),
      against: z.enum(["ONNX Runtime", "recorded"]),
      argmax: z.number().optional(),
      rounding: Real.optional(),
      original: Real.optional(),
      notFinite: z.int().optional(),
      difference: DifferenceLine,
    }),
  ),
  layers: z.array(
    z.strictObject({
      tensor: z.string(),
      step: z.string(),
      kernel: z.string(),
      module: z.string(),
      weight: z.string().optional(),
      nodes: z.array(z.string()),
      difference: DifferenceLine,
    }),
  ),
});

const Head = z.strictObject({ format: z.literal("aimcc-results"), version: z.literal(1) }).extend({
  /** SHA-256 of everything that decides the results but seeds and times. */
  of: z.string(),
});

/**
 * Opens or begins a results file. `what` says everything that decides the results besides the request.
 * Errors: A435 when the file is none of ours, or holds results of something else; A009 when it cannot be written.
 */
export function openResults(
  file: string,
  request: Omit<VerifyRequest, "results">,
  what: string,
): ResultsLog {
  const of = digestOf(request, what);
  const head = JSON.stringify({ format: "aimcc-results", version: 1, of });
  if (!existsSync(file)) {
    written(file, () => writeFileSync(file, `${head}\n`));
    return logTo(file, []);
  }
  const text = readFileSync(file, "utf8");
  const lines = text.split("\n");
  // Behind the last line break is nothing, or a line that was being written when the process was ended.
  const torn = lines.pop() ?? "";
  checkHead(file, lines.shift() ?? torn, of);
  const known = lines.map((line, i) => runOf(file, line, i + 2));
  if (torn !== "") {
    const whole = text.slice(0, text.length - torn.length);
    written(file, () => writeFileSync(file, whole));
  }
  return logTo(file, known);
}

const logTo = (file: string, known: readonly SeedRun[]): ResultsLog => ({
  known,
  add: (run) => {
    const line = JSON.stringify(run, (_, v: unknown) =>
      typeof v === "number" && !Number.isFinite(v) ? String(v) : v,
    );
    written(file, () => appendFileSync(file, `${line}\n`));
  },
});

function written(file: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    const reason = (error as Error).message.replace(/,.*/s, "");
    fail("A009", `cannot write results (${reason})`, inFile(file), "give another --resume");
  }
}

function checkHead(file: string, line: string, of: string): void {
  const head = Head.safeParse(parsed(line));
  if (head.success && head.data.of === of) return;
  if (!head.success) refuse(file, "this is no results file", "give another --resume");
  const hint = "give another --resume, or the artifact, inputs, mode and metric that it is of";
  refuse(file, "the file holds results of something else", hint);
}

function runOf(file: string, line: string, number: number): SeedRun {
  const run = RunLine.safeParse(parsed(line));
  if (run.success) return run.data;
  const at = { kind: "text", file, line: number, column: 1 } as const;
  const text = "this line is no result";
  const diagnostic: Diagnostic = { code: "A435", text, at, hint: "remove the line, or the file" };
  throw new InputError([diagnostic]);
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // Not JSON is as wrong as other JSON: the schema says so.
    return undefined;
  }
}

function refuse(file: string, text: string, hint: string): never {
  return fail("A435", text, inFile(file), hint);
}

/** Program, side-branches, inputs, recorded outputs and mode; the manifest has the digest of the model. */
function digestOf(request: Omit<VerifyRequest, "results">, what: string): string {
  const { artifact, inferences, recorded, mode } = request;
  const { manifest, mapping, schedule, constants } = artifact;
  const hash = createHash("sha256");
  hash.update(JSON.stringify([what, mode, manifest, mapping, schedule]));
  const add = (name: string, { elem, shape, data }: Tensor): void => {
    hash.update(JSON.stringify([name, elem, shape]));
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  };
  for (const name of mapping.lora.flatMap(({ a, b }) => [a, b])) {
    const branch = constants.get(name);
    if (branch) add(name, branch);
  }
  for (const inputs of [...inferences, recorded]) {
    for (const [name, value] of inputs) add(name, value);
  }
  return hash.digest("hex");
}
