/** What the right answers are: the contents of a labels file. docs/guide/verify.md describes the format. */

import { z } from "zod";
import { fail, inFile } from "../diag/diagnostic.ts";
import { toNumbers } from "../tensor/convert.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** The class that is skipped unless a file says otherwise, as PyTorch's losses do. */
export const IGNORED = -100;

/** Tokens of the longest answer that is looked for: what the evaluation of SQuAD by Hugging Face takes. */
const LONGEST_ANSWER = 30;

const Numbers = z.strictObject({
  /** The output that is judged; absent: the one that is called logits, or the first. */
  output: z.string().optional(),
  /** Numbers in arrays however deep, one for each prediction in the order of the inputs. */
  labels: z.array(z.unknown()),
  ignore: z.number().optional(),
  /** The class whose F1 is wanted. */
  positive: z.int().min(0).optional(),
  /** Bytes of the text that the labels stand for, for bits per byte; absent: one a label. */
  bytes: z.number().positive().optional(),
});

const Place = z
  .tuple([z.int().min(0), z.int().min(0)])
  .refine(([first, last]) => first <= last, "an answer ends before it begins");

const Spans = z.strictObject({
  /** The outputs with a score for each token to be the first and the last of the answer, [batch, tokens]. */
  start: z.string(),
  end: z.string(),
  /** For each input its right answers, each as its first and last token. */
  spans: z.array(z.array(Place).min(1)),
  longest: z.int().min(1).default(LONGEST_ANSWER),
});

export interface NumberLabels {
  readonly kind: "numbers";
  readonly output?: string | undefined;
  readonly values: readonly number[];
  /** The label that is skipped; absent: `IGNORED` where labels are classes, none where they are numbers. */
  readonly ignore?: number | undefined;
  readonly positive?: number | undefined;
  readonly bytes?: number | undefined;
}

export interface SpanLabels {
  readonly kind: "spans";
  readonly start: string;
  readonly end: string;
  readonly spans: readonly (readonly (readonly [number, number])[])[];
  readonly longest: number;
}

export type Labels = NumberLabels | SpanLabels;

/** Labels that are just the numbers of a tensor. */
export const labelsOfTensor = (t: Tensor): Labels => ({
  kind: "numbers",
  values: toNumbers(t),
});

/** Errors: A434 when the text of the file is no labels. */
export function parseLabels(text: string, file: string): Labels {
  const data = parseJson(text, file);
  const spans = typeof data === "object" && data !== null && "spans" in data;
  if (spans) return { kind: "spans", ...checked(Spans, data, file) };
  const { labels, ...rest } = checked(Numbers, data, file);
  return { kind: "numbers", values: flat(labels, file), ...rest };
}

const HINT = "docs/guide/verify.md describes labels files";

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return fail("A434", `not JSON: ${(error as Error).message}`, inFile(file), HINT);
  }
}

function checked<T>(schema: z.ZodType<T>, data: unknown, file: string): T {
  const result = schema.safeParse(data);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue?.path.join(".") || "labels";
  return fail("A434", `${where}: ${issue?.message}`, inFile(file), HINT);
}

/** Arrays of any depth as one list. */
function flat(nested: readonly unknown[], file: string): readonly number[] {
  const all = nested.flat(Infinity) as readonly unknown[];
  const bad = all.findIndex((v) => typeof v !== "number");
  if (bad < 0) return all as readonly number[];
  const text = `label number ${bad} is ${JSON.stringify(all[bad])}, not a number`;
  return fail("A434", text, inFile(file), HINT);
}
