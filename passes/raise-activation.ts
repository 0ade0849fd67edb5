/**
 * raise-activation: the functions between linear layers, and gated units.
 *
 * Before: GELU as x/2 (1 + erf(x/√2)) or with tanh of a cubic, SiLU as x sigmoid(x), quick GELU as
 *   x sigmoid(1.702 x), in any order of factors; and plain Relu, Tanh, Sigmoid, Softplus, Gelu.
 * After: nn.activation, and nn.gated where a result is multiplied with another computed value.
 * Why polynomials: exporters write the same cubic in many ways; its coefficients are the same.
 */

import type { Op, Value } from "../src/ir/op.ts";
import { type Elem, isFloat } from "../src/tensor/tensor.ts";
import type { Pass } from "./pass.ts";
import { type Graph, raiseOps } from "./raise/graph.ts";
import { argument, close, inPlaceOf, orders, polynomial, sameShape } from "./raise/patterns.ts";

interface Form {
  readonly name: string;
  /** The non-linear operator inside. */
  readonly kind: string;
  /** The factor is 1 + f(u), or f(u). */
  readonly plusOne: boolean;
  readonly factor: number;
  /** u as a polynomial in x. */
  readonly inner: readonly number[];
}

const ROOT = Math.sqrt(2 / Math.PI);

const FORMS: readonly Form[] = [
  { name: "gelu_erf", kind: "onnx.Erf", plusOne: true, factor: 0.5, inner: [0, Math.SQRT1_2] },
  {
    name: "gelu_tanh",
    kind: "onnx.Tanh",
    plusOne: true,
    factor: 0.5,
    inner: [0, ROOT, 0, ROOT * 0.044715],
  },
  { name: "silu", kind: "onnx.Sigmoid", plusOne: false, factor: 1, inner: [0, 1] },
  { name: "quick_gelu", kind: "onnx.Sigmoid", plusOne: false, factor: 1, inner: [0, 1.702] },
];

/** The numbers and the other factors of a product, not looking inside of `x`. */
function factors(graph: Graph, v: Value, x: Value, depth = 3): readonly (number | Value)[] {
  const scalar = graph.scalar(v);
  if (scalar !== undefined) return [scalar];
  const op = graph.producer(v);
  const [a, b] = op?.operands ?? [];
  if (graph.strip(v) === graph.strip(x) || depth === 0 || !a || !b) return [v];
  const divisor = graph.scalar(b);
  if (op?.kind === "onnx.Div" && divisor !== undefined) {
    return [1 / divisor, ...factors(graph, a, x, depth - 1)];
  }
  if (op?.kind !== "onnx.Mul") return [v];
  return [...factors(graph, a, x, depth - 1), ...factors(graph, b, x, depth - 1)];
}

/** u where v = f(u), or v = 1 + f(u). */
function insideOf(graph: Graph, v: Value, form: Form): Value | undefined {
  if (!form.plusOne) return argument(graph, v, form.kind);
  for (const [f, one] of orders(graph.producer(v, "onnx.Add"))) {
    if (graph.scalar(one) === 1) return argument(graph, f, form.kind);
  }
  return undefined;
}

/** What else is multiplied with form(x); null when the product has no such part. */
function besides(graph: Graph, root: Value, x: Value, form: Form): readonly Value[] | null {
  const parts = factors(graph, root, x);
  const product = parts.reduce<number>((p, f) => (typeof f === "number" ? p * f : p), 1);
  if (!close(product, form.factor)) return null;
  const rest = computed(parts);
  const own = rest.findIndex((f) => graph.strip(f) === graph.strip(x));
  const others = rest.filter((_, i) => i !== own);
  const function_ = others.find((f) => isForm(graph, f, x, form));
  return own >= 0 && function_ ? others.filter((f) => f !== function_) : null;
}

function isForm(graph: Graph, v: Value, x: Value, form: Form): boolean {
  const u = insideOf(graph, v, form);
  const inner = u && polynomial(graph, u, x);
  if (!inner || inner.length !== form.inner.length) return false;
  return isInner(inner, form, x);
}

/** Half floats hold the numbers of a form no better than their own type can. */
const ROUNDED: Readonly<Partial<Record<Elem, number>>> = { f16: 2 ** -10, bf16: 2 ** -7 };

const isInner = (inner: readonly number[], form: Form, { type }: Value): boolean =>
  inner.every((k, i) => close(k, form.inner[i] ?? 0, ROUNDED[type.elem]));

/** Why a product with a non-linear operator inside, which `form` begins, is not that form. */
function nearly(op: Op, graph: Graph): null {
  const [root] = op.results;
  for (const x of root ? candidates(graph, op) : []) {
    const form = FORMS.find((f) => root && hasCore(graph, root, x, f));
    if (form && root) return misfit(graph, root, x, form);
  }
  return null;
}

const computed = (parts: readonly (number | Value)[]): readonly Value[] =>
  parts.filter((f) => typeof f !== "number");

/** x times 1 + Erf or 1 + Tanh; x times Sigmoid may be any gate, unless that is of a multiple of x. */
function hasCore(graph: Graph, root: Value, x: Value, form: Form): boolean {
  const rest = computed(factors(graph, root, x));
  const u = rest.flatMap((f) => insideOf(graph, f, form) ?? [])[0];
  if (rest.length !== 2 || !u) return false;
  return form.plusOne || polynomial(graph, u, x) !== null;
}

function misfit(graph: Graph, root: Value, x: Value, form: Form): null {
  const parts = factors(graph, root, x);
  const rest = computed(parts);
  const other = rest.find((f) => insideOf(graph, f, form));
  const u = other && insideOf(graph, other, form);
  const operator = form.kind.replace("onnx.", "");
  const inner = u && polynomial(graph, u, x);
  if (!u || !inner) {
    return graph.refuse(NAME, `${operator} is not taken of what it is multiplied with`, u, x);
  }
  if (!isInner(inner, form, x) || inner.length > form.inner.length) {
    const wanted = FORMS.filter((f) => f.kind === form.kind).map(
      (f) => `${shown(f.inner)} (${f.name})`,
    );
    return graph.refuse(
      NAME,
      `${operator} is taken of ${shown(inner)}, not of ${wanted.join(" or ")}`,
      u,
    );
  }
  const factor = parts.reduce<number>((p, f) => (typeof f === "number" ? p * f : p), 1);
  const why = `the product has the factor ${Number(factor.toPrecision(6))}, not ${form.factor}`;
  return graph.refuse(NAME, why, root);
}

/** A polynomial as one writes it. */
const shown = (coefficients: readonly number[]): string =>
  coefficients
    .flatMap((k, power) => {
      const name = ["", " x", ` x^${power}`][Math.min(power, 2)] ?? "";
      return k === 0 ? [] : [`${Number(k.toPrecision(6))}${name}`];
    })
    .join(" + ");

const NAME = "activation function";

/** What x may be: the operands of the product and of the products within. */
function candidates(graph: Graph, op: Op, depth = 2): readonly Value[] {
  const mine = op.operands.filter((v): v is Value => v !== null && !graph.isConstant(v));
  const inner =
    depth === 0
      ? []
      : mine.flatMap((v) => {
          const producer = graph.producer(v);
          return producer?.kind === "onnx.Mul" || producer?.kind === "onnx.Div"
            ? candidates(graph, producer, depth - 1)
            : [];
        });
  return [...mine, ...inner];
}

function writtenOut(op: Op, graph: Graph): Op | null {
  const [root] = op.results;
  if (!root || (op.kind !== "onnx.Mul" && op.kind !== "onnx.Div")) return null;
  for (const x of candidates(graph, op)) {
    for (const form of FORMS) {
      const others = besides(graph, root, x, form);
      const [up, ...more] = others ?? [];
      const f = { function: form.name };
      if (others && !up) return inPlaceOf(graph, op, "nn.activation", [x], f);
      const isGate = up && more.length === 0 && mayGate(graph, x, up);
      if (isGate) return inPlaceOf(graph, op, "nn.gated", [x, up], f);
    }
  }
  return nearly(op, graph);
}

/** Another value multiplied to an activation that nobody else reads. */
function gated(op: Op, graph: Graph): Op | null {
  if (op.kind !== "onnx.Mul") return null;
  for (const [y, up] of orders(op)) {
    const activation = graph.producer(y, "nn.activation");
    const [gate] = activation?.operands ?? [];
    const f = activation?.attrs["function"];
    if (!gate || f === undefined || graph.uses(y) !== 1) continue;
    if (!mayGate(graph, gate, up)) continue;
    return inPlaceOf(graph, op, "nn.gated", [gate, up], { function: f });
  }
  return null;
}

/** Another computed value of the same shape. */
const mayGate = (graph: Graph, gate: Value, up: Value): boolean =>
  !graph.isConstant(up) && (sameShape(gate, up) || sameRows(graph, gate, up));

/** Both are linears of one value, so that a dimension that depends on data is the same in both. */
function sameRows(graph: Graph, a: Value, b: Value): boolean {
  const [p, q] = [graph.producer(a, "nn.linear"), graph.producer(b, "nn.linear")];
  const widths = a.type.shape.at(-1) === b.type.shape.at(-1);
  return widths && p !== undefined && p.operands[0] === q?.operands[0];
}

const PLAIN: Readonly<Record<string, string>> = {
  "onnx.Relu": "relu",
  "onnx.Tanh": "tanh",
  "onnx.Sigmoid": "sigmoid",
  "onnx.Softplus": "softplus",
};

function plain(op: Op, graph: Graph): Op | null {
  const [x] = op.operands;
  if (!x || !isFloat(x.type.elem)) return null;
  const { approximate = "none" } = op.attrs;
  const gelu = approximate === "tanh" ? "gelu_tanh" : "gelu_erf";
  const f = op.kind === "onnx.Gelu" ? gelu : PLAIN[op.kind];
  return f === undefined ? null : inPlaceOf(graph, op, "nn.activation", [x], { function: f });
}

export const raiseActivation: Pass = {
  name: "raise-activation",
  summary: "recognise activation functions and gated units",
  needs: ["raised"],
  gives: [],
  run(module, context) {
    // The plain functions come last: they are parts of the others.
    const rules = [writtenOut, plain, gated];
    return rules.reduce(
      (m, rule) =>
        raiseOps(m, context, (op, graph) => {
          const raised = rule(op, graph);
          return raised && [raised];
        }),
      module,
    );
  },
};
