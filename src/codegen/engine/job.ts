/** Jobs of the matrix engine, as core 0 starts and awaits them. */

import {
  ENGINE_BASE,
  ENGINE_CONTROL,
  ENGINE_EVENT,
  ENGINE_FP16,
  ENGINE_JOB,
  ENGINE_OPERATION,
} from "../../artifact/matrix-engine.ts";
import type { Assembler } from "../assembler.ts";
import { type X, ZERO } from "../register.ts";

/** A product of M rows, N summed and K columns. */
export interface Job {
  readonly x: X;
  readonly w: X;
  readonly z: X;
  readonly m: X;
  readonly n: X;
  readonly k: X;
  /** 1 where the sums go on from what lies at z, 0 where they begin. */
  readonly goesOn: X;
}

const FORMAT = ENGINE_FP16 << 7;
const OPERATION = 10;

/** The engine does one job at a time for who calls this, so that a job may be acquired when it is asked for. */
export function startJob(k: Assembler, job: Job): void {
  const base = k.li(ENGINE_BASE);
  const set = (offset: number, value: X): void => k.emit("sw", value, offset, base);
  const again = k.newLabel();
  k.label(again);
  k.branch("lt", k.x("lw", ENGINE_CONTROL.acquire, base), ZERO, again);
  set(ENGINE_JOB.x, job.x);
  set(ENGINE_JOB.w, job.w);
  set(ENGINE_JOB.z, job.z);
  set(ENGINE_JOB.mk, k.x("or", job.m, k.x("slli", job.k, 16)));
  set(ENGINE_JOB.n, job.n);
  const operation = ENGINE_OPERATION.accumulate << OPERATION;
  set(ENGINE_JOB.arithmetic, k.add(k.mul(job.goesOn, operation), FORMAT));
  set(ENGINE_CONTROL.trigger, ZERO);
}

/** How many jobs the engine has finished so far. */
export const finishedJobs = (k: Assembler): X => k.x("event.wait", k.li(ENGINE_EVENT), ZERO);

/** Sleeps until it has finished so many. */
export function awaitJobs(k: Assembler, count: X): void {
  k.emit("event.wait", ZERO, k.li(ENGINE_EVENT), count);
}
