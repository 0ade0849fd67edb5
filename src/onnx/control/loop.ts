/** Loop, Scan and SequenceMap: as many copies of the body as there are steps, each reading what the last gave. */

import { allocate, type TensorType, tensor } from "../../tensor/tensor.ts";
import type { GraphNode, Subgraph } from "../graph.ts";
import { alias, constant, emit, integers, numberOf, put, refuse, type Scope } from "./scope.ts";

/** Loops over layers, experts, windows or tokens are shorter. */
const MOST_STEPS = 1 << 16;

/** Loops that only a condition ends, so that nothing says how long they are, end sooner than that. */
const MOST_OPEN_STEPS = 1 << 10;

export function resolveLoop(node: GraphNode, scope: Scope): boolean {
  const body = node.subgraphs["body"];
  if (!body) return false;
  const [trip = "", condition = "", ...initial] = node.inputs;
  const most = trip === "" ? Number.POSITIVE_INFINITY : numberOf(scope, trip);
  if (most === undefined) return refuse(scope, node, "runs as often as data say", trip);
  const going = condition === "" ? 1 : numberOf(scope, condition);
  if (going === undefined) return refuse(scope, node, "runs or not as data say", condition);
  const ran = repeat(node, body, scope, { most: going === 0 ? 0 : most, initial });
  if (!ran) return true;
  for (const [i, name] of ran.state.entries()) alias(scope, node, name, node.outputs[i] ?? "");
  return ran.stacks.every((stack, i) => {
    const at = initial.length + i;
    return stacked(node, scope, stack, { to: node.outputs[at], axis: 0, body, output: at + 1 });
  });
}

interface Ran {
  /** Names of what the last step carries on. */
  readonly state: readonly string[];
  /** Names of what every step leaves behind, for each such output. */
  readonly stacks: readonly (readonly string[])[];
}

/** Puts in the body until its condition is false; null when that cannot be done, which has been noted. */
function repeat(
  node: GraphNode,
  body: Subgraph,
  scope: Scope,
  { most, initial }: { readonly most: number; readonly initial: readonly string[] },
): Ran | null {
  const stacks = body.outputs.slice(1 + initial.length).map((): string[] => []);
  const longest = most > MOST_STEPS ? MOST_OPEN_STEPS : MOST_STEPS;
  let state: readonly string[] = initial;
  for (let step = 0, going: number | undefined = 1; step < most && going !== 0; step++) {
    if (step >= longest) return nothing(tooLong(node, scope, most, longest));
    const before = scope.builder.faultCount;
    const args = [integers(scope, node, [], [step]), truth(scope, node), ...state];
    const [again = "", ...results] = put(body, args, node, scope, step);
    if (scope.builder.faultCount > before) return nothing(defineAll(node, scope));
    going = numberOf(scope, again);
    if (going === undefined) {
      return nothing(refuse(scope, node, "ends when data say so", again));
    }
    state = results.slice(0, initial.length);
    for (const [i, stack] of stacks.entries()) stack.push(results[initial.length + i] ?? "");
  }
  return { state, stacks };
}

/** What to give when a fault has been noted. */
const nothing = (_noted: true): null => null;

const truth = (scope: Scope, node: GraphNode): string =>
  constant(scope, node, { elem: "i1", shape: [], data: new Uint8Array([1]) });

function tooLong(node: GraphNode, scope: Scope, steps: number, longest: number): true {
  const count = steps < Number.MAX_SAFE_INTEGER ? `${steps} steps` : "no end";
  const text = `has ${count}, more than the ${longest} that are unrolled`;
  return refuse(
    scope,
    node,
    text,
    null,
    "export the model with tensor operations instead of a loop",
  );
}

function defineAll(node: GraphNode, scope: Scope): true {
  for (const name of node.outputs) scope.builder.define(name, undefined);
  return true;
}

interface Stack {
  readonly to: string | undefined;
  readonly axis: number;
  readonly body: Subgraph;
  /** Which output of the body. */
  readonly output: number;
}

/** One tensor of what every step gave, along a new axis. */
function stacked(node: GraphNode, scope: Scope, parts: readonly string[], stack: Stack): true {
  const { to = "", axis, body, output } = stack;
  if (to === "") return true;
  if (parts.length === 0) {
    const type = emptyType(body.types[output], axis);
    if (!type)
      return refuse(scope, node, "has no step, so the shape of its result is not known", null);
    scope.builder.constant(to, tensor(type.elem, type.shape, allocate(type.elem, 0)), node.name);
    return true;
  }
  const axes = integers(scope, node, [1], [axis]);
  const rows = parts.map((part) => emit(scope, node, "Unsqueeze", [part, axes]));
  emit(scope, node, "Concat", rows, { axis }, to);
  return true;
}

function emptyType(
  declared: TensorType | undefined,
  axis: number,
): { elem: TensorType["elem"]; shape: number[] } | undefined {
  const shape = (declared?.shape ?? [null]).filter((d) => d !== null);
  if (!declared || shape.length !== declared.shape.length) return undefined;
  return {
    elem: declared.elem,
    shape: shape.toSpliced(axis < 0 ? axis + 1 + shape.length : axis, 0, 0),
  };
}

/** The numbers of an attribute, or as many zeros. */
function listOf(node: GraphNode, name: string, length: number): readonly number[] {
  const value = node.attrs[name];
  const list = Array.isArray(value) ? value.filter((v) => typeof v === "number") : [];
  return list.length === length ? list : new Array<number>(length).fill(0);
}

/** Scan since opset 9; before, it had a batch axis of its own. */
export function resolveScan(node: GraphNode, scope: Scope): boolean {
  const body = node.subgraphs["body"];
  const count = node.attrs["num_scan_inputs"];
  if (!body || typeof count !== "number" || body.inputs.length !== node.inputs.length) return false;
  const width = node.inputs.length - count;
  const lanes = node.inputs.slice(width);
  const axes = listOf(node, "scan_input_axes", count);
  const backwards = listOf(node, "scan_input_directions", count);
  const types = lanes.map((lane) => scope.builder.type(lane));
  const lengths = types.map((t, i) => t?.shape.at(axes[i] ?? 0));
  const steps = lengths[0] ?? undefined;
  if (steps === undefined)
    return refuse(scope, node, "runs over a length that is not known", lanes[0] ?? null);
  if (steps > MOST_STEPS) return tooLong(node, scope, steps, MOST_STEPS);
  let state: readonly string[] = node.inputs.slice(0, width);
  const stacks = body.outputs.slice(width).map((): string[] => []);
  for (let step = 0; step < steps; step++) {
    const before = scope.builder.faultCount;
    const slices = lanes.map((lane, i) => {
      const at = backwards[i] === 1 ? (lengths[i] ?? steps) - 1 - step : step;
      return emit(scope, node, "Gather", [lane, integers(scope, node, [], [at])], {
        axis: axes[i] ?? 0,
      });
    });
    const results = put(body, [...state, ...slices], node, scope, step);
    if (scope.builder.faultCount > before) return defineAll(node, scope);
    state = results.slice(0, width);
    for (const [i, stack] of stacks.entries()) stack.push(results[width + i] ?? "");
  }
  for (const [i, name] of state.entries()) alias(scope, node, name, node.outputs[i] ?? "");
  const outAxes = listOf(node, "scan_output_axes", stacks.length);
  const outBackwards = listOf(node, "scan_output_directions", stacks.length);
  return stacks.every((stack, i) => {
    const parts = outBackwards[i] === 1 ? stack.toReversed() : stack;
    const to = { to: node.outputs[width + i], axis: outAxes[i] ?? 0, body, output: width + i };
    return stacked(node, scope, parts, to);
  });
}

/** The body once for every element of the first sequence; other sequences go along, tensors stay. */
export function resolveSequenceMap(node: GraphNode, scope: Scope): boolean {
  const body = node.subgraphs["body"];
  const first = scope.containers.get(node.inputs[0] ?? "");
  if (!body || first?.kind !== "sequence") return false;
  const results = first.items.map((_, step) => {
    const args = node.inputs.map((name) => {
      const container = scope.containers.get(name);
      return container?.kind === "sequence" ? (container.items[step] ?? "") : name;
    });
    return put(body, args, node, scope, step);
  });
  for (const [i, to] of node.outputs.entries()) {
    scope.containers.set(to, { kind: "sequence", items: results.map((r) => r[i] ?? "") });
  }
  return true;
}
