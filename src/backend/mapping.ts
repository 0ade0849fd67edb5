/** mapping.json from a program: every weight's grid, every side-branch, and what stays digital and why. */

import type { DigitalModule, LoraBranch, MappedWeight, Mapping } from "../artifact/mapping.ts";
import type { Schedule } from "../artifact/schedule.ts";
import { boolAttr, intsAttr, stringAttr, weightAttr } from "../ir/attrs.ts";
import { blockScalesOf, linearSize } from "../ir/dialects/nn/linear.ts";
import { wrappedOp } from "../ir/dialects/program.ts";
import {
  type Attr,
  isTensorAttr,
  isWeightRef,
  type Module,
  type Op,
  type Value,
  type WeightRef,
} from "../ir/op.ts";
import { producersOf } from "../ir/rewrite.ts";
import { toF32 } from "../tensor/convert.ts";
import { isFloat, isStatic, sizeOf, type TensorType } from "../tensor/tensor.ts";
import type { WeightStore } from "../weights/store.ts";

/** The first launch of each weight, by the name that mapping.json gives it, in program order. */
export const launchesOf = (module: Module, schedule: Schedule): ReadonlyMap<string, Op> =>
  new Map([...allLaunches(module, schedule)].map(([name, [first]]) => [name, first]));

/** Linears that share a weight share its tiles, and launch them one after another. */
function allLaunches(module: Module, schedule: Schedule): ReadonlyMap<string, [Op, ...Op[]]> {
  const named = new Map(schedule.steps.map((s) => [s.id, s.weight]));
  const launches = new Map<string, [Op, ...Op[]]>();
  for (const op of module.ops.filter((o) => o.kind === "program.launch")) {
    const name = named.get(stringAttr(op, "step"));
    if (name === undefined) throw new Error(`launch ${op.attrs["step"]} has no weight`);
    const before = launches.get(name);
    if (before) before.push(op);
    else launches.set(name, [op]);
  }
  return launches;
}

export function mappingOf(module: Module, schedule: Schedule, store: WeightStore): Mapping {
  const launches = allLaunches(module, schedule);
  const weights = [...launches].map(([name, ops]) => mappedWeight(name, ops));
  return {
    version: 1,
    weights,
    digital: digitalModules(module),
    lora: loraBranches(module, weights, store),
  };
}

const text = (op: Op, name: string): string => stringAttr(op, name, "");

function mappedWeight(name: string, launches: readonly [Op, ...Op[]]): MappedWeight {
  const [op] = launches;
  const weight = weightAttr(op, "weight");
  const size = linearSize(op);
  if (isTensorAttr(weight) || !size) throw new Error(`${name} is not a named matrix`);
  const { slice, input_scale: worth } = op.attrs;
  return {
    name,
    initializer: weight.weight,
    ...(typeof slice === "number" && { slice }),
    transposed: boolAttr(op, "transposed"),
    rows: size[0],
    cols: size[1],
    elem: weight.type.elem,
    module: text(op, "module"),
    kind: stringAttr(op, "role"),
    nodes: [...new Set(launches.flatMap((l) => l.origin))],
    why: text(op, "why"),
    rowSplits: [...intsAttr(op, "row_splits")],
    colSplits: [...intsAttr(op, "col_splits")],
    tiles: [...intsAttr(op, "tiles")],
    inputRange: [...intsAttr(op, "input_range")],
    adcBound: [...intsAttr(op, "adc_bound")],
    values: name,
    scales: `${name}/scale`,
    ...quantisedAs(name, op),
    ...(typeof worth === "number" && { inputScale: worth }),
  };
}

/** Where the scales of integers are that are quantised by blocks. */
function quantisedAs(name: string, op: Op): Pick<MappedWeight, "quantised"> {
  const scaling = blockScalesOf(op);
  if (!scaling) return {};
  const zeros = scaling.zeros ? { zeros: `${name}/zero` } : {};
  return { quantised: { block: scaling.block, scales: `${name}/block-scale`, ...zeros } };
}

/** Digital operations that are modules of the network, or that hold parameters. */
function digitalModules(module: Module): DigitalModule[] {
  const producers = producersOf(module);
  const found = new Map<string, DigitalModule>();
  for (const step of module.ops) {
    const op = step.kind === "program.call" ? wrappedOp(step) : null;
    if (!op || op.kind === "nn.lora") continue;
    const parameters = parametersOf(op, producers);
    if (parameters === 0 && !op.kind.startsWith("nn.")) continue;
    const entry = {
      module: text(step, "module"),
      kind: text(op, "role") || op.kind.replace(/^\w+\./, ""),
      why: text(step, "why"),
      parameters,
      nodes: [...op.origin],
    };
    const key = `${entry.module}/${entry.kind}/${entry.why}/${entry.module === "" ? found.size : ""}`;
    const before = found.get(key);
    found.set(key, before ? { ...before, ...merged(before, entry) } : entry);
  }
  return [...found.values()];
}

const merged = (a: DigitalModule, b: DigitalModule): Partial<DigitalModule> => ({
  parameters: a.parameters + b.parameters,
  nodes: [...new Set([...a.nodes, ...b.nodes])],
});

/**
 * Elements of the constants with at least one axis that an operation reads: of weights and tables whatever their
 * type, without what makes integers real; of others those that are real numbers.
 */
function parametersOf(op: Op, producers: ReadonlyMap<Value, Op>): number {
  const { weight, scales: _scales, zeros: _zeros, ...others } = op.attrs;
  const operands = op.operands.map((v) => v && producers.get(v)?.attrs["value"]);
  const [table, ...ids] = op.kind === "nn.embedding" ? operands : [null, ...operands];
  const count = typeof op.attrs["slice"] === "number" ? stackOf(weight) : 1;
  const real = [...ids, ...Object.values(others)].map((c) => elementsOf(c, true));
  return [elementsOf(weight) / count, elementsOf(table), ...real].reduce((a, b) => a + b, 0);
}

const typeOf = (c: Attr | null = null): TensorType | null => {
  if (c === null) return null;
  return isWeightRef(c) ? c.type : isTensorAttr(c) ? c : null;
};

/** Matrices in a stack of them. */
const stackOf = (c: Attr | null | undefined): number => Number(typeOf(c)?.shape[0] ?? 1);

function elementsOf(c: Attr | null | undefined, onlyReal = false): number {
  const type = typeOf(c);
  const counts = type && isStatic(type) && type.shape.length > 0;
  return counts && (!onlyReal || isFloat(type.elem)) ? sizeOf(type.shape) : 0;
}

function loraBranches(
  module: Module,
  weights: readonly MappedWeight[],
  store: WeightStore,
): LoraBranch[] {
  return module.ops.flatMap((step) => {
    const op = step.kind === "program.call" ? wrappedOp(step) : null;
    if (op?.kind !== "nn.lora") return [];
    const of = stringAttr(op, "of");
    const own = weights.find((w) => w.name === of) ?? weights.find((w) => w.initializer === of);
    const [a, b] = [named(op, "a"), named(op, "b")];
    const input = op.operands[0]?.tensor;
    const output = op.results[0]?.tensor;
    return [
      {
        weight: own?.name ?? of,
        module: text(step, "module"),
        rank: a.type.shape[0] ?? 1,
        scale: op.attrs["scale"] as number,
        a: a.weight,
        b: b.weight,
        trained: toF32(store.load(b)).some((v) => v !== 0),
        ...(input !== undefined && { input }),
        ...(output !== undefined && { output }),
      },
    ];
  });
}

function named(op: Op, attr: string): WeightRef {
  const weight = weightAttr(op, attr);
  if (isTensorAttr(weight)) throw new Error(`${op.kind}: '${attr}' has no name`);
  return weight;
}
