/** The body of a thread that moves weights; see threads.ts. */

import { workerData } from "node:worker_threads";
import { takeUnits, type Work } from "./transfer.ts";

takeUnits(workerData as Work);
