/** What a cluster and its steps do, before anything has an address. */

import type { Step } from "../../artifact/schedule.ts";
import type { Growth } from "./growing.ts";
import type { Guard } from "./guards.ts";
import type { KernelFunction } from "./kernels.ts";
import type { Read } from "./parts.ts";
import type { Store } from "./store.ts";

/** Memory that a step uses while it runs. */
export interface Area {
  readonly name: string;
  readonly bytes: number;
  /** It has to lie in the TCDM. */
  readonly near?: boolean;
}

/** An operand: `area` is where it is gathered; null where it is read in place. */
export interface Operand {
  readonly store: Store;
  readonly read: Read;
  readonly area: Area | null;
  /** The axis that grows, and the most elements that it may have. */
  readonly room: Room | null;
  /** The axis that each piece of the kernel has its part of; null where all of it is there from the beginning. */
  readonly cut: number | null;
}

interface Room {
  readonly axis: number;
  readonly most: number;
}

/** A result: `area` is where it waits to be sent on; null where the kernel writes into the ring. */
export interface Result {
  readonly store: Store;
  readonly area: Area | null;
}

/** A kernel that is called piece by piece, because its operands do not fit the TCDM at once. */
export interface Pieces {
  /** Of the results. */
  readonly axis: number;
  /** Elements of a piece. The last one begins earlier rather than be smaller. */
  readonly size: number;
}

/** A launch of tiles. */
export interface Launch {
  /** Inputs of a vector, outputs of a group of tiles that share their rows, and how many groups there are. */
  readonly rows: number;
  readonly cols: number;
  readonly groups: number;
  /** Column of the routing that decides which vectors go through; null for all. */
  readonly expert: number | null;
  /** Where numbers of vectors are listed, if not all go through or they do not follow each other. */
  readonly list: Area | null;
}

export interface StepPlan {
  readonly step: Step;
  readonly place: number;
  readonly operands: readonly (Operand | null)[];
  readonly results: readonly Result[];
  readonly guards: readonly Guard[];
  /** By token block: the kernel of its shapes; empty for a launch. */
  readonly kernels: readonly KernelFunction[];
  readonly launch: Launch | null;
  readonly scratch: Area | null;
  readonly growth: Growth | null;
  readonly pieces: Pieces | null;
}

export interface ClusterPlan {
  readonly cluster: number;
  /** All its steps, in order; `steps` has those that have machine code. */
  readonly ids: readonly string[];
  readonly steps: readonly StepPlan[];
  readonly events: readonly string[];
  /** Rings that lie in this cluster's memory, and constants that its steps read. */
  readonly rings: readonly Store[];
  readonly constants: readonly Store[];
  /** Why steps have no machine code, by their id. */
  readonly missing: ReadonlyMap<string, string>;
}
