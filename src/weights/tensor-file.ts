/** Tensors that stay in their file until they are looked at. */

import { giveBack, neverGiveBack } from "../tensor/storage.ts";
import { allocate, bytesPer, sizeOf, type Tensor, type TensorData } from "../tensor/tensor.ts";
import { openSafetensors } from "./safetensors.ts";

/** A tensor whose values are read when they are looked at. */
interface FileTensor extends Tensor {
  /** From each start on `length` elements, one run behind the other; nothing else is read. */
  runs(starts: readonly number[], length: number): TensorData;
  /** The same elements under another shape, from element `first` on. */
  within(first: number, shape: readonly number[]): FileTensor;
  /** Its values are not kept for good. */
  readonly passing: boolean;
}

const isInFile = (t: Tensor): t is FileTensor => "runs" in t;

/** Whether a tensor is read each time that it is looked at, and has more bytes than these. */
export const staysInFile = (t: Tensor, bytes = 0): boolean =>
  isInFile(t) && t.passing && sizeOf(t.shape) * bytesPer(t.elem) > bytes;

/** From each start on `length` elements, one run behind the other, without reading others where they are in a file. */
export function runsOf(t: Tensor, starts: readonly number[], length: number): TensorData {
  if (isInFile(t)) return t.runs(starts, length);
  const data = allocate(t.elem, starts.length * length);
  const [from, into] = [t.data as Float32Array, data as Float32Array]; // Any type: elements are only moved.
  for (const [i, at] of starts.entries()) into.set(from.subarray(at, at + length), i * length);
  return data;
}

/** Elements `from` to `to` (exclusive) of a tensor, without reading others where they are in a file. */
export const elementsOf = (t: Tensor, from: number, to: number): TensorData =>
  isInFile(t) ? t.runs([from], to - from) : t.data.subarray(from, to);

/** The elements of a tensor from the `first` one on, under a shape; what is in a file stays there. */
export function within(t: Tensor, first: number, shape: readonly number[]): Tensor {
  if (isInFile(t)) return t.within(first, shape);
  const size = sizeOf(shape);
  const data = size === t.data.length ? t.data : t.data.subarray(first, first + size);
  return { elem: t.elem, shape, data };
}

/** Gives back what was read of a tensor in a file, once nobody looks at it any more. */
export function giveBackElements(t: Tensor, elements: TensorData): void {
  if (isInFile(t)) giveBack(elements.buffer);
}

/**
 * All tensors of a file by name; their values are read when they are looked at, and kept: of more than `keep` bytes
 * those that were looked at last, and the last in any case. Errors: A130.
 */
export function lazySafetensors(path: string, keep = Infinity): ReadonlyMap<string, Tensor> {
  const file = openSafetensors(path);
  const recent = new Recent(keep);
  return new Map(
    file.specs.map(({ name, elem, shape: whole }) => {
      const from = (first: number, shape: readonly number[]): FileTensor => ({
        elem,
        shape,
        get data() {
          const size = sizeOf(shape);
          return recent.of(`${first} ${size} ${name}`, () => file.loadRuns(name, [first], size));
        },
        runs(starts, length) {
          const own = starts.map((start) => first + start);
          return file.loadRuns(name, own, length);
        },
        within: (start, part) => from(first + start, part),
        passing: keep < Infinity,
      });
      return [name, from(0, whole)];
    }),
  );
}

/** What was asked for last, up to so many bytes, and the last whatever its size. */
class Recent {
  private readonly most: number;
  private readonly held = new Map<string, TensorData>();
  private bytes = 0;

  constructor(most: number) {
    this.most = most;
  }

  of(name: string, load: () => TensorData): TensorData {
    const known = this.held.get(name);
    if (!known) return this.added(name, load());
    this.held.delete(name);
    this.held.set(name, known);
    return known;
  }

  private added(name: string, data: TensorData): TensorData {
    this.bytes += data.byteLength;
    for (const [old, { byteLength }] of this.held) {
      if (this.bytes <= this.most) break;
      this.held.delete(old);
      this.bytes -= byteLength;
    }
    this.held.set(name, data);
    neverGiveBack(data.buffer);
    return data;
  }
}
