/** From nodes to operations: names, types as far as one operation shows them, faults gathered. */

import { type Diagnostic, InputError } from "../diag/diagnostic.ts";
import type { AttrKind, Known } from "../ir/define.ts";
import { possible, ShapeError } from "../ir/dialects/onnx/shape.ts";
import { type Attr, type Attrs, isTensorAttr, isWeightRef, type Op, type Value } from "../ir/op.ts";
import { OPS } from "../ir/registry.ts";
import { formFaults } from "../ir/verify.ts";
import { type Elem, showType, type Tensor, type TensorType } from "../tensor/tensor.ts";
import { constantValue } from "./constants.ts";
import { evaluateSmall } from "./evaluate.ts";
import { type GraphNode, kindOf, type TensorFacts } from "./graph.ts";
import { unsupported, unsupportedForm, type Versions } from "./unsupported.ts";

/** Stands where no type can be told; shape inference replaces it. */
const UNKNOWN: TensorType = { elem: "f32", shape: [] };

/** Attributes that may stand on any node of a file: none. */
const NONE: ReadonlyMap<string, AttrKind> = new Map();

/** Something about the file that is worth telling and stops nothing. */
export interface ReadRemark {
  readonly text: string;
  readonly nodes: readonly string[];
}

export class GraphBuilder implements TensorFacts {
  readonly ops: Op[] = [];
  /** What was passed over, with the nodes. */
  readonly remarks: ReadRemark[] = [];
  private readonly model: string;
  private readonly original: Set<string>;
  private readonly declared: ReadonlyMap<string, TensorType>;
  private readonly values = new Map<string, Value>();
  private readonly typed = new Set<Value>();
  private readonly constants = new Map<Value, Tensor>();
  private readonly ids = new Set<string>();
  /** Where to go on looking for a free id, so that thousands of like names take no time. */
  private readonly numbers = new Map<string, number>();
  private readonly missing = new Map<string, readonly string[]>();
  private readonly faults: Diagnostic[] = [];

  /** `original`: the file's own tensor names. `declared`: types that the file tells. */
  constructor(
    model: string,
    original: ReadonlySet<string>,
    declared: ReadonlyMap<string, TensorType>,
  ) {
    this.model = model;
    this.original = new Set(original);
    this.declared = declared;
  }

  rank(name: string): number | undefined {
    return this.type(name)?.shape.length;
  }

  elem(name: string): Elem | undefined {
    return this.type(name)?.elem;
  }

  /** undefined where it is not known. */
  type(name: string): TensorType | undefined {
    const value = this.values.get(name);
    return value && this.typed.has(value) ? value.type : undefined;
  }

  get faultCount(): number {
    return this.faults.length;
  }

  /** The graph inputs that a tensor is computed from. */
  inputsBehind(name: string): readonly string[] {
    const value = this.values.get(name);
    return value ? inputsBehind(value, this.ops) : [];
  }

  value(name: string): Tensor | undefined {
    const value = this.values.get(name);
    return value && this.constants.get(value);
  }

  valueOf(name: string): Value {
    const value = this.values.get(name);
    if (!value) throw new Error(`tensor ${name} is not defined`);
    return value;
  }

  /** Names at the top of the graph have been checked; those inside functions and branches have not. */
  private read(name: string, node: string): Value {
    if (!this.values.has(name)) {
      const at = { kind: "node", model: this.model, nodes: [node] } as const;
      const text = `nothing defines tensor '${name}' before it is read`;
      const hint = "a function or branch of the model is damaged: export the model again";
      this.faults.push({ code: "A107", text, at, hint });
      this.define(name, undefined);
    }
    return this.valueOf(name);
  }

  has(name: string): boolean {
    return this.values.has(name);
  }

  /** Notes that a name is that of a tensor inside of a call or a step of a loop, as the model inlined has it. */
  adopt(name: string): string {
    this.original.add(name);
    return name;
  }

  /** Defines a value; one whose type is not known goes by what the file declares. */
  define(name: string, type: TensorType | undefined): Value {
    const known = type ?? this.declared.get(name);
    const tensor = this.original.has(name) ? { tensor: name } : {};
    const value: Value = { id: this.freeId(name), type: known ?? UNKNOWN, ...tensor };
    if (known) this.typed.add(value);
    if (name !== "") this.values.set(name, value);
    return value;
  }

  constant(name: string, attr: Attr, origin: string): void {
    if (!isTensorAttr(attr) && !isWeightRef(attr)) throw new Error(`${name} is no constant`);
    const type = isWeightRef(attr) ? attr.type : { elem: attr.elem, shape: attr.shape };
    const result = this.define(name, type);
    if (isTensorAttr(attr)) this.constants.set(result, attr);
    const attrs = { value: attr };
    this.ops.push({
      kind: "onnx.Constant",
      operands: [],
      results: [result],
      attrs,
      origin: [origin],
    });
  }

  add(node: GraphNode): void {
    const kind = kindOf(node);
    const value = kind === "onnx.Constant" ? constantValue(node) : undefined;
    if (value === null) {
      this.malformed("Constant has a value of the wrong kind", [node.name]);
      for (const out of node.outputs) this.define(out, undefined);
      return;
    }
    if (value !== undefined) {
      this.constant(node.outputs[0] ?? "", value, node.name);
      return;
    }
    const operator = unsupportedForm(node, kind);
    if (operator !== null) {
      this.missing.set(operator, [...(this.missing.get(operator) ?? []), node.name]);
      for (const out of node.outputs) this.define(out, undefined);
      return;
    }
    const operands = inputsOf(node, kind).map((i) => (i === "" ? null : this.read(i, node.name)));
    const attrs = this.knownAttrs(node, kind);
    this.checkNumbers(node, kind);
    const outputs = trimmed(node.outputs);
    // Inference may count the results; what they are called does not matter to it.
    const unnamed = outputs.map(() => ({ id: "", type: UNKNOWN }));
    const draft: Op = { kind, operands, results: unnamed, attrs, origin: [node.name] };
    const types = this.isFormed(draft) ? this.infer(draft) : undefined;
    const results = outputs.map((o, i) => this.define(o, types?.[i]));
    const op = { ...draft, results };
    this.ops.push(op);
    const [result] = results;
    const known = types && evaluateSmall(op, this.constants);
    if (result && known) this.constants.set(result, known);
  }

  /** Throws all faults that were met. `versions`: those of the operator sets that the file asks for. */
  finish(versions: Versions): void {
    const missing = unsupported(this.missing, versions, this.model);
    const faults = missing.length > 0 ? missing : this.faults;
    if (faults.length > 0) throw new InputError(faults);
  }

  /** Notes what is wrong with the node by itself. */
  private isFormed(op: Op): boolean {
    const def = OPS.get(op.kind);
    const [text] = def ? formFaults(op, def, NONE) : [];
    if (text === undefined) return true;
    this.malformed(`${op.kind.replace(/^onnx\./, "")} ${text}`, op.origin);
    return false;
  }

  /** Notes that a node's control flow cannot be followed; what it gives is left open. */
  refused(text: string, node: GraphNode, hint: string): void {
    const at = { kind: "node", model: this.model, nodes: [node.name] } as const;
    this.faults.push({ code: "A126", text, at, hint });
    for (const out of node.outputs) this.define(out, undefined);
  }

  malformed(text: string, nodes: readonly string[]): void {
    const at = { kind: "node", model: this.model, nodes } as const;
    const hint = "the ONNX specification asks for something else: export the model again";
    this.faults.push({ code: "A119", text, at, hint });
  }

  /** A float where a whole number is asked for, or the other way round, is refused by ONNX Runtime too. */
  private checkNumbers({ attrs, floats, domain, name }: GraphNode, kind: string): void {
    const def = OPS.get(kind);
    for (const [key, value] of Object.entries(attrs)) {
      const asked = def && Object.hasOwn(def.attrs, key) ? def.attrs[key]?.kind : undefined;
      const numbers = [value].flat().filter((v) => typeof v === "number");
      if (numbers.length === 0) continue;
      const named = `${kind.replace(/^onnx\./, "")} attribute '${key}'`;
      const isFloat = floats?.has(key) === true;
      const isWrong = isFloat ? asked === "int" || asked === "ints" : asked?.startsWith("float");
      if (floats && isWrong) this.malformed(`${named} is not of kind ${asked}`, [name]);
      // Fused operators fill their masks with -infinity; to the others it means nothing.
      const odd = numbers.find((v) => Number.isNaN(v) || (domain === "" && !Number.isFinite(v)));
      if (odd !== undefined && asked) this.malformed(`${named} is ${odd}`, [name]);
    }
  }

  /** The attributes that the operator has. ONNX Runtime passes over others too, but we say so. */
  private knownAttrs({ attrs, name }: GraphNode, kind: string): Attrs {
    const def = OPS.get(kind);
    const unknown = Object.keys(attrs).filter((a) => def?.attrs[a] === undefined);
    if (unknown.length === 0) return attrs;
    const operator = kind.replace(/^onnx\./, "");
    for (const a of unknown) {
      this.remarks.push({ text: `${operator} has no attribute '${a}': ignored`, nodes: [name] });
    }
    return Object.fromEntries(Object.entries(attrs).filter(([a]) => !unknown.includes(a)));
  }

  /** undefined where an operand has no known type, or where the types do not fit: that is a fault. */
  private infer(op: Op): readonly TensorType[] | undefined {
    if (op.operands.some((v) => v !== null && !this.typed.has(v))) return undefined;
    const operands = op.operands.map((v): Known | null => {
      if (v === null) return null;
      const value = this.constants.get(v);
      return { type: v.type, ...(value && { value }) };
    });
    try {
      return possible(OPS.get(op.kind)?.infer?.(op, operands) ?? []);
    } catch (e) {
      if (!(e instanceof ShapeError)) throw e;
      const types = op.operands.map((v) => (v ? showType(v.type) : "absent")).join(", ");
      const at = { kind: "node", model: this.model, nodes: op.origin } as const;
      const text = `${op.kind.replace(/^onnx\./, "")}(${types}): ${e.message}`;
      const hint = e.hint ?? "the model is not consistent, or a --dim does not fit it";
      this.faults.push({ code: e.code ?? "A117", text, at, hint });
      return undefined;
    }
  }

  /** A printable SSA name: digits, or letters, digits, `$`, `.`, `-`, `_` not starting with a digit. */
  private freeId(name: string): string {
    const plain = name.replace(/[^\w$.-]/g, "_");
    const base = /^(\d+$|[A-Za-z_$.-])/.test(plain) ? plain : `_${plain}`;
    let id = base;
    let i = this.numbers.get(base) ?? 1;
    for (; this.ids.has(id); i++) id = `${base}_${i}`;
    this.numbers.set(base, i);
    this.ids.add(id);
    return id;
  }
}

/** The graph inputs behind a value, in the order in which operations read them. */
function inputsBehind(value: Value, ops: readonly Op[]): readonly string[] {
  const needed = new Set([value]);
  const inputs: string[] = [];
  for (const op of ops.toReversed()) {
    if (!op.results.some((r) => needed.delete(r))) continue;
    for (const v of op.operands) if (v) needed.add(v);
  }
  for (const v of needed) if (v.tensor !== undefined) inputs.push(v.tensor);
  return inputs;
}

/** Among any number of operands none may be absent, not even the last: it stays to be seen. */
const inputsOf = ({ inputs }: GraphNode, kind: string): readonly string[] =>
  OPS.get(kind)?.operands.at(-1)?.endsWith("*") ? inputs : trimmed(inputs);

/** Absent inputs and outputs at the end are left out. */
function trimmed(names: readonly string[]): readonly string[] {
  return names.slice(0, names.findLastIndex((n) => n !== "") + 1);
}
