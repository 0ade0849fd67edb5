/**
 * Modules as text, in MLIR's generic operation syntax: `mlir-opt --allow-unregistered-dialect` reads it,
 * and `parse` gives the module back. Attributes print in name order, so equal modules print alike.
 *
 * What MLIR has no place for becomes an attribute: `absent` lists optional operands that are not
 * there, `tensors` the ONNX tensors that hold the same values as the results.
 */

import { toNumbers } from "../tensor/convert.ts";
import { showType, type Tensor, type TensorType, toBytes } from "../tensor/tensor.ts";
import type { AttrKind } from "./define.ts";
import {
  type Attr,
  type Attrs,
  isTensorAttr,
  isWeightRef,
  type Module,
  type Op,
  type Value,
} from "./op.ts";
import { OPS } from "./registry.ts";

export function printModule(m: Module): string {
  const args = m.inputs.map((p) => `%${p.value.id}: ${showValueType(p.value)}`).join(", ");
  const results = m.outputs.map((p) => p.value);
  const type = `${typeList(m.inputs.map((p) => p.value))} -> ${typeList(results)}`;
  const names = (ports: Module["inputs"]) => ports.map((p) => p.name);
  const attrs = {
    "aimc.inputs": names(m.inputs),
    "aimc.level": m.level,
    "aimc.name": m.name,
    "aimc.outputs": names(m.outputs),
  };
  return [
    '"builtin.module"() ({',
    '  "func.func"() ({',
    `  ^bb0${args === "" ? "" : `(${args})`}:`,
    ...m.ops.map((op) => `    ${printOp(op)}`),
    `    "func.return"(${results.map((v) => `%${v.id}`).join(", ")}) : ${typeList(results)} -> ()`,
    `  }) {function_type = ${type}, sym_name = "main"} : () -> ()`,
    `}) ${printAttrs(attrs)} : () -> ()`,
    "",
  ].join("\n");
}

function printOp(op: Op): string {
  const present = op.operands.filter((v) => v !== null);
  const results = op.results.map((v) => `%${v.id}`).join(", ");
  const attrs = printAttrs({ ...op.attrs, ...sideAttrs(op) }, kindsOf(op.kind));
  return [
    results === "" ? "" : `${results} = `,
    `"${op.kind}"(${present.map((v) => `%${v.id}`).join(", ")})`,
    attrs === "{}" ? "" : ` ${attrs}`,
    ` : ${typeList(present)} -> ${op.results.length === 1 ? typeList(op.results).slice(1, -1) : typeList(op.results)}`,
    ` ${printLocation(op.origin)}`,
  ].join("");
}

/** Attributes that stand for parts of an operation that MLIR's syntax has no place for. */
function sideAttrs(op: Op): Attrs {
  const absent = op.operands.flatMap((v, i) => (v === null ? [i] : []));
  const tensors = op.results.map((v) => v.tensor ?? "");
  return {
    ...(absent.length > 0 && { absent }),
    ...(tensors.some((t) => t !== "") && { tensors }),
  };
}

const kindsOf = (kind: string): ((name: string) => AttrKind | undefined) => {
  const attrs = OPS.get(kind)?.attrs;
  return (name) => attrs?.[name]?.kind;
};

const showValueType = (v: Value): string => tensorType(v.type);
const tensorType = (t: TensorType): string => `tensor<${showType(t)}>`;
const typeList = (values: readonly Value[]): string => `(${values.map(showValueType).join(", ")})`;

function printLocation(origin: readonly string[]): string {
  if (origin.length === 0) return "loc(unknown)";
  const names = origin.map(quote);
  return names.length === 1 ? `loc(${names[0]})` : `loc(fused[${names.join(", ")}])`;
}

function printAttrs(
  attrs: Attrs,
  kindOf: (name: string) => AttrKind | undefined = () => undefined,
) {
  const names = Object.keys(attrs).sort();
  const entries = names.map((n) => `${key(n)} = ${printAttr(attrs[n] as Attr, kindOf(n))}`);
  return `{${entries.join(", ")}}`;
}

const key = (name: string): string => (/^[A-Za-z_][\w$.]*$/.test(name) ? name : quote(name));

/** Backslash, quote and everything outside printable ASCII become \\XX, byte by byte, as MLIR reads them. */
const quote = (text: string): string =>
  `"${Array.from(new TextEncoder().encode(text), (b) =>
    b < 0x20 || b > 0x7e || b === 0x22 || b === 0x5c
      ? `\\${b.toString(16).toUpperCase().padStart(2, "0")}`
      : String.fromCharCode(b),
  ).join("")}"`;

function printAttr(a: Attr, kind?: AttrKind): string {
  if (typeof a === "number") return printNumber(a, kind === "float");
  if (typeof a === "string") return quote(a);
  if (typeof a === "boolean") return String(a);
  if (Array.isArray(a)) {
    const element = kind === "floats" ? "float" : undefined;
    return `[${a.map((v) => printAttr(v, element)).join(", ")}]`;
  }
  if (isWeightRef(a)) {
    const digest = a.sha256.startsWith("place:") ? a.sha256 : `sha256:${a.sha256}`;
    return `#aimc.weight<${quote(a.weight)}, ${showType(a.type)}, ${digest}>`;
  }
  if (isTensorAttr(a)) return printDense(a);
  return printAttrs(a as Attrs);
}

function printNumber(n: number, float: boolean): string {
  const isInteger = Number.isSafeInteger(n) && !Object.is(n, -0);
  if (isInteger && !float) return `${n} : i64`;
  if (Number.isFinite(n)) return `${decimal(String(Object.is(n, -0) ? "-0" : n))} : f64`;
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, n);
  return `0x${bits.getBigUint64(0).toString(16).toUpperCase().padStart(16, "0")} : f64`;
}

/** MLIR wants a point in every float: 1e-5 becomes 1.0e-5. */
const decimal = (text: string): string =>
  /[.]/.test(text) ? text : text.replace(/^(-?\d+)/, "$1.0");

function printDense(t: Tensor): string {
  return `dense<${denseBody(t)}> : ${tensorType(t)}`;
}

function denseBody(t: Tensor): string {
  if (t.data.length === 0) return "";
  const values = literals(t);
  if (values === null) {
    return `"0x${Buffer.from(toBytes(t)).toString("hex").toUpperCase()}"`;
  }
  return nest(values, t.shape);
}

/** One literal per element, or null where only raw bits are exact (half floats, infinities, NaN). */
function literals(t: Tensor): readonly string[] | null {
  if (t.elem === "i1") return toNumbers(t).map((v) => (v === 0 ? "false" : "true"));
  if (t.elem === "f16" || t.elem === "bf16") return null;
  if (t.data instanceof Float32Array || t.data instanceof Float64Array) {
    const numbers = Array.from(t.data);
    if (!numbers.every((v) => Number.isFinite(v) && !Object.is(v, -0))) return null;
    return numbers.map((v) => decimal(t.elem === "f32" ? shortestSingle(v) : String(v)));
  }
  return Array.from(t.data, String);
}

/** The fewest digits that read back as the same float32. */
function shortestSingle(value: number): string {
  for (let digits = 1; digits < 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return String(Number(text));
  }
  return String(Number(value.toPrecision(9)));
}

function nest(values: readonly string[], shape: readonly number[]): string {
  const [first, ...rest] = shape;
  if (first === undefined) return values[0] ?? "";
  const step = values.length / first;
  const parts = Array.from({ length: first }, (_, i) =>
    nest(values.slice(i * step, (i + 1) * step), rest),
  );
  return `[${parts.join(", ")}]`;
}
