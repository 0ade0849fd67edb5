/**
 * Xssr and Xfrep: streams in registers and repeated floating point, after Snitch's extensions of these names (Schuiki et
 * al., "Stream semantic registers", IEEE TC 70(2) 2021, arXiv 1911.08356; Zaruba et al., "Snitch", IEEE TC 70(11) 2021,
 * arXiv 2002.10143). Fields are where Snitch has them; its opcodes, custom-0 and custom-1, are those of Xaimc here, so
 * custom-2 and custom-3 stand for them. What a stream is: docs/streams.md.
 */

import type { Extension, Row } from "./row.ts";

const SSR: readonly Row[] = [
  [
    "scfgri",
    "rd,config",
    0x0000107b,
    "x[rd] = word config >> 5 of the configuration of stream config & 31",
  ],
  [
    "scfgwi",
    "rs1,config",
    0x0000207b,
    "word config >> 5 of the configuration of stream config & 31 (31: all) = x[rs1]; words 24 to 31 start a stream",
  ],
];

const FREP: readonly Row[] = [
  [
    "frep.o",
    "rs1,body",
    0x000000db,
    "the next body + 1 instructions, which compute on f alone, are executed x[rs1] + 1 times",
  ],
];

export const STREAM: readonly Extension[] = [
  { name: "Xssr", title: "Streams in registers", rows: SSR },
  { name: "Xfrep", title: "Repeated floating point", rows: FREP },
];
