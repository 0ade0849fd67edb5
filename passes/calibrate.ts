/**
 * calibrate: choose the full scale of every converter from the sample inputs.
 *
 * Before: analog linears are grids.
 * After: every aimc.mvm has `input_range`, the DAC's full scale alpha of each row block: unless the user chose
 * otherwise the largest |x| of the samples; and `adc_bound`, the ADC's full scale of each block in normalised units:
 * the largest |sum_j (w_ij / gamma_i) clip(x_j / alpha)| of the samples and 5 % more, at most the target's bound.
 * Why the maximum if nothing was chosen: transformers carry meaning in outliers, and a clipped one costs
 * more than the steps it would save. What each choice costs is told to `context.calibrated`. Grids of one matrix
 * share their tiles, so also their ranges. What a quantiser with constant scales gives is known without samples: its
 * range becomes the DAC's.
 */

import type { CalibratedWeight } from "../src/artifact/calibration.ts";
import type { Attrs, Op } from "../src/ir/op.ts";
import { withAttrs } from "../src/ir/rewrite.ts";
import {
  DEFAULT_RANGE,
  type Matrix,
  measured,
  saysNothing,
  unseen,
  unseenRange,
  withSamples,
} from "./calibrate/measure.ts";
import { observeInputs } from "./calibrate/observation.ts";
import { matrixKey } from "./partition/matrix.ts";
import type { Pass, PassContext } from "./pass.ts";

export const calibrate: Pass = {
  name: "calibrate",
  summary: "choose the full scale of every DAC and ADC from the sample inputs",
  needs: ["partitioned"],
  gives: ["calibrated"],
  async run(module, context) {
    const grids = module.ops.filter((op) => op.kind === "aimc.mvm");
    const seen = new Map(grids.map((op) => [matrixKey(op), unseen(op)]));
    await observeInputs(module, grids, context, (op, samples) => {
      const before = seen.get(matrixKey(op));
      if (before) seen.set(matrixKey(op), withSamples(before, op, samples));
    });
    const ranges = rangesOf([...seen.values()], context, module.name);
    const silent = new Set([...seen].filter(([, m]) => saysNothing(m)).map(([key]) => key));
    const blind = grids.filter(
      (op) => silent.has(matrixKey(op)) && op.attrs["input_bound"] === undefined,
    );
    if (blind.length > 0) context.remark(defaultRemark(blind, grids));
    const ops = module.ops.map((op) =>
      op.kind === "aimc.mvm" ? withAttrs(op, ranges.get(matrixKey(op)) ?? {}) : op,
    );
    return { ...module, ops };
  },
};

/** When more of what was seen is clipped, the program would compute nothing. */
const MOST_CLIPPED = 0.9;

function rangesOf(all: readonly Matrix[], context: PassContext, model: string) {
  const ranges = new Map<string, Attrs>();
  for (const matrix of all) {
    const key = matrixKey(matrix.op);
    if (matrix.rows.length === 0) ranges.set(key, defaults(matrix.op, context));
    else {
      const { attrs, report } = measured(matrix, context);
      ranges.set(key, attrs);
      context.calibrated?.(report);
      tellClipping(report, model, context);
    }
  }
  return ranges;
}

const defaults = (op: Op, { target }: PassContext): Attrs => ({
  input_range: [unseenRange(op)],
  adc_bound: [target.tile.adc.bound.value],
});

/** What a user's choice clips is a fault; what exceeds the target's own limit is for its designer to know. */
function tellClipping(report: CalibratedWeight, model: string, context: PassContext): void {
  const { weight, nodes, dac, adc, columns } = report;
  const limit = context.target.tile.adc.bound.value;
  for (const [what, of, { chosen }] of [
    ["inputs", "DAC", dac],
    ["sums", "ADC", adc],
    ["weights", "columns", columns],
  ] as const) {
    if (chosen.clipped <= MOST_CLIPPED) continue;
    const share = `${(100 * chosen.clipped).toFixed(0)} %`;
    const scale = chosen.high.toPrecision(3);
    const text = `${share} of the ${what} of weight '${weight}' are clipped: they exceed ${scale}, the full scale of the ${of}`;
    if (of === "ADC" && chosen.high >= limit) {
      context.remark({ text: `${text} (tile.adc.bound of the target)`, nodes });
      continue;
    }
    const hint = "choose a larger one with --calibrate, or leave it out";
    context.report({ code: "A232", text, at: { kind: "node", model, nodes }, hint });
  }
}

const defaultRemark = (blind: readonly Op[], grids: readonly Op[]) => ({
  text:
    `no sample shows the input of ${blind.length} of ${grids.length} analog linears, or only zeros: ` +
    `their DACs get the range ±${DEFAULT_RANGE} and their ADCs the target's; give samples with --data`,
  nodes: blind.flatMap((op) => op.origin),
});
