/** Every model of the corpus, judged; and docs/coverage.md, which is made of what came out. */

import { describe, expect, test } from "vitest";
import { differenceOf } from "../../src/compare/difference.ts";
import { readSampleFolder } from "../../src/data/sample-folder.ts";
import { InputError } from "../../src/diag/diagnostic.ts";
import { readPorts } from "../../src/onnx/read.ts";
import { runModel } from "../../src/reference/run.ts";
import { type Case, FRAGMENTS, isLegacy, MODELS, TRAINED, UNSUPPORTED } from "../corpus.ts";
import { findMlirOpt, judgedBy } from "../judges.ts";
import { factsOf, sourceOf, worstError } from "./facts.ts";
import { type Judged, judge } from "./judged.ts";
import { type Entry, type Refusal, showPage } from "./page.ts";
import { isKnown, UNSUPPORTED_GROUPS } from "./unsupported.ts";
import { holdScales, holdWeights } from "./weights.ts";

const WHOLE = [...TRAINED, ...MODELS];
const entries = new Map<string, Entry>();
const refusals: Refusal[] = [];

judgedBy(findMlirOpt(), "mlir-opt", "mlir-19-tools")("mlir-opt takes part", () => undefined);

/** Exported from a model class by PyTorch: its weights are inside of the file, its layers have names. */
const isExport = (c: Case): boolean => sourceOf(c).exporter?.startsWith("torch") === true;

/** How far ONNX Runtime itself is from what was recorded, node by node: other machines add in another order. */
async function unavoidable({ model }: Case, data: string): Promise<number> {
  const { inputs, outputs } = readPorts(model);
  const names = (ports: typeof inputs) => ports.map((p) => p.name);
  const sample = readSampleFolder(data, names(inputs), names(outputs));
  const plain = { optimisation: "disabled" } as const;
  const found = await runModel(model, sample.inputs, [...sample.outputs.keys()], plain);
  const errors = [...sample.outputs].map(
    ([n, value]) => differenceOf(found.get(n), value).relative,
  );
  return Math.max(...errors);
}

/** The answers are those of ONNX Runtime and the recorded ones, at the outputs and inside. */
async function holdAnswers(c: Case, data: string, { verification, artifact }: Judged) {
  const { outputs } = artifact.manifest.model;
  // A half float carries 11 bits, and each kernel rounds once.
  const limit = outputs.some((o) => o.elem === "f16") ? 1e-2 : 1e-3;
  const onOrt = worstError(verification, "ONNX Runtime");
  const recorded = worstError(verification, "recorded") ?? Number.NaN;
  if (isLegacy(c)) expect(onOrt).toBeNull();
  else expect(onOrt).toBeLessThanOrEqual(limit);
  const allowed = recorded <= limit ? limit : 2 * (await unavoidable(c, data));
  expect(recorded, "against what was recorded").toBeLessThanOrEqual(allowed);
  const [run] = verification.runs;
  const judged = (run?.outputs ?? []).filter((o) => o.against === "ONNX Runtime" || isLegacy(c));
  expect(judged.map((o) => o.output).sort()).toEqual(outputs.map((o) => o.name).sort());
  for (const { argmax } of judged) expect(argmax ?? 1).toBe(1);
  for (const { difference, tensor } of run?.layers ?? []) {
    expect(difference.relative, tensor).toBeLessThan(limit);
  }
}

/** Keeps what the page tells: the largest errors over all data sets, the rest of the first. */
function keep(c: Case, judged: Judged): void {
  const before = entries.get(c.name);
  const most = (a: number | null | undefined, b: number | null): number | null =>
    a === null || a === undefined ? b : Math.max(a, b ?? 0);
  const onOrt = most(before?.onOrt, worstError(judged.verification, "ONNX Runtime"));
  const recorded = most(before?.recorded, worstError(judged.verification, "recorded"));
  entries.set(c.name, { facts: before?.facts ?? factsOf(c, judged), onOrt, recorded });
}

const setsOf = (cases: readonly Case[]) =>
  cases.flatMap((c) => c.data.map((data, set) => ({ c, name: c.name, data, set })));

describe.each([
  ["whole models", WHOLE],
  ["pieces of models", FRAGMENTS],
])("%s", (_, cases) => {
  test.each(setsOf(cases))("$name, data set $set", async ({ c, data }) => {
    await judge(c.model, data, async (judged) => {
      keep(c, judged);
      await holdAnswers(c, data, judged);
      if (data === c.data[0] && isExport(c)) {
        holdWeights(c.model, judged.dir);
        expect(
          judged.verification.runs[0]?.layers.length,
          "layers that can be observed",
        ).toBeGreaterThan(10);
      }
      if (c.name === "gpt2-bytes") holdScales(judged.dir);
    });
  });
});

test.each(UNSUPPORTED)("$name is refused", async (c) => {
  const faults = await judge(c.model, c.data[0], () => undefined).then(
    () => [],
    (e: unknown) => {
      if (!(e instanceof InputError)) throw e;
      return e.diagnostics;
    },
  );
  expect(faults.length).toBeGreaterThan(0);
  for (const { code } of faults) expect(code).toMatch(/^A1\d\d$/);
  refusals.push({ name: c.name, faults });
});

test.each(UNSUPPORTED_GROUPS.flatMap((g) => g.operators))("%s is not supported", (operator) => {
  expect(isKnown(operator)).toBe(false);
});

test("docs/coverage.md says what came out; npx vitest run test/coverage -u writes it", async () => {
  const told = (cases: readonly Case[]) =>
    cases.map(({ name }) => {
      const entry = entries.get(name);
      if (!entry) throw new Error(`${name} has not been judged: run all tests of this file`);
      return entry;
    });
  const page = showPage({ models: told(WHOLE), pieces: told(FRAGMENTS), refusals });
  await expect(page).toMatchFileSnapshot("../../docs/coverage.md");
});
