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
    "programs the row x[rs2] of tile x[rs1] from the weights at x[rd]; before inference",
  ],
  [
    "aimc.queue",
    "rd,rs1,rs2",
    0x0000100b,
    "puts four packed 8-bit inputs x[rs1] at index x[rs2] of the input memory; x[rd] = the inputs queued",
  ],
  ["aimc.process", "rd,rs1,rs2", 0x0000200b, "converts, multiplies, converts on tile x[rs1]"],
  [
    "aimc.dequeue",
    "rd,rs1,rs2",
    0x0000300b,
    "x[rd] = four packed 8-bit outputs of tile x[rs1] from index x[rs2]",
  ],
];

const SERVICES: readonly Row[] = [
  [
    "dma.start",
    "rd,rs1,rs2",
    0x0000002b,
    "starts the transfer described at x[rs1]; x[rd] = its id",
  ],
  ["dma.wait", "rd,rs1,rs2", 0x0000102b, "waits until the transfer with the id x[rs1] is done"],
  ["event.wait", "rd,rs1,rs2", 0x0000202b, "waits until the event x[rs1] has counted to x[rs2]"],
  ["event.signal", "rd,rs1,rs2", 0x0000302b, "adds x[rs2] to the event x[rs1]"],
  ["barrier", "rd,rs1,rs2", 0x0000402b, "waits for all cores of the cluster"],
];

export const TILE: readonly Extension[] = [
  { name: "Xaimc", title: "Tiles and cluster services", rows: [...TILES, ...SERVICES] },
];
