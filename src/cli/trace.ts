/** The timing run that every compilation ends with: trace.json and report.html beside the program. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Verification } from "../compare/verification.ts";
import { fail, inFile } from "../diag/diagnostic.ts";
import { reportPage } from "../report/page.ts";
import { type Artifact, loadArtifact } from "../sim/load.ts";
import { type Timeline, timeline } from "../sim/timeline.ts";
import { traceOf } from "../sim/trace.ts";

/** Inferences that are timed: enough for the pipeline to fill. */
const TIMED = 4;
/** Inferences whose steps the trace and the report show. */
const TRACED = 2;

/** Larger traces are slow to open, and programs repeat themselves. */
const EVENTS = 100_000;

/** The first slices, as many as make a trace that viewers open. */
function shown({ slices }: Timeline): Timeline["slices"] {
  let events = 0;
  const end = slices.findIndex(({ process }) => {
    events += 1 + process.tiles;
    return events > EVENTS;
  });
  return end < 0 ? slices : slices.slice(0, end);
}

export const timed = (artifact: Artifact): Timeline => timeline(artifact, TIMED, TRACED);

export function writeTrace(dir: string): void {
  const artifact = loadArtifact(dir);
  const timing = timed(artifact);
  writeFileSync(join(dir, "trace.json"), `${JSON.stringify(traceOf(shown(timing)))}\n`);
  writeFileSync(join(dir, "report.html"), reportPage(artifact, timing));
}

/** Errors: A009 where the file cannot be written. */
export function writeTraceFile(path: string, timing: Timeline): void {
  try {
    writeFileSync(path, `${JSON.stringify(traceOf(shown(timing)))}\n`);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/,.*/s, "") : String(error);
    fail("A009", `cannot write the trace (${reason})`, inFile(path), "give another --trace");
  }
}

/** The report again, with what a verification found. */
export function writeReport(dir: string, verifications: readonly Verification[]): void {
  const artifact = loadArtifact(dir);
  writeFileSync(join(dir, "report.html"), reportPage(artifact, timed(artifact), verifications));
}

export function pageOf(dir: string): string {
  const artifact = loadArtifact(dir);
  return reportPage(artifact, timed(artifact));
}
