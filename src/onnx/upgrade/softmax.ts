/**
 * Softmax before opset 13 flattened its input to two axes, [product of dims before axis, product of
 * the others], and normalised the second. For the last axis that is today's Softmax; otherwise the
 * flattening is written out.
 */

import type { Rule } from "./rule.ts";

export const upgradeSoftmax: Rule["rewrite"] = (node, draft) => {
  const [x = ""] = node.inputs;
  const axis = (node.attrs["axis"] ?? 1) as number;
  const rank = draft.facts.rank(x);
  if (rank !== undefined && (axis < -rank || axis >= rank)) {
    draft.emit(node); // Inference says what is wrong with it.
    return;
  }
  const last = axis === -1 || (rank !== undefined && (axis + rank) % rank === rank - 1);
  if (last) {
    draft.emit({ ...node, attrs: { ...node.attrs, axis: -1 } });
    return;
  }
  const [flat, soft, shape] = [draft.fresh("flat"), draft.fresh("soft"), draft.fresh("shape")];
  draft.emit({ ...node, opType: "Flatten", outputs: [flat], attrs: { axis } });
  draft.emit({ ...node, inputs: [flat], outputs: [soft], attrs: { axis: -1 } });
  draft.emit({ ...node, opType: "Shape", outputs: [shape], attrs: {} });
  draft.emit({ ...node, opType: "Reshape", inputs: [soft, shape], attrs: {} });
};
