/** The program dialect. */

import type { OpDef } from "../define.ts";

export const PROGRAM_OPS: readonly OpDef[] = [];
