/** What a rule of the opset upgrade is, and what it may use. */

import type { Attrs } from "../../ir/op.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { GraphNode, TensorFacts } from "../graph.ts";

export interface Draft {
  readonly facts: TensorFacts;
  /** A tensor name that is not taken, for something between the nodes of a replacement. */
  fresh(what: string): string;
  emit(node: GraphNode): void;
  /** Emits a constant and gives its name. */
  constant(value: Tensor): string;
}

export interface Rule {
  /** The first opset at which the operator has today's meaning. */
  readonly below: number;
  readonly ops: readonly string[];
  rewrite(node: GraphNode, draft: Draft): void;
}

export const without = (attrs: Attrs, ...names: readonly string[]): Attrs =>
  Object.fromEntries(Object.entries(attrs).filter(([name]) => !names.includes(name)));
