/** The aimc dialect. */

import type { OpDef } from "../define.ts";

export const AIMC_OPS: readonly OpDef[] = [];
