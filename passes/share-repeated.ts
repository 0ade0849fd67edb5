/**
 * share-repeated: what is computed twice from the same values is computed once.
 *
 * Before: types are inferred, constants folded, and nothing is left that does nothing.
 * After: no two operations of the same kind have the same operands and attributes; constants count as
 * the same when their contents are. The one that stays carries the origins of both.
 * Why: exporters that trace a model for several outputs write its layers once for each; on tiles every copy
 * would be programmed and paid for again.
 */

import {
  type Attr,
  isTensorAttr,
  isWeightRef,
  type Module,
  type Op,
  type Value,
} from "../src/ir/op.ts";
import { OPS } from "../src/ir/registry.ts";
import { originOf, removeDead } from "../src/ir/rewrite.ts";
import { isStatic, toBytes } from "../src/tensor/tensor.ts";
import type { Pass } from "./pass.ts";

export const shareRepeated: Pass = {
  name: "share-repeated",
  summary: "compute once what is computed twice from the same values",
  needs: ["typed", "folded"],
  gives: [],
  run: (module) => removeDead(shared(module), OPS),
};

function shared(module: Module): Module {
  const now = new Map<Value, Value>();
  const keys = new Map<Value, string>();
  const first = new Map<string, number>();
  const ops: Op[] = [];
  for (const before of module.ops) {
    const op = { ...before, operands: before.operands.map((v) => v && (now.get(v) ?? v)) };
    const key = keyOf(op, keys);
    const at = op.kind === "onnx.Constant" ? undefined : first.get(key);
    const same = at === undefined ? undefined : ops[at];
    if (at === undefined || same === undefined) {
      first.set(key, ops.length);
      for (const [i, r] of op.results.entries())
        keys.set(r, constantKey(op, key) ?? `${r.id}.${i}`);
      ops.push(op);
      continue;
    }
    ops[at] = { ...same, origin: originOf(same, op) };
    for (const [i, r] of op.results.entries()) now.set(r, same.results[i] ?? r);
  }
  const outputs = module.outputs.map((p) => ({ ...p, value: now.get(p.value) ?? p.value }));
  return { ...module, ops, outputs };
}

/** Equal exactly for operations that compute the same; types matter because an attribute may leave them open. */
function keyOf(op: Op, keys: ReadonlyMap<Value, string>): string {
  const [result] = op.results;
  if (result && RESHAPES.has(op.kind) && isStatic(result.type)) {
    // However it was asked for, the elements stay in order and the type says the rest.
    const [x] = op.operands;
    return JSON.stringify(["reshaped", x && (keys.get(x) ?? x.id), result.type]);
  }
  const operands = op.operands.map((v) => v && (keys.get(v) ?? v.id));
  return JSON.stringify([op.kind, operands, attrKey(op.attrs), op.results.map((r) => r.type)]);
}

const RESHAPES: ReadonlySet<string> = new Set(
  ["Reshape", "Squeeze", "Unsqueeze", "Flatten"].map((name) => `onnx.${name}`),
);

/** A constant is known by its contents, any other value by its name. */
const constantKey = (op: Op, key: string): string | undefined =>
  op.kind === "onnx.Constant" ? key : undefined;

function attrKey(a: Attr): unknown {
  if (isTensorAttr(a)) return [a.elem, a.shape, Buffer.from(toBytes(a)).toString("base64")];
  if (isWeightRef(a)) return [a.type, a.sha256];
  if (Array.isArray(a)) return a.map(attrKey);
  if (typeof a !== "object") return typeof a === "number" && !Number.isFinite(a) ? String(a) : a;
  return Object.keys(a)
    .sort()
    .map((name) => [name, attrKey((a as Readonly<Record<string, Attr>>)[name] as Attr)]);
}
