/** Where in the network an operation belongs, read from the names that exporters leave behind. */

import { isTensorAttr, isWeightRef, type Module, type Op } from "../../src/ir/op.ts";

export interface ModulePaths {
  /** `transformer.h.0.attn.c_attn` for the parameter `m.transformer.h.0.attn.c_attn.weight`. */
  ofParameter(name: string | undefined): string | undefined;
  /**
   * The same for the nodes `/m/transformer/h.0/attn/c_attn/Gemm`, or by what the exporter noted beside them: the last
   * that has a module.
   */
  ofNodes(names: readonly string[]): string | undefined;
}

/** Dotted segments that end as parameters do, or that number a layer. */
const PARAMETER = /^\w+(\.\w+)*\.(weight|bias|gamma|beta)$|^\w+(\.\w+)*\.\d+(\.\w+)+$/;

/** The segments of a parameter's module. */
const moduleOf = (name: string): readonly string[] =>
  name.replace(/\.(weight|bias|gamma|beta)$/, "").split(".");

const nodeSegments = (name: string): readonly string[] =>
  name.startsWith("/") ? name.slice(1).split("/").slice(0, -1) : [];

/** The name that a constant had in the file. */
export const constantName = (op: Op): string | undefined => {
  const value = op.attrs["value"];
  if (isWeightRef(value)) return value.weight;
  return isTensorAttr(value) ? (op.results[0]?.tensor ?? op.results[0]?.id) : undefined;
};

/** The first segment that all share, when each has others behind it: the exporter's wrapper. */
function sharedFirst(paths: readonly (readonly string[])[]): string | undefined {
  const [first] = paths[0] ?? [];
  const shared = paths.every((p) => p.length > 1 && p[0] === first);
  return shared ? first : undefined;
}

type SegmentsOf = (node: string) => readonly string[];

function wrapperOf(module: Module, segmentsOf: SegmentsOf): string | undefined {
  const parameters = module.ops.flatMap((op) => {
    const name = op.kind === "onnx.Constant" ? constantName(op) : undefined;
    return name && PARAMETER.test(name) ? [moduleOf(name)] : [];
  });
  if (parameters.length > 0) return sharedFirst(parameters);
  const nodes = module.ops.flatMap((op) => op.origin.map(segmentsOf));
  return sharedFirst(nodes.filter((segments) => segments.length > 1));
}

/** `scopes` are the modules that the exporter noted beside nodes, dotted, by the name of the node. */
export function modulePaths(
  module: Module,
  scopes: ReadonlyMap<string, string> = new Map(),
): ModulePaths {
  const segmentsOf: SegmentsOf = (node) => scopes.get(node)?.split(".") ?? nodeSegments(node);
  const wrapper = wrapperOf(module, segmentsOf);
  const joined = (segments: readonly string[]): string | undefined => {
    const inner = segments[0] === wrapper ? segments.slice(1) : segments;
    return inner.length > 0 ? inner.join(".") : undefined;
  };
  return {
    ofParameter: (name) => (name && PARAMETER.test(name) ? joined(moduleOf(name)) : undefined),
    ofNodes: (names) =>
      names
        .map((name) => joined(segmentsOf(name)))
        .filter((path) => path !== undefined)
        .at(-1),
  };
}
