/** Trees of partial sums, of the tiles that share a result: in the order of src/tensor, to the same bits. */

import { sizeOf } from "../../tensor/tensor.ts";
import { inSingle } from "../in-single.ts";
import type { Generate, GeneratorTable } from "../kernel.ts";
import type { Lanes } from "../lanes.ts";
import type { X } from "../register.ts";
import { single } from "../request.ts";
import { alongRow, GRAIN, type Part } from "../row.ts";
import { fillZero } from "../softmax-row.ts";

const WORD = 4;

/** Neighbours are added in pairs until one is left. */
const sum: Generate = ({ operands, isa }) => {
  const { shape } = single(operands[0]);
  const [count = 0, ...rest] = shape;
  const size = sizeOf(rest);
  return {
    phases: [
      (k) => {
        const { from, end } = k.share(size, GRAIN);
        const start = k.mul(from, WORD);
        const first = k.add(k.operand(0), start);
        const out = k.add(k.result(0), start);
        const length = k.sub(end, from);
        if (count === 0) {
          fillZero(k, isa, out, length);
          return;
        }
        const rows = [first];
        while (rows.length < count) rows.push(k.add(rows.at(-1) ?? first, size * WORD));
        alongRow(k, isa, { count: length, pointers: [...rows, out] }, (l) => (part) => {
          part.store(tree(l, part, rows), out);
        });
      },
    ],
  };
};

/** The sum of rows as a balanced tree whose left side is full. */
function tree<T, I>(l: Lanes<T, I>, part: Part<T>, rows: readonly X[]): T {
  const [only, another] = rows;
  if (only && !another) return part.load(only);
  const left = 2 ** Math.ceil(Math.log2(rows.length) - 1);
  return l.add(tree(l, part, rows.slice(0, left)), tree(l, part, rows.slice(left)));
}

export const PARTIAL_SUMS: GeneratorTable = { "aimc.sum": inSingle(sum) };
