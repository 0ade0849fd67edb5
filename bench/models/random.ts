/**
 * Random weights addressed by their place: element i of weight w is a function of (w, i) alone, so a file
 * can be written, or checked, piece by piece and in any order.
 */

import { fromNumbers } from "../../src/tensor/convert.ts";
import type { TensorData } from "../../src/tensor/tensor.ts";
import type { StoredElem } from "./graph-file.ts";

/** Uniform values with the standard deviation that transformers are initialised with (BERT, GPT-2). */
const DEVIATION = 0.02;
const REACH = DEVIATION * Math.sqrt(3);

/** Half floats of the 65536 steps of the interval. */
const halves = (): Uint16Array => {
  const steps = Array.from({ length: 1 << 16 }, (_, i) => REACH * ((i + 0.5) / (1 << 15) - 1));
  return fromNumbers("f16", [steps.length], steps).data as Uint16Array;
};

let halfTable: Uint16Array | undefined;

/** Fills `into` with elements `from`, `from + 1`, … of a weight. */
export function fillRandom(elem: StoredElem, into: TensorData, weight: number, from: number): void {
  const key = mixed(weight + 0x9e3779b9);
  const high = mixed(key ^ Math.floor(from / 2 ** 32));
  if (elem === "f32") {
    const scale = REACH / 2 ** 31;
    for (let i = 0; i < into.length; i++) into[i] = mixed((from + i) ^ high) * scale;
    return;
  }
  if (elem !== "f16") {
    for (let i = 0; i < into.length; i++) into[i] = mixed((from + i) ^ high);
    return;
  }
  halfTable ??= halves();
  for (let i = 0; i < into.length; i++) {
    into[i] = halfTable[mixed((from + i) ^ high) >>> 16] as number;
  }
}

/** The finaliser of MurmurHash3 (Appleby, public domain): every input bit moves every output bit. */
function mixed(x: number): number {
  let h = x | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
