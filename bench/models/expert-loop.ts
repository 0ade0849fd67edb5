/** A mixture of experts as PyTorch's exporter leaves a loop over them: for each, the rows that chose it. */

import type { GraphFile } from "./graph-file.ts";
import { gated, linear } from "./parts.ts";

interface Sizes {
  readonly tokens: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly count: number;
}

/** What every expert of a layer reads: tokens [T, H], weights and choices [T, K], who chose whom [E, K, T]. */
interface Routed {
  readonly rows: string;
  readonly weights: string;
  readonly mask: string;
}

/** The sum over experts, [T, H]. `weights` and `indices` are what TopK gives. */
export function expertLoop(
  file: GraphFile,
  at: string,
  { rows, weights, indices }: Readonly<Record<"rows" | "weights" | "indices", string>>,
  sizes: Sizes,
): string {
  const { tokens, hidden, count } = sizes;
  const depth = file.axes(count);
  const offOn = file.axes(0, 1);
  const chosen = file.node("OneHot", `${at}/OneHot`, [indices, depth, offOn], { axis: -1 });
  const mask = file.node("Transpose", `${at}/Transpose`, [chosen], { perm: [2, 1, 0] });
  let sum = file.constant(file.elem, [tokens, hidden], new Array(tokens * hidden).fill(0));
  for (let e = 0; e < count; e++) {
    sum = expert(file, `${at}/experts.${e}`, { rows, weights, mask }, sum, { e, ...sizes });
  }
  return sum;
}

function expert(
  file: GraphFile,
  at: string,
  { rows, weights, mask }: Routed,
  sum: string,
  { e, hidden, intermediate }: Sizes & { readonly e: number },
): string {
  const own = file.node("Gather", `${at}/Gather`, [mask, file.constant("i64", [], [e])], {
    axis: 0,
  });
  const pairs = file.node("NonZero", `${at}/NonZero`, [own]);
  const coordinate = (name: string, row: number): string =>
    file.node("Gather", `${at}/${name}`, [pairs, file.constant("i64", [], [row])], { axis: 0 });
  const slot = coordinate("Gather_1", 0);
  const token = coordinate("Gather_2", 1);
  const x = file.node("Gather", `${at}/Gather_3`, [rows, token], { axis: 0 });
  const gate = linear(file, `${at}/gate_proj`, x, [hidden, intermediate]);
  const up = linear(file, `${at}/up_proj`, x, [hidden, intermediate]);
  const inner = gated(file, at, gate, up);
  const y = linear(file, `${at}/down_proj`, inner, [intermediate, hidden]);
  const column = (name: string, of: string): string =>
    file.node("Unsqueeze", `${at}/${name}`, [of, file.axes(1)]);
  const [tokens, slots] = [column("Unsqueeze", token), column("Unsqueeze_1", slot)];
  const places = file.node("Concat", `${at}/Concat`, [tokens, slots], { axis: -1 });
  const share = file.node("GatherND", `${at}/GatherND`, [weights, places]);
  const scaled = file.node("Mul", `${at}/Mul_1`, [y, column("Unsqueeze_2", share)]);
  const shape = file.node("Shape", `${at}/Shape`, [scaled]);
  const wide = file.node("Expand", `${at}/Expand`, [tokens, shape]);
  const attrs = { axis: 0, reduction: "add" };
  return file.node("ScatterElements", `${at}/ScatterElements`, [sum, wide, scaled], attrs);
}
