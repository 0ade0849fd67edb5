/** Whether the values of a run fit into memory: asked before any of them is allocated. */

import { totalmem } from "node:os";
import type { Buffer, Step } from "../artifact/schedule.ts";
import { bytesPer } from "../tensor/tensor.ts";
import { placeOf, refuse, showStep } from "./faults.ts";
import type { Artifact } from "./load.ts";

/** What this process may use, in bytes: of the machine, or of the container around it. */
function memory(): number {
  const bound = process.constrainedMemory();
  return bound > 0 ? Math.min(bound, totalmem()) : totalmem();
}

/** Errors: A414 when one step alone works on more than the machine holds. */
export function checkRoom(artifact: Artifact, available = memory()): void {
  const buffers = new Map(artifact.schedule.buffers.map((b) => [b.id, b]));
  for (const step of artifact.schedule.steps) {
    const used = new Set([
      ...step.reads.map((r) => r?.buffer),
      ...step.writes.map((w) => w.buffer),
    ]);
    const bytes = [...used].reduce((n, id) => n + bytesOf(buffers.get(id ?? "")), 0);
    if (bytes > available) crowded(artifact, step, bytes, available);
  }
}

/** Dimensions that depend on data count as one. */
const bytesOf = (buffer: Buffer | undefined): number =>
  buffer ? buffer.shape.reduce<number>((n, d) => n * (d ?? 1), bytesPer(buffer.elem)) : 0;

function crowded(artifact: Artifact, step: Step, bytes: number, available: number): never {
  const gib = (n: number): string => `${(n / 2 ** 30).toFixed(1)} GiB`;
  const text = `${showStep(step)} works on ${gib(bytes)} of values, and there are ${gib(available)} of memory`;
  refuse("A414", text, placeOf(artifact, step.nodes, "schedule.json"));
}
