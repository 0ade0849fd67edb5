/** What the parts of a machine need of it. */

import type { Artifact } from "../load.ts";
import type { Account } from "./account.ts";
import type { Node } from "./node.ts";
import type { Actions } from "./queue.ts";

export interface Hands {
  readonly artifact: Artifact;
  readonly queue: Actions;
  readonly account: Account;
  readonly nodes: ReadonlyMap<number, Node>;
  /** Between two clusters; the host, -1, is next to every one. */
  links(from: number, to: number): number;
  /** Ends the run, because of what a core did, and perhaps at which address. Errors: A621. */
  refuse(node: Node, core: number, what: string, address?: number): never;
  /** Completes the instruction that a core waits at, and lets it go on at a time. */
  resume(node: Node, core: number, value: number, time: number): void;
}
