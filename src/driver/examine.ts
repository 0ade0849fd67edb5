/**
 * A model as the compiler sees it before any machine is known: raised as far as it goes. What stops a
 * compilation does not stop this: nodes that are refused are noted with the message, and passed over.
 */

import type { Policy } from "../../passes/options.ts";
import type { NearMiss, Remark } from "../../passes/pass.ts";
import { PIPELINE } from "../../passes/pipeline.ts";
import type { PortSpec } from "../artifact/manifest.ts";
import { type Diagnostic, InputError } from "../diag/diagnostic.ts";
import type { Module, Op } from "../ir/op.ts";
import { type FileFacts, fileFacts } from "../onnx/file-facts.ts";
import { type ReadModel, readModel, readPorts } from "../onnx/read.ts";
import { readStructure, type Structure } from "../onnx/structure.ts";
import type { Target } from "../target/schema.ts";
import { runPasses, type Surroundings } from "./run-passes.ts";
import { guessedSizes } from "./sizes.ts";

export interface ExamineRequest {
  readonly model: string;
  /** Sizes of free dimensions; the others are guessed. */
  readonly dims: Readonly<Record<string, number>>;
  readonly policy: Policy;
}

export interface Examined {
  readonly file: FileFacts;
  /** Modules that the exporter noted beside nodes, by node. */
  readonly scopes: ReadonlyMap<string, string>;
  readonly info: ReadModel["info"];
  /** Inputs and outputs as the file declares them. */
  readonly declared: {
    readonly inputs: readonly PortSpec[];
    readonly outputs: readonly PortSpec[];
  };
  /** The onnx level, as it was read. */
  readonly source: Module;
  /** The nn level, with places assigned. */
  readonly module: Module;
  /** Sizes that were guessed, by dimension. */
  readonly guessed: Readonly<Record<string, number>>;
  /** Messages about nodes that are not in the module. */
  readonly refused: readonly Diagnostic[];
  /** Nodes that are not in the module because of those. */
  readonly behind: readonly string[];
  /** Weights without values; zeros stand for them. */
  readonly absent: readonly Diagnostic[];
  /** What the patterns say of operations that they left. */
  readonly missed: ReadonlyMap<Op, NearMiss>;
  readonly remarks: readonly Remark[];
}

/** Up to the choice of places, which is the last that no machine is asked for. */
const STAGES = PIPELINE.filter(({ name }) => name === "onnx" || name === "nn");

/** Errors: all that concern the file as a whole, or its inputs. */
export async function examineModel(request: ExamineRequest): Promise<Examined> {
  const structure = readStructure(request.model);
  const declared = readPorts(request.model, structure);
  const guesses = guessedSizes(declared.inputs, request.dims);
  let best: Attempt | undefined;
  for (const dims of guesses) {
    const attempt = await lookedAt(request, structure, dims);
    if (!best || attempt.contradictions < best.contradictions) best = attempt;
    if (best.contradictions === 0) break;
  }
  if (!best) throw new Error("there is always a guess");
  const guessed = Object.entries(best.info.dims).filter(([d]) => !Object.hasOwn(request.dims, d));
  return {
    ...best,
    file: fileFacts(request.model, structure),
    declared,
    guessed: Object.fromEntries(guessed),
  };
}

interface Attempt extends Omit<Examined, "file" | "declared" | "guessed"> {
  /** Nodes that were refused for what they read: other sizes may suit them. */
  readonly contradictions: number;
}

/** Not for sizes: operators that are not supported, and attributes that cannot be read. */
const WHATEVER_SIZE = new Set(["A105", "A115"]);

/** Looks again without the nodes that were refused, until the rest goes through. */
async function lookedAt(
  request: ExamineRequest,
  structure: Structure,
  dims: ExamineRequest["dims"],
): Promise<Attempt> {
  const refused: Diagnostic[] = [];
  const without = new Set<string>();
  for (;;) {
    try {
      const absent: Diagnostic[] = [];
      const tell = (weight: Diagnostic) => absent.push(weight);
      const read = readModel(request.model, { dims, without, structure, absent: tell });
      const seen = await raised(read, request.policy);
      const { info, behind, scopes } = read;
      const contradictions = refused.filter((d) => !WHATEVER_SIZE.has(d.code)).length;
      return { info, behind, scopes, refused, absent, contradictions, ...seen };
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      const nodes = nodesAtFault(error).filter((name) => !without.has(name));
      if (nodes.length === 0) throw error;
      for (const name of nodes) without.add(name);
      refused.push(...error.diagnostics);
    }
  }
}

/** None when it is the fault of something else, too, which cannot be passed over. */
function nodesAtFault({ diagnostics }: InputError): readonly string[] {
  const places = diagnostics.map((d) => d.at);
  return places.every((at) => at.kind === "node") ? places.flatMap((at) => at.nodes) : [];
}

/** No pass up to the choice of places asks anything of the machine. */
const NO_TARGET = new Proxy({} as Target, {
  get() {
    throw new Error("nothing may be asked of a machine yet");
  },
});

async function raised(
  read: ReadModel,
  policy: Policy,
): Promise<Pick<Examined, "source" | "module" | "missed" | "remarks">> {
  const missed = new Map<Op, NearMiss>();
  const remarks: Remark[] = [...read.remarks];
  const surroundings: Surroundings = {
    target: NO_TARGET,
    options: { policy, lora: { kind: "none" }, seed: 0, tokens: "auto" },
    weights: read.store,
    scopes: read.scopes,
    observe: async () => new Map(),
    // Passes look for ever larger things, so the last says more.
    missed: (m) => missed.set(m.op, m),
  };
  const module = await runPasses(read.module, STAGES, surroundings, (step) => {
    remarks.push(...step.remarks);
  });
  return { source: read.module, module, missed: latest(module, missed), remarks };
}

/** The near misses of operations that are still there: attributes are added to them, results stay. */
function latest(module: Module, missed: ReadonlyMap<Op, NearMiss>): ReadonlyMap<Op, NearMiss> {
  const byResult = new Map([...missed].map(([op, m]) => [op.results[0], m]));
  return new Map(
    module.ops.flatMap((op): [Op, NearMiss][] => {
      const found = op.kind.startsWith("onnx.") ? byResult.get(op.results[0]) : undefined;
      return found?.op.kind === op.kind ? [[op, found]] : [];
    }),
  );
}
