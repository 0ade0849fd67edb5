/** Small modules of the aimc level, built by hand. */

import type { PassContext, Remark } from "../../passes/pass.ts";
import { priceOn } from "../../passes/pipeline/cost.ts";
import { capacitiesOf } from "../../passes/pipeline/memory.ts";
import { networkOf } from "../../passes/pipeline/network.ts";
import { propagate } from "../../passes/pipeline/propagate.ts";
import { pipelineTokens, programOf } from "../../passes/pipeline-tokens.ts";
import { schedule } from "../../passes/schedule.ts";
import { Schedule } from "../../src/artifact/schedule.ts";
import type { Diagnostic } from "../../src/diag/diagnostic.ts";
import { toSchedule } from "../../src/ir/dialects/program-schedule.ts";
import type { Attrs, Module, Op, Value } from "../../src/ir/op.ts";
import { OPS } from "../../src/ir/registry.ts";
import { verify } from "../../src/ir/verify.ts";
import { loadTarget } from "../../src/target/load.ts";
import type { Target } from "../../src/target/schema.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import type { Elem } from "../../src/tensor/tensor.ts";

type Shape = readonly number[];

/** Collects operations; every method gives the results. Clusters go round `clusters`. */
export class Builder {
  readonly inputs: Module["inputs"][number][] = [];
  readonly ops: Op[] = [];
  private readonly clusters: number;
  private count = 0;

  constructor(clusters = 2) {
    this.clusters = clusters;
  }

  input(name: string, shape: Shape, elem: Elem = "f32"): Value {
    const value = { id: name, type: { elem, shape }, tensor: name };
    this.inputs.push({ name, value });
    return value;
  }

  constant(shape: Shape, elem: Elem = "f32", values?: readonly number[]): Value {
    const size = shape.reduce((a, b) => a * b, 1);
    const value = fromNumbers(elem, shape, values ?? new Array(size).fill(1));
    const [result] = this.op("onnx.Constant", [], [shape], { value }, elem);
    return result as Value;
  }

  op(
    kind: string,
    operands: readonly (Value | null)[],
    shapes: readonly Shape[],
    attrs: Attrs = {},
    elem: Elem = "f32",
  ): readonly Value[] {
    const n = this.count++;
    const results = shapes.map((shape, i): Value => ({ id: `v${n}_${i}`, type: { elem, shape } }));
    const cluster = kind === "onnx.Constant" ? {} : { cluster: n % this.clusters };
    this.ops.push({ kind, operands, results, attrs: { ...attrs, ...cluster }, origin: [`n${n}`] });
    return results;
  }

  one(kind: string, operands: readonly (Value | null)[], shape: Shape, attrs: Attrs = {}): Value {
    return this.op(kind, operands, [shape], attrs)[0] as Value;
  }

  /** x [..., in] times a matrix held in tiles; `rows` row blocks. */
  mvm(x: Value, outputs: number, rows = 1, routing?: { of: Value; expert: number }): Value {
    const inputs = Number(x.type.shape.at(-1));
    const weight = fromNumbers("f32", [inputs, outputs], new Array(inputs * outputs).fill(0.5));
    const splits = Array.from({ length: rows + 1 }, (_, i) => Math.round((inputs * i) / rows));
    const leading = x.type.shape.slice(0, -1) as number[];
    const attrs: Attrs = {
      weight,
      transposed: false,
      role: "other",
      row_splits: splits,
      col_splits: [0, outputs],
      ...(routing && { expert: routing.expert }),
    };
    const shape = [...(rows > 1 ? [rows] : []), ...leading, outputs];
    return this.one("aimc.mvm", routing ? [x, routing.of] : [x], shape, attrs);
  }

  module(...outputs: Value[]): Module {
    return {
      level: "aimc",
      name: "hand-built",
      inputs: this.inputs,
      outputs: outputs.map((value, i) => ({ name: `out${i}`, value })),
      ops: this.ops,
    };
  }
}

export interface Compiled {
  readonly module: Module;
  readonly schedule: Schedule;
  readonly remarks: readonly Remark[];
  readonly faults: readonly Diagnostic[];
}

/** Both passes, each result verified; the schedule checked against its schema. */
export function compile(
  module: Module,
  tokens: number | "auto" = 2,
  target: Target = loadTarget("ahwa-lora"),
): Compiled {
  const remarks: Remark[] = [];
  const faults: Diagnostic[] = [];
  const context = {
    target,
    options: { tokens },
    report: (d: Diagnostic) => faults.push(d),
    remark: (r: Remark) => remarks.push(r),
  } as unknown as PassContext;
  let now = module;
  expectVerified(now);
  for (const pass of [pipelineTokens, schedule]) {
    now = pass.run(now, context) as Module;
    if (faults.length > 0) break;
    expectVerified(now);
  }
  const made = faults.length > 0 ? emptySchedule : Schedule.parse(toSchedule(now));
  return { module: now, schedule: made, remarks, faults };
}

const emptySchedule: Schedule = {
  version: 1,
  inputs: [],
  outputs: [],
  buffers: [],
  steps: [],
  clusters: [],
};

/** The schedule with as many tokens per block on each cluster as the list says, over and over. */
export function compileWith(module: Module, tokens: readonly number[]): Schedule {
  const target = loadTarget("ahwa-lora");
  const blocks = (cluster: number): number => tokens[cluster % tokens.length] ?? 1;
  const network = networkOf(module, propagate(module, OPS), blocks);
  return toSchedule(
    programOf(module, network, capacitiesOf(network, target, priceOn({ target }, module))),
  );
}

function expectVerified(module: Module): void {
  const faults = [...verify(module)].map((f) => f.text);
  if (faults.length > 0) throw new Error(faults.join("\n"));
}
