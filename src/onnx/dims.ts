/** Graph inputs and outputs, and the free dimensions that the user binds with `--dim NAME=N`. */

import type { PortSpec } from "../artifact/manifest.ts";
import { type Diagnostic, fail, InputError, inFile } from "../diag/diagnostic.ts";
import type { Elem, TensorType } from "../tensor/tensor.ts";
import { elemOf, nameOfCode } from "./elem.ts";
import { type Int64, toInt, type ValueInfoProto } from "./proto.ts";

/** A dimension of a port as the file declares it: a size, or the name of a free one. */
type DeclaredDim = number | string;

export interface DeclaredPort {
  readonly name: string;
  readonly elem: Elem;
  /** null when the file does not even say the rank. */
  readonly dims: readonly DeclaredDim[] | null;
}

export type Bindings = Readonly<Record<string, number>>;

/** Errors: A116 when a port is not a tensor of a supported element type. */
export function portOf(proto: ValueInfoProto, path: string): DeclaredPort {
  const name = proto.name ?? "";
  const type = proto.type?.tensorType;
  const elem = elemOf(type?.elemType);
  if (!type || !elem) {
    const what = type ? nameOfCode(type.elemType) : "not a tensor";
    const hint = "sequences, optionals, strings and small floats are not supported as ports";
    return fail("A116", `graph input or output '${name}' is ${what}`, inFile(path), hint);
  }
  const dims = type.shape ? (type.shape.dim ?? []).map((d, axis) => declared(d, name, axis)) : null;
  return { name, elem, dims };
}

interface DimProto {
  readonly dimValue?: unknown;
  readonly dimParam?: string | null;
}

/** A dimension with neither size nor name, or a negative size, is free: it is called INPUT.AXIS. */
function declared(d: DimProto, port: string, axis: number): DeclaredDim {
  if (d.dimParam) return d.dimParam;
  const known = Object.hasOwn(d, "dimValue") ? toInt(d.dimValue as number | Int64) : -1;
  return known >= 0 ? known : `${port}.${axis}`;
}

/** Names of all free dimensions of the inputs with the inputs that carry them, in order. */
export function freeDims(inputs: readonly DeclaredPort[]): Map<string, string[]> {
  const carriers = new Map<string, string[]>();
  for (const { name, dims } of inputs) {
    for (const d of dims ?? []) {
      if (typeof d !== "string") continue;
      const list = carriers.get(d) ?? [];
      if (!list.includes(name)) list.push(name);
      carriers.set(d, list);
    }
  }
  return carriers;
}

/**
 * Holds the bindings against the file's free dimensions and gives the size of each.
 * Errors: A120 a dimension is left open; A121 a name that no input has; A122 not a size.
 */
export function checkBindings(
  inputs: readonly DeclaredPort[],
  dims: Bindings,
  path: string,
): Record<string, number> {
  const free = freeDims(inputs);
  const faults = Object.entries(dims).flatMap(([name, size]) => badBinding(name, size, free, path));
  const bound = new Map<string, number>();
  for (const [name, carriers] of free) {
    const size = sizeIn(dims, name) ?? sumOf(name, dims);
    if (size === undefined) faults.push(unbound(name, carriers, path));
    else bound.set(name, size);
  }
  if (faults.length > 0) throw new InputError(faults);
  return Object.fromEntries(bound);
}

function badBinding(
  name: string,
  size: number,
  free: ReadonlyMap<string, unknown>,
  path: string,
): Diagnostic[] {
  const at = inFile(path);
  if (!free.has(name)) {
    const hint = free.size > 0 ? `known: ${[...free.keys()].join(", ")}` : "none is free here";
    return [{ code: "A121", text: `no input has a dimension '${name}'`, at, hint }];
  }
  if (Number.isSafeInteger(size) && size >= 0) return [];
  const hint = "a dimension is a whole number, zero or more";
  return [{ code: "A122", text: `dimension '${name}' cannot be ${size}`, at, hint }];
}

function unbound(name: string, carriers: readonly string[], path: string): Diagnostic {
  const where = `input${carriers.length > 1 ? "s" : ""} ${carriers.join(", ")}`;
  const text = `dimension '${name}' of ${where} has no size`;
  const option = /^[\w.-]+$/.test(name) ? `${name}=N` : `'${name}=N'`;
  return { code: "A120", text, at: inFile(path), hint: `give it one: --dim ${option}` };
}

/** A dimension may be called like something that every object has. */
const sizeIn = (dims: Bindings, name: string): number | undefined =>
  Object.hasOwn(dims, name) ? dims[name] : undefined;

/** Exporters name a dimension `past + sequence` when it is the sum of two others. */
function sumOf(name: string, dims: Bindings): number | undefined {
  const terms = name.split("+").map((t) => t.trim());
  if (terms.length < 2) return undefined;
  const sizes = terms.map((t) => (/^\d+$/.test(t) ? Number(t) : sizeIn(dims, t)));
  return sizes.every((n) => n !== undefined) ? sizes.reduce((a, b) => a + b, 0) : undefined;
}

/** The declared shape with sizes filled in; null where one stays unknown (outputs only). */
export const boundShape = (port: DeclaredPort, dims: Bindings): (number | null)[] =>
  (port.dims ?? []).map((d) =>
    typeof d === "number" ? d : (sizeIn(dims, d) ?? sumOf(d, dims) ?? null),
  );

/** An output that the file only names; inference says what it is. */
export const untyped = (name: string): DeclaredPort => ({ name, elem: "f32", dims: null });

/** `inferred` tells what the declaration leaves open. */
export function specOf(port: DeclaredPort, dims: Bindings, inferred?: TensorType): PortSpec {
  if (port.dims === null && inferred) {
    const shape = [...inferred.shape];
    return { name: port.name, elem: inferred.elem, shape, dims: shape.map(() => null) };
  }
  const shape = boundShape(port, dims);
  return {
    name: port.name,
    elem: port.elem,
    shape: shape.map((d, i) => d ?? inferred?.shape[i] ?? null),
    dims: (port.dims ?? []).map((d) => (typeof d === "string" ? d : null)),
  };
}
