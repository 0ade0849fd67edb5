/** Small nn-level modules made by hand, and the surroundings that a pass runs in. */

import type { Options } from "../../passes/options.ts";
import type { PassContext, Remark } from "../../passes/pass.ts";
import type { Diagnostic } from "../../src/diag/diagnostic.ts";
import type { Attrs, Module, Op, Value, WeightRef } from "../../src/ir/op.ts";
import { loadTarget } from "../../src/target/load.ts";
import { loadPolicy } from "../../src/target/policy.ts";
import type { Target } from "../../src/target/schema.ts";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { sizeOf, type Tensor, type TensorType } from "../../src/tensor/tensor.ts";
import { ModelStore } from "../../src/weights/model-store.ts";

/** The same numbers on every run, in (-1, 1), without any order to them. */
export const numbers = (length: number, seed = 1): number[] =>
  Array.from(
    { length },
    (_, i) => 2 * ((Math.sin((i + 1) * 12.9898 + seed * 78.233) * 43758.5453) % 1),
  );

export const random = (shape: readonly number[], seed = 1): Tensor =>
  fromNumbers("f32", shape, numbers(sizeOf(shape), seed));

export const f32 = (...shape: number[]): TensorType => ({ elem: "f32", shape });

/** A network of linears in a row of which only sizes matter: weights have no values. */
export const shapeOnly = (name: string, rows: number, cols: number): WeightRef => ({
  weight: name,
  type: { elem: "f32", shape: [rows, cols] },
  sha256: "0".repeat(64),
});

export interface LinearSpec {
  readonly module: string;
  readonly role: string;
  readonly rows: number;
  readonly cols: number;
}

/** Every linear reads its own graph input [tokens, rows]. */
export function linears(specs: readonly LinearSpec[], tokens = 4, weight = shapeOnly): Module {
  const inputs: Value[] = [];
  const ops = specs.map(({ module, role, rows, cols }, i): Op => {
    const x: Value = { id: `x${i}`, type: f32(tokens, rows), tensor: `x${i}` };
    inputs.push(x);
    return op(
      "nn.linear",
      [x],
      { id: `y${i}`, type: f32(tokens, cols) },
      {
        weight: weight(`${module}.weight`, rows, cols),
        transposed: false,
        role,
        module,
      },
    );
  });
  return moduleOf(inputs, ops);
}

export const op = (
  kind: string,
  operands: readonly (Value | null)[],
  result: Value,
  attrs: Attrs = {},
): Op => ({ kind, operands, results: [result], attrs, origin: [`node_of_${result.id}`] });

/** The last operation's result is the output. */
export function moduleOf(inputs: readonly Value[], ops: readonly Op[]): Module {
  const last = ops.at(-1)?.results[0];
  return {
    level: "nn",
    name: "hand-made",
    inputs: inputs.map((value) => ({ name: value.id, value })),
    outputs: last ? [{ name: "out", value: last }] : [],
    ops,
  };
}

export interface Surroundings {
  readonly context: PassContext;
  readonly reported: Diagnostic[];
  readonly remarks: Remark[];
  readonly store: ModelStore;
}

export function surroundings(
  given: {
    readonly target?: Target;
    readonly options?: Partial<Options>;
    readonly store?: ModelStore;
    readonly samples?: ReadonlyMap<string, readonly Float32Array[]>;
    readonly alternatives?: readonly Target[];
  } = {},
): Surroundings {
  const reported: Diagnostic[] = [];
  const remarks: Remark[] = [];
  const store = given.store ?? new ModelStore();
  const context: PassContext = {
    target: given.target ?? loadTarget("ahwa-lora"),
    options: {
      policy: loadPolicy("default"),
      lora: { kind: "none" },
      seed: 0,
      tokens: "auto",
      ...given.options,
    },
    weights: store,
    report: (d) => reported.push(d),
    remark: (r) => remarks.push(r),
    alternatives: () => given.alternatives ?? [],
    observe: async (values) =>
      new Map(
        values.flatMap((v) => {
          const samples = given.samples?.get(v.tensor ?? "");
          return samples ? [[v, samples] as const] : [];
        }),
      ),
  };
  return { context, reported, remarks, store };
}

/** A target with tiles of another size, or another number of nodes. */
export function resized(rows: number, cols: number, count: number | "as-needed"): Target {
  const target = loadTarget("ahwa-lora");
  const whole = (value: number) => ({ value, source: "made for a test" });
  return {
    ...target,
    name: `tiles-${rows}x${cols}`,
    nodes: { count, source: "made for a test" },
    tile: { ...target.tile, rows: whole(rows), cols: whole(cols) },
  };
}
