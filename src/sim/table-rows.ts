/** Of a table that stays in its file, the rows that a step looks up. */

import type { Step } from "../artifact/schedule.ts";
import { sizeOf, type Tensor } from "../tensor/tensor.ts";
import { runsOf, staysInFile } from "../weights/tensor-file.ts";

type Operands = readonly (Tensor | null)[];

/** Smaller tables are read whole. */
const LARGE = 2 ** 20;

/** The operands of a step; a large table of a look-up has become its wanted rows, and the indices say which. */
export function withRowsAlone(step: Step, operands: Operands): Operands {
  const [table, ids] = operands;
  if (!table || !ids || !isLookUp(step) || !staysInFile(table, LARGE)) return operands;
  const [rows = 0, ...row] = table.shape;
  const width = sizeOf(row);
  const wanted = Array.from(ids.data as Iterable<number | bigint>, (id) => {
    const at = Number(id);
    return at < 0 ? at + rows : at;
  });
  const found = new Map([...new Set(wanted)].map((at, i) => [at, i]));
  // The kernel says what is wrong with an index.
  if ([...found.keys()].some((at) => at < 0 || at >= rows)) return operands;
  const starts = [...found.keys()].map((at) => at * width);
  const data = BigInt64Array.from(wanted, (at) => BigInt(found.get(at) ?? 0));
  return [
    { elem: table.elem, shape: [found.size, ...row], data: runsOf(table, starts, width) },
    { elem: "i64", shape: ids.shape, data },
    ...operands.slice(2),
  ];
}

const isLookUp = ({ kernel, attrs }: Step): boolean =>
  kernel === "nn.embedding" || (kernel === "Gather" && Number(attrs["axis"] ?? 0) === 0);
