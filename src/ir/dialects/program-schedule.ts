/** The schedule that a program module says: its attributes, put together as `schedule.json` wants them. */

import { z } from "zod";
import {
  type Buffer,
  Credit,
  Domain,
  Region,
  Schedule,
  Step,
  Wait,
} from "../../artifact/schedule.ts";
import { toNumbers } from "../../tensor/convert.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { intAttr, intsAttr, stringAttr, weightAttr } from "../attrs.ts";
import {
  type Attr,
  type Attrs,
  isTensorAttr,
  isWeightRef,
  type Module,
  type Op,
  type Port,
  type Value,
  type WeightRef,
} from "../op.ts";
import { MVM, wrappedOp } from "./program.ts";

/** The name in `digital.safetensors` of the constant that an onnx.Constant holds. */
export function constantName(op: Op): string {
  const value = op.attrs["value"];
  const [result] = op.results;
  if (isWeightRef(value)) return value.weight;
  if (!result) throw new Error("a constant without a result");
  return `%${result.id}`;
}

/** Plain data as an attribute: nothing instead of undefined, {} instead of null. */
export function toAttr(data: unknown): Attr {
  if (data === null) return {};
  if (Array.isArray(data)) return data.map(toAttr);
  if (typeof data !== "object") return data as Attr;
  const entries = Object.entries(data).filter(([, v]) => v !== undefined);
  return Object.fromEntries(entries.map(([k, v]) => [k, toAttr(v)]));
}

export const domainAttr = ({ batch, tokens, block }: Domain): readonly number[] => [
  batch,
  tokens,
  block,
];

function domainOf(op: Op): Domain {
  const [batch, tokens, block] = intsAttr(op, "domain");
  return Domain.parse({ batch, tokens, block });
}

const list = <T>(op: Op, name: string, schema: z.ZodType<T>): T[] =>
  z.array(schema).parse(op.attrs[name]);

/** {} stands for an absent operand, which attributes cannot say otherwise. */
const MaybeRegion = z.union([Region, z.strictObject({}).transform(() => null)]);

const RingAttr = z.strictObject({ capacity: z.int().min(1), cluster: z.int().min(0) });

/** The whole schedule. The module must have been through the passes `pipeline-tokens` and `schedule`. */
export function toSchedule(module: Module): Schedule {
  const ops = (kind: string): readonly Op[] => module.ops.filter((op) => op.kind === kind);
  const constants = new Map(
    ops("onnx.Constant").flatMap((op) => op.results.map((r) => [r, constantName(op)] as const)),
  );
  const received = new Map(ops("program.receive").map((op) => [op.operands[0], op] as const));
  const inputs = module.inputs.map((port) => inputOf(port, received.get(port.value)));
  const steps = module.ops.filter(isStep).map((op) => ({ op, step: stepOf(op) }));
  return Schedule.parse({
    version: 1,
    inputs: inputs.map((i) => i.input),
    outputs: module.outputs.map((port) => outputOf(port, constants)),
    buffers: [
      ...inputs.flatMap((i) => i.buffers),
      ...steps.flatMap(({ op, step }) => buffersOf(op, step.id, op.results)),
    ],
    steps: steps.map(({ step }) => step),
    clusters: clustersOf(steps),
  } satisfies Schedule);
}

export const isStep = (op: Op): boolean =>
  op.kind === "program.call" || op.kind === "program.launch";

function inputOf({ name, value }: Port, received: Op | undefined) {
  if (!received) throw new Error(`nobody receives graph input '${name}'`);
  return {
    input: { name, buffer: value.id, credits: list(received, "credits", Credit) },
    buffers: buffersOf(received, "host", [{ ...value, tensor: name }]),
  };
}

function outputOf({ name, value }: Port, constants: ReadonlyMap<Value, string>) {
  const constant = constants.get(value);
  return constant === undefined ? { name, buffer: value.id } : { name, constant };
}

function clustersOf(
  steps: readonly { readonly op: Op; readonly step: Step }[],
): Schedule["clusters"] {
  const clusters = new Map<number, { order: number; id: string }[]>();
  for (const { op, step } of steps) {
    const members = clusters.get(step.cluster) ?? [];
    members.push({ order: intAttr(op, "order", members.length), id: step.id });
    clusters.set(step.cluster, members);
  }
  return [...clusters]
    .sort(([a], [b]) => a - b)
    .map(([cluster, members]) => ({
      cluster,
      steps: members.sort((a, b) => a.order - b.order).map((m) => m.id),
    }));
}

function buffersOf(op: Op, writer: string, values: readonly Value[]): Buffer[] {
  const regions = list(op, "writes", Region);
  const rings = list(op, "rings", RingAttr);
  return values.map((value, i): Buffer => {
    const ring = rings[i];
    const region = regions[i];
    if (!ring || !region) throw new Error(`%${value.id} has no ring`);
    return {
      id: value.id,
      elem: value.type.elem,
      shape: [...value.type.shape],
      writer,
      domain: domainOf(op),
      select: region.select,
      ...ring,
      ...(value.tensor !== undefined && { tensor: value.tensor }),
      nodes: [...op.origin],
    };
  });
}

function stepOf(step: Op): Step {
  const op = wrappedOp(step);
  if (!op) throw new Error(`${step.kind} runs nothing`);
  const { module } = op.attrs;
  const { kernel, attrs, weights } = kernelOf(op, stringAttr(step, "step"));
  const reads = list(step, "reads", MaybeRegion);
  return {
    id: stringAttr(step, "step"),
    kernel,
    attrs,
    cluster: intAttr(step, "cluster", 0),
    ...(op.kind === MVM && launchOf(op)),
    domain: domainOf(step),
    reads: [...padded(reads, op.kind, weights), ...weights.map(({ region }) => region)],
    writes: list(step, "writes", Region),
    waits: list(step, "waits", Wait),
    credits: list(step, "credits", Credit),
    signals: z.array(z.string()).parse(step.attrs["signals"] ?? []),
    module: typeof module === "string" ? module : "",
    nodes: [...step.origin],
    cost: Step.shape.cost.parse(step.attrs["cost"] ?? { digitalNs: 0, tileNs: 0, energyNj: 0 }),
  };
}

/** What runs an operation: the kernel, its attributes, and the weights that it reads behind its operands. */
export function kernelOf(op: Op, id: string) {
  const { module: _module, why: _why, cluster: _cluster, ...attrs } = op.attrs;
  const weights = weightsOf(op, id);
  const others = Object.entries(attrs).filter(
    ([k]) => !isReplaced(op, k) && !weights.some((w) => w.attr === k),
  );
  return { kernel: kernelName(op.kind), attrs: plainAttrs(Object.fromEntries(others)), weights };
}

/** Attributes that hold weights, in the order in which the kernels take them behind their operands. */
const WEIGHT_ATTRS: Readonly<Record<string, { readonly after: number; readonly attrs: string[] }>> =
  {
    "nn.linear": { after: 3, attrs: ["weight", "scales", "zeros"] },
    "nn.lora": { after: 2, attrs: ["a", "b", "a_halves", "b_halves"] },
  };

/** Whether the kernel reads halves of a weight in place of it. */
export const isReplaced = (op: Op, attr: string): boolean =>
  op.attrs[`${attr}_halves`] !== undefined;

export interface KernelWeight {
  readonly attr: string;
  /** Name in `digital.safetensors`. */
  readonly name: string;
  readonly value: WeightRef | Tensor;
  readonly region: Region;
}

/** Weights that a digital kernel reads as constants; `id` names those that have no name of their own. */
export function weightsOf(op: Op, id: string): readonly KernelWeight[] {
  const attrs = (WEIGHT_ATTRS[op.kind]?.attrs ?? []).filter(
    (attr) => op.attrs[attr] !== undefined && !isReplaced(op, attr),
  );
  return attrs.map((attr) => {
    const value = weightAttr(op, attr);
    const name = isWeightRef(value) ? value.weight : `${id}.${attr}`;
    const { shape } = isWeightRef(value) ? value.type : value;
    return { attr, name, value, region: { constant: name, select: shape.map(() => "all") } };
  });
}

/** Absent operands are said, so that the weights behind them are found at their place. */
export function padded<T>(
  reads: readonly (T | null)[],
  kind: string,
  weights: readonly KernelWeight[],
): readonly (T | null)[] {
  const missing = (WEIGHT_ATTRS[kind]?.after ?? 0) - reads.length;
  return weights.length > 0 && missing > 0 ? [...reads, ...new Array(missing).fill(null)] : reads;
}

/** `mvm` launches tiles; operations of ONNX lose their prefix, the others keep it. */
const kernelName = (kind: string): string => (kind === MVM ? "mvm" : kind.replace(/^onnx\./, ""));

/** mapping.json's name of the weight, and its tiles. Node i is tile i with cluster i. */
function launchOf(op: Op): {
  readonly weight?: string;
  readonly tiles: NonNullable<Step["tiles"]>;
} {
  const weight = op.attrs["weight"];
  const slice = op.attrs["slice"];
  const suffix = typeof slice === "number" ? `#${slice}` : "";
  return {
    ...(isWeightRef(weight) && { weight: weight.weight + suffix }),
    tiles: [...intsAttr(op, "tiles", [])],
  };
}

/** Attributes as JSON: tensors as { elem, shape, data }, everything else as it is. */
function plainAttrs(attrs: Attrs): Record<string, unknown> {
  return Object.fromEntries(Object.entries(attrs).map(([k, a]) => [k, plain(a)]));
}

function plain(a: Attr): unknown {
  if (isTensorAttr(a)) return { elem: a.elem, shape: [...a.shape], data: [...toNumbers(a)] };
  if (Array.isArray(a)) return a.map(plain);
  return typeof a === "object" && !isWeightRef(a) ? plainAttrs(a as Attrs) : a;
}
