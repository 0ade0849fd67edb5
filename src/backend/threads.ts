/** All units of some jobs, on this thread and on others beside it. */

import { availableParallelism } from "node:os";
import type { Worker } from "node:worker_threads";
import { startThread } from "../thread/start.ts";
import { type Job, takeUnits, workOf } from "./transfer.ts";

/** More threads do not move bytes faster. */
const MOST = 4;

/** Bytes that a thread has to have to do, or it takes longer to start it. */
const WORTH = 1 << 26;

/** Does all jobs; gives those that met infinite weights or NaN. */
export async function runJobs(jobs: readonly Job[]): Promise<readonly Job[]> {
  const bytes = jobs.reduce((n, job) => n + job.from.length, 0);
  const threads = Math.min(MOST, availableParallelism(), 1 + Math.floor(bytes / WORTH));
  const work = workOf(jobs);
  const others = Array.from({ length: threads - 1 }, () =>
    ended(startThread(new URL("./worker", import.meta.url), work)),
  );
  // A thread that fails is heard of when this one is done: its units would be missing.
  const all = Promise.all(others);
  all.catch(() => undefined);
  takeUnits(work);
  await all;
  return jobs.filter((_, i) => work.odd[i] === 1);
}

const ended = (worker: Worker): Promise<void> =>
  new Promise((resolve, reject) => {
    worker.on("error", reject);
    worker.on("exit", (code) =>
      code === 0 ? resolve() : reject(new Error(`a thread ended early with code ${code}`)),
    );
  });
