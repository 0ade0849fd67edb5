/** Graph inputs and outputs, and the free dimensions that the user binds with `--dim NAME=N`. */

import type { PortSpec } from "../artifact/manifest.ts";
import { type Diagnostic, fail, InputError, inFile } from "../diag/diagnostic.ts";
import { byDistance } from "../diag/nearest.ts";
import type { Elem, TensorType } from "../tensor/tensor.ts";
import { evaluateDim, namesIn } from "./dim-expression.ts";
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
  return known >= 0 ? known : ownName(port, axis);
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
 * Errors: A120 a dimension is left open; A121 a name that no input has; A122 not a size, or not the size that
 * other dimensions make it.
 */
export function checkBindings(
  inputs: readonly DeclaredPort[],
  dims: Bindings,
  path: string,
): Record<string, number> {
  const free = freeDims(inputs);
  const known = new Set([...free.keys(), ...[...free.keys()].flatMap(namesIn)]);
  const own = new Set(inputs.flatMap(ownNames));
  const faults = Object.entries(dims).flatMap(([name, size]) =>
    badBinding(name, size, dims, own.has(name) ? own : known, path),
  );
  const bound = new Map<string, number>();
  for (const [name, carriers] of free) {
    const size = sizeOfDim(name, dims);
    const isNeeded = inputs.some(
      (p) => boundShape(p, dims).includes(null) && p.dims?.includes(name),
    );
    if (size === undefined && !isNeeded) continue;
    if (size === undefined) faults.push(unbound(name, carriers, path));
    else bound.set(name, size);
  }
  if (faults.length > 0) throw new InputError(faults);
  for (const name of own) {
    const size = sizeIn(dims, name);
    if (size !== undefined) bound.set(name, size);
  }
  return Object.fromEntries(bound);
}

/** What one axis of one input is called, whatever name it shares with others. */
const ownName = (port: string, axis: number): string => `${port}.${axis}`;

/** Names by which the free dimensions of an input can be given for it alone. */
const ownNames = ({ name, dims }: DeclaredPort): readonly string[] =>
  (dims ?? []).flatMap((d, axis) => (typeof d === "string" ? [ownName(name, axis)] : []));

function badBinding(
  name: string,
  size: number,
  dims: Bindings,
  known: ReadonlySet<string>,
  path: string,
): Diagnostic[] {
  const at = inFile(path);
  if (!known.has(name)) {
    const [nearest] = byDistance(name, [...known]);
    const meant = nearest === undefined ? "" : `did you mean ${nearest}? `;
    const hint = nearest === undefined ? "none is free here" : `known: ${[...known].join(", ")}`;
    return [{ code: "A121", text: `no input has a dimension '${name}'`, at, hint: meant + hint }];
  }
  if (!Number.isSafeInteger(size) || size < 0) {
    const hint = "a dimension is a whole number, zero or more";
    return [{ code: "A122", text: `dimension '${name}' cannot be ${size}`, at, hint }];
  }
  const made = computed(name, dims);
  if (made === undefined || made === size) return [];
  const parts = namesIn(name).map((n) => `${n}=${sizeIn(dims, n)}`);
  const text = `dimension '${name}' cannot be ${size}: ${parts.join(" and ")} make it ${made}`;
  return [
    {
      code: "A122",
      text,
      at,
      hint: `leave it out, or give ${parts.length > 1 ? "others" : "another"}`,
    },
  ];
}

function unbound(name: string, carriers: readonly string[], path: string): Diagnostic {
  const where = `input${carriers.length > 1 ? "s" : ""} ${carriers.join(", ")}`;
  const [, input, axis] = /^(.*)\.(\d+)$/.exec(name) ?? [];
  const text =
    carriers.length === 1 && input === carriers[0]
      ? `axis ${axis} of input ${input} has neither size nor name; it is called '${name}' here`
      : `dimension '${name}' of ${where} has no size`;
  const option = /^[\w.-]+$/.test(name) ? `${name}=N` : `'${name}=N'`;
  const others = namesIn(name).join(", ");
  const hint = `give it one: --dim ${option}${others && `, or give ${others}`}, or samples with --data`;
  return { code: "A120", text, at: inFile(path), hint };
}

/** A dimension may be called like something that every object has. */
const sizeIn = (dims: Bindings, name: string): number | undefined =>
  Object.hasOwn(dims, name) ? dims[name] : undefined;

const computed = (name: string, dims: Bindings): number | undefined =>
  evaluateDim(name, (n) => sizeIn(dims, n));

/** Given as such, or made of others, as exporters write `past + sequence`. */
const sizeOfDim = (name: string, dims: Bindings): number | undefined =>
  sizeIn(dims, name) ?? computed(name, dims);

/**
 * The declared shape with sizes filled in; null where one stays unknown (outputs only). The name INPUT.AXIS goes
 * before a name that inputs share: some exporters give one name to sizes that differ.
 */
export const boundShape = (port: DeclaredPort, dims: Bindings): (number | null)[] =>
  (port.dims ?? []).map((d, axis) => {
    if (typeof d === "number") return d;
    return sizeIn(dims, ownName(port.name, axis)) ?? sizeOfDim(d, dims) ?? null;
  });

/** An output that the file only names; inference says what it is. */
export const untyped = (name: string): DeclaredPort => ({ name, elem: "f32", dims: null });

/** `inferred` tells what the declaration leaves open. */
export function specOf(port: DeclaredPort, dims: Bindings, inferred?: TensorType): PortSpec {
  if (port.dims === null && inferred) {
    const shape = [...inferred.shape];
    return { name: port.name, elem: inferred.elem, shape, dims: shape.map(() => null) };
  }
  const shape = boundShape(port, dims);
  // The names of an output's dimensions say what an exporter meant; inference knows what the graph does.
  const better = inferred?.shape.length === shape.length ? inferred.shape : [];
  return {
    name: port.name,
    elem: port.elem,
    shape: shape.map((d, i) => better[i] ?? d),
    dims: (port.dims ?? []).map((d) => (typeof d === "string" ? d : null)),
  };
}
