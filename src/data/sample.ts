/** The inputs of an inference: what shapes they say, how many inferences they hold, how to invent them. */

import { fail } from "../diag/diagnostic.ts";
import { filled } from "../onnx/fixed.ts";
import { fromNumbers } from "../tensor/convert.ts";
import { uniforms } from "../tensor/philox.ts";
import {
  allocate,
  type Elem,
  isFloat,
  sizeOf,
  type Tensor,
  type TensorData,
  tensor,
} from "../tensor/tensor.ts";

/** What is known of a graph input before or after its free dimensions are bound. */
export interface InputPort {
  readonly name: string;
  readonly elem: string;
  readonly shape: readonly (number | null)[];
  /** Names of the free dimensions, by axis; null for a fixed one. */
  readonly dims: readonly (string | null)[];
  /** Integers that index an embedding lie in [0, below). */
  readonly below?: number | undefined;
  /** All values, or one for all, of an input that is a constant of the program. */
  readonly fixed?: readonly number[] | undefined;
}

export type Sample = ReadonlyMap<string, Tensor>;

/**
 * Sizes of the free dimensions as the samples' shapes give them, besides the `given` ones.
 * Errors: A424 when two shapes contradict each other, or a given size; along the leading axis samples may hold
 * several inferences of the given size.
 */
export function dimsOf(
  ports: readonly InputPort[],
  sample: Sample,
  given: Readonly<Record<string, number>>,
): Record<string, number> {
  const bound = new Map(Object.entries(given));
  for (const { name, dims } of ports) {
    const shape = sample.get(name)?.shape ?? [];
    dims.forEach((dim, axis) => {
      const size = shape[axis];
      if (dim === null || size === undefined) return;
      // The size of this one axis, whatever the name says that it shares.
      if (Object.hasOwn(given, `${name}.${axis}`)) return;
      if (Object.hasOwn(given, dim)) checkGiven({ dim, axis, size, input: name }, given[dim] ?? 0);
      else bound.set(dim, agreed({ dim, axis, size, input: name }, bound.get(dim)));
    });
  }
  return Object.fromEntries(bound);
}

function agreed({ dim, axis, size, input }: Found, before: number | undefined): number {
  if (before === undefined || before === size) return size;
  const text = `dimension '${dim}' is ${before} in one input and ${size} in '${input}'`;
  const hint = `if the file gives one name to two sizes, say so: --dim ${input}.${axis}=${size}`;
  return fail("A424", text, { kind: "command" }, hint);
}

interface Found {
  readonly dim: string;
  readonly axis: number;
  readonly size: number;
  readonly input: string;
}

/** Along the leading axis there may be several inferences of the size that was given. */
function checkGiven({ dim, axis, size, input }: Found, wanted: number): void {
  if (size === wanted || (axis === 0 && wanted > 0 && size % wanted === 0)) return;
  const text = `dimension '${dim}' is to be ${wanted}, but it is ${size} in the samples of '${input}'`;
  const hint = `leave out --dim ${dim}=${wanted}, or give samples of that size`;
  fail("A424", text, { kind: "command" }, hint);
}

/**
 * Cuts data whose leading axis is a multiple of what was compiled into inferences.
 * Errors: A425 when a shape or element type is not that of the port.
 */
export function splitInferences(ports: readonly InputPort[], given: Sample): Sample[] {
  const sample = withFixed(ports, given);
  const counts = ports.map((port) => (port.fixed ? 1 : inferencesIn(port, sample.get(port.name))));
  const count = Math.max(1, ...counts);
  return Array.from(
    { length: count },
    (_, k) => new Map(ports.map((p, i) => [p.name, part(sample.get(p.name), k, counts[i] ?? 1)])),
  );
}

/** The value of an input that is a constant of the program. */
function fixedValue({ elem, shape, fixed }: InputPort): Tensor | undefined {
  const sizes = shape.map((d) => d ?? 1);
  return fixed && filled(elem as Elem, sizes, fixed);
}

/** The sample with the inputs that were set. Errors: A428 when it says something else of one. */
function withFixed(ports: readonly InputPort[], sample: Sample): Sample {
  const all = new Map(sample);
  for (const port of ports) {
    const value = fixedValue(port);
    if (!value) continue;
    const given = sample.get(port.name);
    if (given && !given.data.every((v, i) => v === value.data[i])) {
      const text = `input '${port.name}' was set while compiling, and other values are given now`;
      fail("A428", text, { kind: "command" }, "compile again without --set, or leave it out here");
    }
    all.set(port.name, value);
  }
  return all;
}

/** How many times the port's shape fits into the data along the leading axis. */
function inferencesIn(port: InputPort, value: Tensor | undefined): number {
  const wanted = port.shape;
  const refuse = (): never => {
    const got = value ? `${value.elem}[${value.shape.join(", ")}]` : "nothing";
    const text = `input '${port.name}' takes ${port.elem}[${wanted.join(", ")}], not ${got}`;
    const hint = "the shape was fixed by --dim or --data of compile; compile again for another one";
    return fail("A425", text, { kind: "command" }, hint);
  };
  if (!value || value.elem !== port.elem || value.shape.length !== wanted.length) return refuse();
  if (value.shape.slice(1).some((d, i) => d !== wanted[i + 1])) return refuse();
  const unit = wanted[0] ?? 1;
  const times = (value.shape[0] ?? 1) / unit;
  if (times === 1) return 1;
  return Number.isInteger(times) && times > 0 && port.dims[0] !== null ? times : refuse();
}

/** Inference k of `count` along the leading axis; the whole when there is but one. */
export function part(value: Tensor | undefined, k: number, count: number): Tensor {
  if (!value) throw new Error("the ports have been checked");
  if (count === 1) return value;
  const rows = (value.shape[0] ?? 0) / count;
  const size = value.data.length / count;
  const data = value.data.slice(k * size, (k + 1) * size) as TensorData;
  return tensor(value.elem, [rows, ...value.shape.slice(1)], data);
}

/** Joins the results of several inferences along the leading axis. */
export function joinInferences(parts: readonly Tensor[]): Tensor {
  const [first] = parts;
  if (!first) throw new Error("there is no inference to join");
  if (parts.length === 1) return first;
  const data = allocate(
    first.elem,
    parts.reduce((n, p) => n + p.data.length, 0),
  );
  let at = 0;
  for (const p of parts) {
    (data as Float32Array).set(p.data as Float32Array, at);
    at += p.data.length;
  }
  const rows = parts.reduce((n, p) => n + (p.shape[0] ?? 1), 0);
  return tensor(first.elem, [rows, ...first.shape.slice(1)], data);
}

/**
 * Inputs drawn by seed within their valid range: indices below their embedding's size, integers without
 * such a bound and booleans one (masks that hide nothing), floats standard normal.
 * Errors: A427 for an input with more elements than are worth inventing.
 */
export const drawInputs = (ports: readonly InputPort[], seed: number): Sample =>
  new Map(
    ports.map((port, i) => {
      const { name, elem, shape, below } = port;
      const sizes = shape.map((d) => d ?? 1);
      const fixed = fixedValue(port);
      if (fixed) return [name, fixed];
      if (sizeOf(sizes) > MOST_DRAWN) tooManyToDraw(name, sizes);
      const values = draw(elem as Elem, below, sizeOf(sizes), seed, i);
      return [name, fromNumbers(elem as Elem, sizes, values)];
    }),
  );

/** Numbers are invented for inputs of at most so many elements. */
const MOST_DRAWN = 2 ** 25;

function tooManyToDraw(name: string, sizes: readonly number[]): never {
  const text = `input '${name}' is [${sizes.join(", ")}], too large to invent values for it`;
  fail("A427", text, { kind: "command" }, "give smaller sizes with --dim, or values with --data");
}

/** The values of input number `index`; each input has numbers of its own. */
function draw(
  elem: Elem,
  below: number | undefined,
  length: number,
  seed: number,
  index: number,
): ArrayLike<number> {
  if (!isFloat(elem)) {
    if (below === undefined) return new Float64Array(length).fill(1);
    return uniforms(length, seed, [index, 0]).map((u) => Math.floor(u * below));
  }
  const angles = uniforms(length, seed, [index, 1]);
  return uniforms(length, seed, [index, 0]).map(
    (u, k) => Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * (angles[k] as number)),
  );
}
