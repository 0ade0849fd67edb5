/** The operators that are supported: what the registry says of each, and where it met the corpus. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { EXPANSIONS } from "../../passes/expand-fused.ts";
import { ONNX_OPS } from "../../src/ir/dialects/onnx.ts";
import { onnx } from "../../src/onnx/proto.ts";
import { kernelOf } from "../../src/tensor/kernels/index.ts";
import { count, type Fate } from "./facts.ts";

const NODE_TESTS = "test/onnx-node-tests";

export interface OperatorRow {
  /** Without `onnx.`: `Add`, `com.microsoft.Gelu`. */
  readonly operator: string;
  readonly isWrittenOut: boolean;
  readonly hasKernel: boolean;
  /** ONNX's own tests of this operator alone. */
  readonly tests: number;
  readonly nodes: number;
  /** Kinds of modules that its nodes became parts of, the most frequent first. */
  readonly modules: readonly string[];
  /** Nodes that became part of a module, that a cluster runs as they are, and that are left out. */
  readonly raised: number;
  readonly stayed: number;
  readonly gone: number;
}

/** How many of ONNX's node tests each operator has. */
function testsByOperator(): ReadonlyMap<string, number> {
  const operators = readdirSync(NODE_TESTS).flatMap((name) => {
    const bytes = readFileSync(join(NODE_TESTS, name, "model.onnx"));
    const nodes = onnx.ModelProto.decode(bytes).graph?.node ?? [];
    return [...new Set(nodes.map((n) => n.opType ?? ""))];
  });
  return count(operators);
}

export function operatorRows(fates: readonly Fate[]): OperatorRow[] {
  const tests = testsByOperator();
  return ONNX_OPS.map(({ kind }) => kind.slice("onnx.".length))
    .sort()
    .map((operator) => {
      const own = fates.filter((f) => f.operator === operator);
      const raised = own.filter((f) => f.modules.length > 0);
      const kinds = [...count(raised.flatMap((f) => [...new Set(f.modules)]))];
      const stayed = own.filter((f) => f.modules.length === 0 && f.stayed).length;
      return {
        operator,
        isWrittenOut: EXPANSIONS[`onnx.${operator}`] !== undefined,
        hasKernel: kernelOf(operator) !== undefined,
        tests: tests.get(operator) ?? 0,
        nodes: own.length,
        modules: kinds.sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).map(([kind]) => kind),
        raised: raised.length,
        stayed,
        gone: own.length - raised.length - stayed,
      };
    });
}
