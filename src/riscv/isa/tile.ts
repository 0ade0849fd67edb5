/**
 * Xaimc: ours. Tiles in custom-0 after ALPINE's four operations (arXiv 2205.10042, section III), the services of a
 * cluster in custom-1. The opcodes are those that the ISA manual leaves to vendors, all of format R.
 */

import type { Extension, Row } from "./row.ts";

const TILES: readonly Row[] = [
  [
    "aimc.init",
    "rd,rs1,rs2",
    0x0000000b,
    "programs a row of a tile; before a program starts, so programs do not use it",
  ],
  [
    "aimc.queue",
    "rd,rs1,rs2",
    0x0000100b,
    "puts the vector at x[rs2] into the input memory of the tiles of step x[rs1]; x[rd] = the vectors queued, two at most",
  ],
  [
    "aimc.process",
    "rd,rs1,rs2",
    0x0000200b,
    "converts, multiplies, converts the oldest vector of step x[rs1] that is not processed; x[rs2] is its row, for noise",
  ],
  [
    "aimc.dequeue",
    "rd,rs1,rs2",
    0x0000300b,
    "waits for the oldest processed vector of step x[rs1], writes its next group of sums to x[rs2]; x[rd] = groups left",
  ],
];

const SERVICES: readonly Row[] = [
  [
    "dma.start",
    "rd,rs1,rs2",
    0x0000002b,
    "starts the transfer described by 11 words at x[rs1]; x[rd] = its number, from 1",
  ],
  ["dma.wait", "rd,rs1,rs2", 0x0000102b, "waits until transfer x[rs1] and all before it are done"],
  [
    "event.wait",
    "rd,rs1,rs2",
    0x0000202b,
    "waits until event x[rs1] has counted to x[rs2], -1: until any has counted, -2: jobs of the matrix engine; x[rd] = the count, or 0",
  ],
  [
    "event.signal",
    "rd,rs1,rs2",
    0x0000302b,
    "x[rs2] more iterations of step x[rs1] are done: every cluster that counts them hears of it",
  ],
  ["barrier", "rd,rs1,rs2", 0x0000402b, "waits until all cores of the cluster are here"],
];

export const TILE: readonly Extension[] = [
  { name: "Xaimc", title: "Tiles and cluster services", rows: [...TILES, ...SERVICES] },
];
