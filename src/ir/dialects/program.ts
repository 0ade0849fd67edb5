/**
 * The program dialect: what every cluster runs. An operation of the aimc level becomes a step, which carries
 * that operation inside it (`fn`, `args`) and says over which domain it repeats, what each iteration reads
 * and writes, and what must have happened before. Attributes mirror src/artifact/schedule.ts.
 */

import { type AttrSpec, attr, type OpDef, optional } from "../define.ts";
import type { Attr, Attrs, Op } from "../op.ts";
import { AIMC_OPS } from "./aimc.ts";
import { NN_OPS } from "./nn.ts";
import { ONNX_OPS } from "./onnx.ts";

/** The levels above have every kind that a step may wrap. */
const WRAPPED: ReadonlyMap<string, OpDef> = new Map(
  [...ONNX_OPS, ...NN_OPS, ...AIMC_OPS].map((def) => [def.kind, def]),
);

export const MVM = "aimc.mvm";

/** What every step carries; the passes `pipeline-tokens` and `schedule` fill it in. */
const STEP_ATTRS = {
  /** Name of the step. */
  step: attr.string,
  /** [batch, tokens, block] of artifact Domain. */
  domain: attr.ints,
  /** Region per operand; {} for an absent one. */
  reads: attr.any,
  /** Region per result. */
  writes: attr.any,
  waits: attr.any,
  credits: attr.any,
  /** Per result { capacity, cluster }. */
  rings: attr.any,
  /** Place in the cluster's list of priorities, from 0. */
  order: optional(attr.int),
  signals: optional(attr.strings),
  /** { digitalNs, tileNs, energyNj } of one full iteration. */
  cost: optional(attr.dict),
} satisfies Record<string, AttrSpec>;

const SCHEDULING: ReadonlySet<string> = new Set(Object.keys(STEP_ATTRS));

/** Attributes that any operation may carry stay outside of `args`. */
const COMMON = ["module", "cluster", "why"] as const;

const isDict = (a: Attr | undefined): a is Attrs =>
  typeof a === "object" && a !== null && !Array.isArray(a);

/** The operation of the aimc level that a step runs; null when the attributes do not name one. */
export function wrappedOp(step: Op): Op | null {
  if (step.kind === "program.launch") {
    const attrs = Object.fromEntries(
      Object.entries(step.attrs).filter(([name]) => !SCHEDULING.has(name)),
    );
    return { ...step, kind: MVM, attrs };
  }
  const { fn, args } = step.attrs;
  if (typeof fn !== "string" || !isDict(args)) return null;
  return { ...step, kind: fn, attrs: { ...args, ...commonOf(step) } };
}

/** The step that runs an operation, with the attributes that schedule it. */
export function wrapOp(op: Op, scheduling: Attrs): Op {
  if (op.kind === MVM) {
    return { ...op, kind: "program.launch", attrs: { ...op.attrs, ...scheduling } };
  }
  const names: readonly string[] = COMMON;
  const own = Object.entries(op.attrs).filter(([name]) => !names.includes(name));
  const args = Object.fromEntries(own);
  return {
    ...op,
    kind: "program.call",
    attrs: { ...commonOf(op), ...scheduling, fn: op.kind, args },
  };
}

const commonOf = (op: Op): Attrs =>
  Object.fromEntries(
    COMMON.flatMap((name) => {
      const a = op.attrs[name];
      return a === undefined ? [] : [[name, a] as const];
    }),
  );

const defOfStep = (step: Op): { readonly op: Op; readonly def: OpDef } | null => {
  const op = wrappedOp(step);
  const def = op && WRAPPED.get(op.kind);
  return op && def ? { op, def } : null;
};

function* verifyStep(step: Op): Iterable<string> {
  const wrapped = defOfStep(step);
  if (!wrapped) return yield `runs '${String(step.attrs["fn"])}', which is no operation`;
  const domain = step.attrs["domain"];
  const [batch, tokens, block] = Array.isArray(domain) ? domain : [];
  if (![batch, tokens, block].every((d) => typeof d === "number" && d >= 1)) {
    yield "domain must be [batch, tokens, block], each at least 1";
  }
  const counts = { reads: step.operands, writes: step.results, rings: step.results };
  for (const [name, values] of Object.entries(counts)) {
    const list = step.attrs[name];
    if (!Array.isArray(list) || list.length !== values.length) {
      yield `'${name}' needs ${values.length} entries`;
    }
  }
  yield* wrapped.def.verify?.(wrapped.op) ?? [];
}

const delegated = {
  levels: ["program"],
  results: ["y*"],
  verify: verifyStep,
  access: () => null,
  toOnnx(step, graph, inputs, outputs) {
    const wrapped = defOfStep(step);
    if (!wrapped) throw new Error(`${step.kind} runs nothing that has a meaning`);
    wrapped.def.toOnnx(wrapped.op, graph, inputs, outputs);
  },
} satisfies Partial<OpDef>;

const call: OpDef = {
  ...delegated,
  kind: "program.call",
  doc: "A digital kernel on a cluster: runs operation `fn` with `args`, once for each iteration.",
  operands: ["x*"],
  attrs: { fn: attr.string, args: attr.dict, ...STEP_ATTRS },
};

const launch: OpDef = {
  ...delegated,
  kind: "program.launch",
  doc: "Tiles started by a cluster: an aimc.mvm, once for each iteration.",
  operands: ["x", "routing?"],
  attrs: { ...WRAPPED.get(MVM)?.attrs, ...STEP_ATTRS },
};

const receive: OpDef = {
  kind: "program.receive",
  levels: ["program"],
  doc: "The host writes a graph input into its ring, block by block, as the readers' credits allow.",
  operands: ["x"],
  results: [],
  attrs: {
    domain: attr.ints,
    writes: attr.any,
    credits: attr.any,
    rings: attr.any,
  },
  effect: true,
  access: () => null,
  toOnnx: () => undefined,
};

export const PROGRAM_OPS: readonly OpDef[] = [call, launch, receive];
