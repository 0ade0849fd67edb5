/** The timing run that every compilation ends with: trace.json and report.html beside the program. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadArtifact } from "../sim/load.ts";
import { timeline } from "../sim/timeline.ts";
import { traceOf } from "../sim/trace.ts";

/** Inferences that are timed: enough for the pipeline to fill. */
export const TIMED = 4;
/** Inferences whose steps the trace shows. */
const TRACED = 2;

export function writeTrace(dir: string): void {
  const { slices } = timeline(loadArtifact(dir), TIMED, TRACED);
  writeFileSync(join(dir, "trace.json"), `${JSON.stringify(traceOf(slices))}\n`);
}
