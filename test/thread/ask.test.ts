/** Threads that answer, that fail, and that are no more. */

import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { ask } from "../../src/thread/ask.ts";

/** Follows orders by name. */
const BODY = `
  const { parentPort } = require("node:worker_threads");
  parentPort.on("message", (order) => {
    if (order === "leave") process.exit(3);
    if (order === "fail") throw new Error("broken");
    if (order === "fault") {
      const fault = { code: "A416", text: "no", at: { kind: "command" }, hint: "" };
      return parentPort.postMessage({ kind: "fault", diagnostics: [fault] });
    }
    parentPort.postMessage({ kind: "progress" });
    parentPort.postMessage({ kind: "done", result: order + order });
  });`;
const thread = (): Worker => new Worker(BODY, { eval: true });

test("answers come in the order of the orders, with progress", async () => {
  const worker = thread();
  let steps = 0;
  expect(await ask(worker, "a", () => steps++)).toBe("aa");
  expect(await ask(worker, "b")).toBe("bb");
  expect(steps).toBe(1);
  await expect(ask(worker, "fault")).rejects.toThrow(/A416/);
  expect(await ask(worker, "c")).toBe("cc");
  await worker.terminate();
});

test("a thread that ends or fails before it answers is told", async () => {
  await expect(ask(thread(), "leave")).rejects.toThrow(/ended early with code 3/);
  await expect(ask(thread(), "fail")).rejects.toThrow(/broken/);
});

test("a thread that has ended is not waited for", async () => {
  const worker = thread();
  const exit = once(worker, "exit");
  await worker.terminate();
  await exit;
  await expect(ask(worker, "a")).rejects.toThrow(/has ended/);
});
