/**
 * Steps with a constant that stays in its file and is too large to be held: some columns, rows, or matrices of the
 * result at a time, so that no more of the constant is read at once.
 */

import type { Kernel, KernelCall } from "../tensor/kernels/kernel.ts";
import { num } from "../tensor/kernels/kernel.ts";
import { allocate, sizeOf, type Tensor } from "../tensor/tensor.ts";
import { elementsOf, staysInFile, within } from "../weights/tensor-file.ts";
import { type Axes, axesOf } from "./axes.ts";
import { boxOf, fillBox, sliced } from "./box.ts";
import type { Range } from "./domain.ts";

/** Elements of a constant that are held at once; kernels widen them, so that bytes would say less. */
const MOST = 2 ** 23;

/** What `compute`, the kernel of this name, gives. `most` is for tests. */
export function inParts(
  kernel: string,
  call: KernelCall,
  compute: Kernel,
  most = MOST,
): readonly Tensor[] {
  const inputs = kernel === "nn.linear" ? withMatrices(call) : call.inputs;
  const large = inputs.filter((t) => t !== null && isLarge(t, most));
  if (large.length === 0) return compute({ ...call, inputs });
  const given = { ...call, inputs, outShapes: null };
  const cut = cutOf(axesOf(kernel, given), inputs, most);
  if (!cut) return compute({ ...call, inputs: inputs.map((t) => t && held(t, most)) });
  const { operands, result, name, size, width } = cut;
  let whole: Tensor | undefined;
  for (let first = 0; first < size; first += width) {
    const range = [first, Math.min(size, first + width)] as const;
    const own = inputs.map((t, i) => t && partOf(t, operands[i]?.indexOf(name) ?? -1, range, size));
    const [part] = inParts(kernel, { ...given, inputs: own }, compute, most);
    if (!part) throw new Error(`${kernel} gave no result`);
    whole = joined(whole, part, result.indexOf(name), range, size);
  }
  return whole ? [whole] : [];
}

const isLarge = (t: Tensor, most: number): boolean => staysInFile(t) && sizeOf(t.shape) > most;

/** Read for this step alone, where it is too large to be kept. */
const held = (t: Tensor, most: number): Tensor =>
  isLarge(t, most) ? { elem: t.elem, shape: t.shape, data: elementsOf(t, 0, sizeOf(t.shape)) } : t;

/** An axis along which a result is computed in parts. */
interface Cut extends Axes {
  readonly name: string;
  /** Positions on the axis, and of a part. */
  readonly size: number;
  readonly width: number;
}

/** The first axis that leaves less of the largest constant; null where none does. */
function cutOf(axes: Axes | null, inputs: readonly (Tensor | null)[], most: number): Cut | null {
  const cuts = inputs.flatMap((t, i): (Cut & { readonly of: number })[] => {
    if (!axes || !t || !isLarge(t, most)) return [];
    const of = sizeOf(t.shape);
    const axis = t.shape.findIndex((size, k) => size > 1 && isShared(axes, axes.operands[i]?.[k]));
    const [name, size] = [axes.operands[i]?.[axis], t.shape[axis]];
    if (!name || !size) return [];
    return [{ ...axes, name, size, width: Math.max(1, Math.floor((most * size) / of)), of }];
  });
  return cuts.toSorted((a, b) => b.of - a.of)[0] ?? null;
}

const isShared = ({ result }: Axes, name: string | null | undefined): boolean =>
  name !== null && name !== undefined && result.includes(name);

/** What a part of the result needs of an operand: all of one without the axis, or that broadcasts along it. */
function partOf(t: Tensor, axis: number, range: Range, size: number): Tensor {
  if (axis < 0 || t.shape[axis] !== size) return t;
  const ranges = t.shape.map((d): Range => [0, d]).with(axis, range);
  return sliced(t, boxOf(t.shape, ranges));
}

/** The result with one more of its parts. */
function joined(
  whole: Tensor | undefined,
  part: Tensor,
  axis: number,
  range: Range,
  size: number,
): Tensor {
  const { elem } = part;
  const shape = part.shape.with(axis, size);
  const into = whole ?? { elem, shape, data: allocate(elem, sizeOf(shape)) };
  const ranges = shape.map((d): Range => [0, d]).with(axis, range);
  fillBox(into, boxOf(shape, ranges), part.data);
  return into;
}

/**
 * Of the weight of a linear, and of what makes its integers real, the matrix that the linear multiplies with: of a
 * stack one, of filters all.
 */
function withMatrices(call: KernelCall): KernelCall["inputs"] {
  const slice = num(call, "slice", -1);
  const isTransposed = call.attrs["transposed"] === true;
  return call.inputs.map((t, i) => {
    if (i < 3 || !t || t.shape.length < 3 || !staysInFile(t)) return t;
    const [, rows = 1, columns = 1] = t.shape;
    if (slice >= 0) return within(t, slice * rows * columns, [rows, columns]);
    const outputs = (isTransposed ? t.shape[0] : t.shape.at(-1)) ?? 1;
    const inputs = sizeOf(t.shape) / outputs;
    return within(t, 0, isTransposed ? [outputs, inputs] : [inputs, outputs]);
  });
}
