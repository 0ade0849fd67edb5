/**
 * `programs.json`: the machine code of every cluster, where its memory holds what, and what its event numbers mean.
 *
 * Addresses are those that the cluster's harts see:
 *
 *   0x00010000  the program: text and read-only data of its ELF file
 *   0x10000000  the TCDM: the program's data, rings, constants, and memory that steps share
 *   0x80000000  the node's part of main memory: inputs from the host, and what the TCDM does not hold
 */

import { z } from "zod";

const count = z.int().min(0);
const address = z.int().min(0).max(0xffffffff);

export const PROGRAM_BASE = 0x00010000;
export const TCDM_BASE = 0x10000000;
export const MAIN_BASE = 0x80000000;
/** Counts of events, a word each, that harts may read: event e at EVENTS_BASE + 4 e. */
export const EVENTS_BASE = 0x02000000;

const Ring = z.strictObject({
  buffer: z.string(),
  address,
  /** Block number g lies at address + (g mod capacity) * slotBytes. */
  slotBytes: count,
  capacity: z.int().min(1),
});

/** Memory that steps use while they run, for the memory map. */
const Area = z.strictObject({
  /** What lies there: `operand 0 of s12`, `scratch of s12`, `stacks`. */
  name: z.string(),
  address,
  bytes: count,
  /** First and last step of the cluster's list that uses it, by place; areas that share memory do not overlap here. */
  from: count,
  to: count,
});

const ClusterImage = z.strictObject({
  cluster: count,
  /** Path of the ELF file in the artifact; clusters with equal programs share one. Absent: a step of it is in `missing`. */
  elf: z.string().optional(),
  /** Ids of the steps, in the order of schedule.json: `event.signal` and the tile instructions name a step by its place here. */
  steps: z.array(z.string()),
  /** Whose iterations event e counts: the id of a step, `host:INPUT` for a graph input, `host` taking BUFFER as `out:BUFFER`. */
  events: z.array(z.string()),
  constants: z.array(z.strictObject({ constant: z.string(), address })),
  rings: z.array(Ring),
  areas: z.array(Area),
  /** Bytes of the TCDM and of main memory that are used. */
  tcdmBytes: count,
  mainBytes: count,
});
export type ClusterImage = z.infer<typeof ClusterImage>;

export const Programs = z.strictObject({
  version: z.literal(1),
  isa: z.string(),
  cores: z.int().min(1),
  clusters: z.array(ClusterImage),
  /** Steps whose kernels have no machine code, with the reason: such a machine cannot be run by instructions. */
  missing: z.array(z.strictObject({ step: z.string(), reason: z.string() })),
});
export type Programs = z.infer<typeof Programs>;
