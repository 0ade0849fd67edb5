/** The nn dialect. */

import type { OpDef } from "../define.ts";

export const NN_OPS: readonly OpDef[] = [];
