/**
 * A run in the Chrome trace event format, which Perfetto and chrome://tracing open: a process for each node,
 * in it a thread for its cluster and one for each of its tiles. Times are in microseconds.
 * Format: "Trace Event Format", Chromium project, complete events (ph X) and metadata (ph M).
 */

import { tileOf } from "../artifact/mapping.ts";
import { position } from "./domain.ts";
import type { Slice } from "./machine.ts";

interface TraceEvent {
  readonly ph: "X" | "M";
  readonly pid: number;
  readonly tid: number;
  readonly name: string;
  readonly cat?: string;
  readonly ts?: number;
  readonly dur?: number;
  readonly args: Readonly<Record<string, unknown>>;
}

export interface Trace {
  readonly displayTimeUnit: "ns";
  readonly traceEvents: readonly TraceEvent[];
}

/** Thread 0 of a node is its cluster, thread n + 1 its tile n. */
const CLUSTER = 0;

export function traceOf(slices: readonly Slice[]): Trace {
  const events: TraceEvent[] = [];
  const threads = new Map<string, TraceEvent>();
  const name = (pid: number, tid: number, text: string): void => {
    threads.set(`p${pid}`, metadata("process_name", pid, CLUSTER, `node ${pid}`));
    threads.set(`t${pid}/${tid}`, metadata("thread_name", pid, tid, text));
  };
  for (const slice of slices) {
    const { process, startNs, freeNs, endNs } = slice;
    if (!process.step) continue;
    name(process.cluster, CLUSTER, "cluster");
    // Machine code keeps its cluster while tiles work: each has a slice of its own then.
    if (process.tiles === 0 || freeNs > startNs) {
      events.push(sliceEvent(slice, process.cluster, CLUSTER, startNs, freeNs));
    }
    for (let i = 0; i < process.tiles && endNs > freeNs; i++) {
      const tile = tileOf(process.step.tiles ?? [], i);
      name(tile, tile + 1, `tile ${tile}`);
      events.push(sliceEvent(slice, tile, tile + 1, freeNs, endNs));
    }
  }
  const order = (a: TraceEvent, b: TraceEvent): number => a.pid - b.pid || a.tid - b.tid;
  return { displayTimeUnit: "ns", traceEvents: [...[...threads.values()].sort(order), ...events] };
}

const metadata = (kind: string, pid: number, tid: number, name: string): TraceEvent => ({
  ph: "M",
  pid,
  tid,
  name: kind,
  args: { name },
});

function sliceEvent(slice: Slice, pid: number, tid: number, from: number, to: number): TraceEvent {
  const { process, iteration } = slice;
  const { step } = process;
  const i = iteration % process.perInference;
  const { b, t } = position(process.domain, i);
  return {
    ph: "X",
    pid,
    tid,
    name: step?.module ? `${step.module} ${step.kernel}` : (step?.kernel ?? process.name),
    cat: step?.kernel === "mvm" ? "tile" : "kernel",
    ts: from / 1000,
    dur: (to - from) / 1000,
    args: {
      step: step?.id,
      inference: Math.floor(iteration / process.perInference),
      iteration: i,
      batch: b,
      block: t,
      nodes: step?.nodes,
      ...(step?.weight !== undefined && { weight: step.weight }),
    },
  };
}
