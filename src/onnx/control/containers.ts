/** Sequences and optional values: what is in them is known by name, so no operation is needed for them. */

import { fromNumbers } from "../../tensor/convert.ts";
import type { GraphNode } from "../graph.ts";
import {
  alias,
  type Container,
  constant,
  emit,
  integers,
  numberOf,
  numbersOf,
  refuse,
  type Scope,
} from "./scope.ts";

type Resolve = (node: GraphNode, scope: Scope) => boolean;

type OfSequence = (
  node: GraphNode,
  scope: Scope,
  items: readonly string[],
  result: (items: readonly string[]) => true,
) => boolean;

/** An operation on a sequence that must be known. */
const onSequence =
  (resolve: OfSequence): Resolve =>
  (node, scope) => {
    const [name = ""] = node.inputs;
    const found = scope.containers.get(name);
    const list = found?.kind === "optional" ? scope.containers.get(found.item ?? "") : found;
    if (list?.kind !== "sequence")
      return refuse(scope, node, "takes a sequence that is not known", name);
    const result = (items: readonly string[]): true =>
      set(node, scope, { kind: "sequence", items });
    return resolve(node, scope, list.items, result);
  };

function set(node: GraphNode, scope: Scope, container: Container): true {
  scope.containers.set(node.outputs[0] ?? "", container);
  return true;
}

/** A position within `length`, from `end` when negative; null when it is outside. */
const within = (at: number, length: number, end: number): number | null => {
  const from = at < 0 ? at + end : at;
  return from >= 0 && from < length ? from : null;
};

/** Runs `use` with the position that input `index` gives, if it is known and inside; `otherwise` without input. */
function atPosition(
  node: GraphNode,
  scope: Scope,
  given: {
    readonly index: number;
    readonly length: number;
    /** What negative positions count from; the length unless told. */
    readonly end?: number;
    readonly otherwise?: number;
  },
  use: (at: number) => boolean,
): boolean {
  const name = node.inputs[given.index] ?? "";
  const at = name === "" ? given.otherwise : numberOf(scope, name);
  if (at === undefined) return refuse(scope, node, "takes a position that depends on data", name);
  const found = within(at, given.length, given.end ?? given.length);
  if (found !== null) return use(found);
  return refuse(
    scope,
    node,
    `takes position ${at} of ${given.length}`,
    null,
    "export the model again",
  );
}

const construct: Resolve = (node, scope) =>
  set(node, scope, { kind: "sequence", items: node.inputs });

/** There is one more place to insert at than there are items, and -1 is the one before the last item. */
const insert = onSequence((node, scope, items, result) => {
  const end = items.length;
  return atPosition(node, scope, { index: 2, length: end + 1, end, otherwise: end }, (at) =>
    result(items.toSpliced(at, 0, node.inputs[1] ?? "")),
  );
});

const erase = onSequence((node, scope, items, result) =>
  atPosition(node, scope, { index: 1, length: items.length, otherwise: -1 }, (at) =>
    result(items.toSpliced(at, 1)),
  ),
);

const element = onSequence((node, scope, items) =>
  atPosition(node, scope, { index: 1, length: items.length }, (at) => {
    alias(scope, node, items[at] ?? "", node.outputs[0] ?? "");
    return true;
  }),
);

const lengthOf = onSequence((node, scope, items) => {
  scope.builder.constant(node.outputs[0] ?? "", fromNumbers("i64", [], [items.length]), node.name);
  return true;
});

const concat = onSequence((node, scope, items) => {
  const axis = typeof node.attrs["axis"] === "number" ? node.attrs["axis"] : 0;
  if (items.length === 0)
    return refuse(scope, node, "joins nothing", null, "export the model again");
  const isNew = node.attrs["new_axis"] === 1;
  const axes = isNew ? integers(scope, node, [1], [axis]) : "";
  const parts = isNew ? items.map((x) => emit(scope, node, "Unsqueeze", [x, axes])) : items;
  emit(scope, node, "Concat", parts, { axis }, node.outputs[0]);
  return true;
});

/** Sizes of the parts of an axis; undefined when they are not known. */
function partsOf(node: GraphNode, scope: Scope, size: number): readonly number[] | undefined {
  const given = node.inputs[1] ?? "";
  if (given === "") return new Array<number>(size).fill(1);
  const sizes = numbersOf(scope, given);
  if (!sizes || scope.builder.rank(given) !== 0) return sizes;
  const [step = 1] = sizes;
  if (!(step > 0)) return undefined;
  const count = Math.ceil(size / step);
  return Array.from({ length: count }, (_, i) => Math.min(step, size - i * step));
}

const splitToSequence: Resolve = (node, scope) => {
  const [x = ""] = node.inputs;
  const axis = typeof node.attrs["axis"] === "number" ? node.attrs["axis"] : 0;
  const size = scope.builder.type(x)?.shape.at(axis);
  if (size === undefined || size === null) {
    return refuse(scope, node, "cuts a length that is not known", x);
  }
  const sizes = partsOf(node, scope, size);
  if (!sizes)
    return refuse(scope, node, "cuts into parts that depend on data", node.inputs[1] ?? "");
  // The specification drops the axis only without an input, ONNX Runtime also with a single one, which exporters write.
  const given = node.inputs[1] ?? "";
  const single = given === "" || scope.builder.rank(given) === 0;
  const drops = single && node.attrs["keepdims"] === 0 && sizes.every((n) => n === 1);
  const axes = integers(scope, node, [1], [axis]);
  let from = 0;
  const items = sizes.map((length, i) => {
    if (drops) return emit(scope, node, "Gather", [x, integers(scope, node, [], [i])], { axis });
    const [start, end] = [from, from + length].map((n) => integers(scope, node, [1], [n]));
    from += length;
    return emit(scope, node, "Slice", [x, start ?? "", end ?? "", axes]);
  });
  return set(node, scope, { kind: "sequence", items });
};

const optional: Resolve = (node, scope) =>
  set(node, scope, { kind: "optional", item: node.inputs[0] || null });

const hasElement: Resolve = (node, scope) => {
  const [name = ""] = node.inputs;
  const found = scope.containers.get(name);
  const has = name !== "" && (found?.kind !== "optional" || found.item !== null);
  const value = fromNumbers("i1", [], [has ? 1 : 0]);
  alias(scope, node, constant(scope, node, value), node.outputs[0] ?? "");
  return true;
};

const getElement: Resolve = (node, scope) => {
  const [name = "", to = ""] = [node.inputs[0], node.outputs[0]];
  const found = scope.containers.get(name);
  const item = found?.kind === "optional" ? found.item : name;
  if (item === null) {
    return refuse(scope, node, "takes what is not there", null, "export the model again");
  }
  alias(scope, node, item, to);
  return true;
};

/** Passes containers on; of a tensor it is an operation like others. */
const identity: Resolve = (node, scope) => {
  const found = scope.containers.get(node.inputs[0] ?? "");
  return found !== undefined && set(node, scope, found);
};

export const CONTAINER_RULES: Readonly<Record<string, Resolve>> = {
  "onnx.Identity": identity,
  "onnx.SequenceEmpty": construct,
  "onnx.SequenceConstruct": construct,
  "onnx.SequenceInsert": insert,
  "onnx.SequenceErase": erase,
  "onnx.SequenceAt": element,
  "onnx.SequenceLength": lengthOf,
  "onnx.ConcatFromSequence": concat,
  "onnx.SplitToSequence": splitToSequence,
  "onnx.Optional": optional,
  "onnx.OptionalHasElement": hasElement,
  "onnx.OptionalGetElement": getElement,
};
