/**
 * The matrix engine of a cluster as its programs see it: registers of 32 bits at ENGINE_BASE, laid out as RedMulE's are
 * (github.com/pulp-platform/redmule, commit 51cd064; Tortorella et al., arXiv 2204.11192). It computes Z = X W + Z, or
 * Z = X W, in halves that lie row-major and without gaps in the TCDM: X is [M, N], W is [N, K], Z is [M, K]. Each fused
 * multiply-add is rounded to a half once, in the order of N.
 */

export const ENGINE_BASE = 0x03000000;

/** Offsets of the registers that control it. */
export const ENGINE_CONTROL = {
  /** Written: what was set goes to the engine as a job, behind the one that runs. */
  trigger: 0x00,
  /** Read: the number of a job (0 to 255) that may now be set; -1 with two jobs that are not finished, -2 while somebody sets one. */
  acquire: 0x04,
  /** Read: jobs finished since it was read last, two at most. */
  finished: 0x08,
  /** Read: a byte for each of two jobs, 1 from its trigger until it is finished. */
  status: 0x0c,
  /** Read: the number of the job that runs, or ran last. */
  running: 0x10,
  /** Written: all jobs are given up, and where it is 0 what was set is 0 again. */
  softClear: 0x14,
} as const;

/** Offsets of the registers that describe a job. */
export const ENGINE_JOB = {
  x: 0x40,
  w: 0x44,
  z: 0x48,
  /** M in the lower half, K in the upper one. */
  mk: 0x4c,
  n: 0x50,
  /** The operation in bits 12 to 10, the format in bits 9 to 7, another format in bit 14. */
  arithmetic: 0x54,
} as const;

/** Values of the arithmetic register's fields; RedMulE has more of both. */
export const ENGINE_OPERATION = { product: 0, accumulate: 1 } as const;
export const ENGINE_FP16 = 1;

/** Sizes are numbers of 16 bits. */
export const ENGINE_MOST = 0xffff;

/** `event.wait` for this event waits until the engine has finished so many jobs since the program began. */
export const ENGINE_EVENT = -2;
