/** Orders to threads and what they answer: one order at a time, each answered once. */

import type { Worker } from "node:worker_threads";
import { type Diagnostic, InputError } from "../diag/diagnostic.ts";

/** What a thread says: that a part of an order is done, or how the order ended. */
export type Answer<R> =
  | { readonly kind: "progress" }
  | { readonly kind: "done"; readonly result: R }
  | { readonly kind: "fault"; readonly diagnostics: readonly Diagnostic[] };

/** What the thread makes of an order. Rejects with what it finds wrong in its input, and when it ends before it answers. */
export function ask<R>(
  worker: Worker,
  order: unknown,
  progress: () => void = () => undefined,
): Promise<R> {
  // A thread that has ended answers nothing, not even that it has.
  if (worker.threadId < 0) return Promise.reject(new Error("a thread that has ended was asked"));
  return new Promise((resolve, reject) => {
    const end = (finish: () => void): void => {
      // Listeners that Node has put there itself have to stay: without them a thread hears no second order.
      worker.off("message", hear).off("error", fail).off("exit", leave);
      finish();
    };
    const hear = (answer: Answer<R>): void => {
      if (answer.kind === "progress") progress();
      else if (answer.kind === "done") end(() => resolve(answer.result));
      else end(() => reject(new InputError(answer.diagnostics)));
    };
    const fail = (error: unknown): void => end(() => reject(error));
    const leave = (code: number): void => fail(new Error(`a thread ended early with code ${code}`));
    worker.on("message", hear).on("error", fail).on("exit", leave);
    worker.postMessage(order);
  });
}
