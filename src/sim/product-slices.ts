/**
 * Digital products with a weight that stays in its file: some columns of the result at a time, so that no more of the
 * weight is held. Each column is a sum of its own, so the results are the same bit for bit.
 */

import type { Step } from "../artifact/schedule.ts";
import { allocate, bytesPer, isFloat, sizeOf, type Tensor } from "../tensor/tensor.ts";
import { elementsOf, staysInFile } from "../weights/tensor-file.ts";

type Operands = readonly (Tensor | null)[];
type Compute = (operands: Operands) => readonly Tensor[];

/** Bytes of a weight that are held at once; smaller weights are read whole. */
const SLICE = 32 * 2 ** 20;

/** A matrix of `inputs` rows, or as many columns when transposed. */
interface Weight {
  /** Which operand it is. */
  readonly at: number;
  readonly value: Tensor;
  readonly isTransposed: boolean;
  readonly inputs: number;
  readonly outputs: number;
}

/** What `compute` gives of these operands. `most` is for tests. */
export function inSlices(
  step: Step,
  operands: Operands,
  compute: Compute,
  most = SLICE,
): readonly Tensor[] {
  const weight = largeWeight(step, operands, most);
  const x = operands[0];
  if (!weight || !x) return compute(operands);
  const { at, value, inputs, outputs } = weight;
  const rows = sizeOf(x.shape) / inputs;
  const y = {
    elem: x.elem,
    shape: x.shape.with(-1, outputs),
    data: allocate(x.elem, rows * outputs),
  };
  const width = Math.max(1, Math.floor(most / (inputs * bytesPer(value.elem))));
  for (let first = 0; first < outputs; first += width) {
    const count = Math.min(width, outputs - first);
    const bias = at === 3 ? operands[1] : null;
    const part = operands.with(at, columns(weight, first, count));
    const [result] = compute(bias ? part.with(1, sliceOf(bias, first, count)) : part);
    if (!result) throw new Error(`${step.kernel} gave no result`);
    for (let row = 0; row < rows; row++) {
      const from = result.data.subarray(row * count, (row + 1) * count);
      (y.data as Float32Array).set(from as Float32Array, row * outputs + first);
    }
  }
  return [y];
}

/** The weight of a plain product, where it is large and in a file. */
function largeWeight({ kernel, attrs }: Step, operands: Operands, most: number): Weight | null {
  const isLinear = kernel === "nn.linear";
  if (!isLinear && kernel !== "MatMul") return null;
  const at = isLinear ? 3 : 1;
  const [x, bias, routing] = operands;
  const value = operands[at];
  if (!x || !value || !staysInFile(value) || value.shape.length !== 2) return null;
  if (!isFloat(value.elem) || x.shape.length < 2 || operands[4]) return null;
  if (sizeOf(value.shape) * bytesPer(value.elem) <= most) return null;
  const isTransposed = isLinear && attrs["transposed"] === true;
  const [rows = 1, width = 1] = value.shape;
  const [inputs, outputs] = isTransposed ? [width, rows] : [rows, width];
  const suits = !isLinear || (!routing && (!bias || sizeOf(bias.shape) === outputs));
  return suits && x.shape.at(-1) === inputs ? { at, value, isTransposed, inputs, outputs } : null;
}

function columns({ value, isTransposed, inputs, outputs }: Weight, first: number, count: number) {
  if (isTransposed) {
    const data = elementsOf(value, first * inputs, (first + count) * inputs);
    return { elem: value.elem, shape: [count, inputs], data };
  }
  const data = allocate(value.elem, inputs * count);
  for (let row = 0; row < inputs; row++) {
    const from = row * outputs + first;
    (data as Float32Array).set(elementsOf(value, from, from + count) as Float32Array, row * count);
  }
  return { elem: value.elem, shape: [inputs, count], data };
}

const sliceOf = (bias: Tensor, first: number, count: number): Tensor => ({
  elem: bias.elem,
  shape: [count],
  data: bias.data.subarray(first, first + count),
});
