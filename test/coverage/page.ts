/** docs/coverage.md, from what the corpus gave. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Diagnostic } from "../../src/diag/diagnostic.ts";
import { OPS } from "../../src/ir/registry.ts";
import { CONTROL } from "../../src/onnx/lower.ts";
import type { Counts, ModelFacts } from "./facts.ts";
import { type OperatorRow, operatorRows } from "./operators.ts";
import { UNSUPPORTED_GROUPS } from "./unsupported.ts";

export interface Entry {
  readonly facts: ModelFacts;
  /** Largest errors relative to the largest value of an output; null where there is no such judge. */
  readonly onOrt: number | null;
  readonly recorded: number | null;
}

export interface Refusal {
  readonly name: string;
  readonly faults: readonly Diagnostic[];
}

export interface Results {
  readonly models: readonly Entry[];
  readonly pieces: readonly Entry[];
  readonly refusals: readonly Refusal[];
}

const INTRODUCTION = `# Coverage

What of ONNX is taken, and what becomes of it. This page is made by \`npx vitest run test/coverage -u\` from the corpus in
\`test/corpus\` and \`samples\`; the same test fails when the page no longer says what came out. Your own model is most
likely a relative of one of these: look at its row, or ask \`aimcc inspect MODEL.onnx\`.

Each model is compiled for \`ahwa-lora\` (tiles of 512 x 512) with every data set that was recorded with it, and
each pass is judged: the module that it leaves, exported to ONNX, has to give the answer of the original file on ONNX
Runtime. Then the program is simulated with ideal tiles and held against ONNX Runtime and against the recorded outputs,
which come from PyTorch for the exports of Hugging Face models.`;

const MODELS = `## Whole models

The error is the largest one of any output of any data set, relative to the output's largest value, up to the next
power of ten.`;

const RECOGNISED = `## What is recognised in them

Linears are matrix products with constant weights: on tiles of all that were found. \`head\` and \`router\` stay digital with
the policy that these runs use, \`default\`. What stays plain computes on a cluster as the file says; operators that
only move data are left out here.`;

const PIECES = `## Pieces of models

Fused patterns and single operators from other projects' tests. Those of opset 6 are judged by their recorded outputs where
ONNX Runtime has no operators for them.`;

const DIGITAL = "## What stays digital, and why\n\nModules of all models above.";

const OPERATORS = `## Operators

Operators of opsets 1 to 25 are brought to the meaning that they have at opset 23. "Written out": a fused operator is
replaced by the plain ones that it is made of, so that its weights reach tiles; forms that plain operators cannot say run as one
kernel, where there is one. "Kernel": a cluster computes it. All of them are evaluated while compiling where their operands are constant. The
columns behind count the nodes of the corpus: those that became part of a module of the network (and of which kinds), those
that stayed, and those that were folded, merged or not needed.`;

/** Operators that no level has, because the reader resolves them. */
const RESOLVED = Object.keys(CONTROL)
  .filter((kind) => !OPS.has(kind))
  .map((kind) => kind.slice("onnx.".length))
  .sort();

const number = (n: number): string => String(n);
const dash = (text: string): string => (text === "" ? "-" : text);

/** A bar in a cell would end it. */
const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const listed = (counts: Counts): string =>
  [...counts]
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .map(([name, n]) => (n === 1 ? name : `${n} ${name}`))
    .join(", ");

/** Errors below 1e-4 are rounding, which differs from machine to machine. */
const bound = (error: number | null): string => {
  const limit = [1e-4, 1e-3, 1e-2, 1e-1].find((l) => error !== null && error <= l);
  return error === null ? "-" : `<= ${(limit ?? 1).toExponential(0)}`;
};

const modelRow = ({ facts: f, onOrt, recorded }: Entry): string[] => [
  f.name,
  f.what,
  f.from,
  number(f.opset),
  number(f.nodes),
  number(f.sets),
  bound(onOrt),
  bound(recorded),
];

/** Counts of several kinds under one head. */
const sum = (counts: Counts, ...kinds: readonly string[]): string =>
  dash(kinds.reduce((n, k) => n + (counts.get(k) ?? 0), 0).toFixed(0)).replace(/^0$/, "-");

const recognisedRow = ({ facts: f }: Entry): string[] => [
  f.name,
  `${f.onTiles} of ${f.linears}`,
  number(f.tiles),
  sum(f.modules, "attention"),
  sum(f.modules, "layer_norm", "rms_norm"),
  sum(f.modules, "rope"),
  sum(f.modules, "activation", "gated"),
  sum(f.modules, "embedding"),
  f.experts === 0 ? "-" : `${f.modules.get("router") ?? 0} x ${f.experts}`,
  sum(f.modules, "cache_append"),
  dash(listed(f.plain)),
];

const pieceRow = ({ facts: f, onOrt, recorded }: Entry): string[] => [
  f.name,
  f.from,
  number(f.opset),
  number(f.nodes),
  bound(onOrt),
  bound(recorded),
  dash(listed(f.modules)),
  dash(listed(f.plain)),
];

function digitalRows(entries: readonly Entry[]): string[][] {
  const groups = new Map<string, { kind: string; why: string; models: number; modules: number }>();
  for (const { kind, why, modules } of entries.flatMap((e) => e.facts.digital)) {
    const key = `${kind}/${why}`;
    const group = groups.get(key) ?? { kind, why, models: 0, modules: 0 };
    groups.set(key, { ...group, models: group.models + 1, modules: group.modules + modules });
  }
  return [...groups.values()]
    .sort((a, b) => b.models - a.models || (a.kind + a.why < b.kind + b.why ? -1 : 1))
    .map(({ kind, why, models, modules }) => [kind, why, number(modules), number(models)]);
}

const operatorRow = (row: OperatorRow): string[] => [
  row.operator,
  [...(row.isWrittenOut ? ["written out"] : []), ...(row.hasKernel ? ["kernel"] : [])].join(", "),
  number(row.tests),
  number(row.nodes),
  row.raised === 0 ? "-" : `${row.raised}: ${row.modules.join(", ")}`,
  row.nodes === 0 ? "-" : number(row.stayed),
  row.nodes === 0 ? "-" : number(row.gone),
];

/** The pages of the codes by which a model is refused, each with its title. */
const refusalRows = (): string[][] =>
  readdirSync("docs/errors")
    .filter((file) => /^A1\d\d\.md$/.test(file))
    .sort()
    .map((file) => {
      const [title = ""] = readFileSync(join("docs/errors", file), "utf8").split("\n");
      const [, code = "", text = ""] = /^# (A\d+): (.*)$/.exec(title) ?? [];
      return [`[${code}](errors/${file})`, text];
    });

function operatorTables(entries: readonly Entry[]): string[] {
  const rows = operatorRows(entries.flatMap((e) => e.facts.fates));
  const head = ["operator", "how", "ONNX's tests", "nodes", "became part of", "stayed", "left out"];
  const isOurs = (row: OperatorRow): boolean => row.operator.startsWith("com.microsoft.");
  const short = (row: OperatorRow): OperatorRow => ({
    ...row,
    operator: row.operator.replace("com.microsoft.", ""),
  });
  return [
    OPERATORS,
    `### ONNX\n\n${table(head, rows.filter((r) => !isOurs(r)).map(operatorRow))}`,
    `### com.microsoft\n\n${table(head, rows.filter(isOurs).map(short).map(operatorRow))}`,
    `### Resolved while reading\n\nNo operation of any level is left of these, as far as data do not decide\n(see [A126](errors/A126.md)): ${RESOLVED.join(", ")}. Functions of the file are inlined.`,
    `### Not supported\n\n${table(
      ["why", "operators"],
      UNSUPPORTED_GROUPS.map((g) => [g.why, g.operators.join(", ")]),
    )}`,
  ];
}

export function showPage({ models, pieces, refusals }: Results): string {
  const head = ["model", "what", "from", "opset", "nodes", "data sets"];
  const errors = ["error against ONNX Runtime", "against the recording"];
  const found = ["model", "linears on tiles", "tiles", "attention", "norms", "rope"];
  const more = ["activations", "embeddings", "routers x experts", "caches", "stays plain"];
  const refused = refusals.map(({ name, faults }) => [
    name,
    faults.map((f) => `${f.code}: ${f.text}`).join("; "),
  ]);
  const sections = [
    INTRODUCTION,
    `${MODELS}\n\n${table([...head, ...errors], models.map(modelRow))}`,
    `${RECOGNISED}\n\n${table([...found, ...more], models.map(recognisedRow))}`,
    `${PIECES}\n\n${table(
      ["piece", "from", "opset", "nodes", ...errors, "recognised", "stays plain"],
      pieces.map(pieceRow),
    )}`,
    `## Refused\n\n${table(["model", "message"], refused)}`,
    `${DIGITAL}\n\n${table(["what", "why", "modules", "models"], digitalRows(models))}`,
    ...operatorTables([...models, ...pieces]),
    `## Structures that are refused\n\nEach has its own code; \`aimcc explain CODE\` shows its page.\n\n${table(
      ["code", "when"],
      refusalRows(),
    )}`,
  ];
  return `${sections.join("\n\n")}\n`;
}
