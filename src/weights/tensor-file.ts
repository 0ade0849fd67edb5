/** Tensors that stay in their file until they are looked at. */

import { giveBack, neverGiveBack } from "../tensor/storage.ts";
import type { Tensor, TensorData } from "../tensor/tensor.ts";
import { openSafetensors } from "./safetensors.ts";

/** A tensor whose values are read when they are looked at. */
interface FileTensor extends Tensor {
  /** Elements `from` to `to` (exclusive), the only ones that are read. */
  part(from: number, to: number): TensorData;
  /** Its values are not kept for good. */
  readonly passing: boolean;
}

export const staysInFile = (t: Tensor): boolean => "passing" in t && t.passing === true;

/** Elements `from` to `to` (exclusive) of a tensor, without reading others where they are in a file. */
export const elementsOf = (t: Tensor, from: number, to: number): TensorData =>
  "part" in t ? (t as FileTensor).part(from, to) : t.data.subarray(from, to);

/** Gives back what was read of a tensor in a file, once nobody looks at it any more. */
export function giveBackElements(t: Tensor, elements: TensorData): void {
  if ("part" in t) giveBack(elements.buffer);
}

/**
 * All tensors of a file by name; their values are read when they are looked at, and kept: of more than `keep` bytes
 * those that were looked at last, and the last in any case. Errors: A130.
 */
export function lazySafetensors(path: string, keep = Infinity): ReadonlyMap<string, Tensor> {
  const file = openSafetensors(path);
  const recent = new Recent(keep);
  return new Map(
    file.specs.map(({ name, elem, shape }) => {
      const value: FileTensor = {
        elem,
        shape,
        get data() {
          return recent.of(name, () => file.load(name).data);
        },
        part: (from, to) => file.loadElements(name, from, to),
        passing: keep < Infinity,
      };
      return [name, value];
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
