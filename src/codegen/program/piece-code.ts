/** What core 0 does for each piece of a step: brings its parts of the operands, and takes those of the results away. */

import { bytesPer } from "../../tensor/tensor.ts";
import type { Assembler } from "../assembler.ts";
import { A0, type X } from "../register.ts";
import type { Iteration } from "./guards.ts";
import { FIXED } from "./memory-map.ts";
import { eachPart, type PartAxis } from "./parts.ts";
import { rangesOf } from "./ranges.ts";
import { kernelAddress, load, OWN, type Setting, StepCode, save } from "./step-code.ts";
import type { Pieces, StepPlan } from "./step-plan.ts";
import { blockAddress } from "./store.ts";
import { Dma, shapeOf } from "./transfer.ts";
import type { Value } from "./value.ts";

/** Gathers the parts of the operands that the next piece needs; a0 = the kernel. */
export function stageCode(plan: StepPlan, setting: Setting, name: string): Assembler {
  const code = new StepCode(plan, setting, name);
  const { k, c } = code;
  const iteration = code.iteration();
  const pieces = piecesOf(plan);
  const { start } = pieceOf(code, iteration, pieces);
  const dma = new Dma(c, FIXED.descriptor);
  for (const operand of new Set(plan.operands)) {
    if (!operand || operand.cut === null) continue;
    const { store, read, cut, area } = operand;
    const from = setting.placeOf(store);
    const target = { cluster: OWN, address: code.area(area) };
    eachPart(c, read, iteration, ({ at, axes }) => {
      const part = axes.map((a, i): PartAxis => {
        if (i !== cut) return a;
        return { ...a, from: c.add(a.from, start), count: pieces.size, to: 0, size: pieces.size };
      });
      const address = blockAddress(c, store, from.address, iteration.inference, at);
      dma.copy(shapeOf(c, part, bytesPer(store.elem)), { cluster: from.cluster, address }, target);
    });
  }
  dma.wait();
  k.move(A0, kernelAddress(code, iteration));
  return k;
}

/** Puts a piece of the results into their rings; a0 = 1 where there are more pieces, otherwise 0. */
export function storeCode(plan: StepPlan, setting: Setting, name: string): Assembler {
  const code = new StepCode(plan, setting, name);
  const { k, c } = code;
  const iteration = code.iteration();
  const { axis, size } = piecesOf(plan);
  const { start, total, number } = pieceOf(code, iteration, { axis, size });
  const dma = new Dma(c, FIXED.descriptor);
  for (const { store, area } of plan.results) {
    const { select, domain, shape, elem } = store;
    const part = rangesOf(c, select, domain, shape, iteration).map((range, i): PartAxis => {
      const count = i === axis ? size : range.size;
      return { count, from: 0, extent: count, to: i === axis ? start : 0, size: range.size };
    });
    const { cluster, address } = setting.placeOf(store);
    const block = blockAddress(c, store, address, iteration.inference, iteration);
    const source = { cluster: OWN, address: code.area(area) };
    dma.copy(shapeOf(c, part, bytesPer(elem)), source, { cluster, address: block });
  }
  dma.wait();
  const next = k.add(number, 1);
  save(k, next, FIXED.piece);
  k.move(A0, k.x("slt", k.mul(next, size), c.register(total)));
  return k;
}

function piecesOf({ pieces, step }: StepPlan): Pieces {
  if (!pieces) throw new Error(`${step.id} is not cut`);
  return pieces;
}

/** The number of the piece, where it begins, and how much there is. */
function pieceOf(
  { k, c, plan }: StepCode,
  iteration: Iteration,
  { axis, size }: Pieces,
): { readonly number: X; readonly start: Value; readonly total: Value } {
  const [result] = plan.results;
  if (!result) throw new Error(`${plan.step.id} has no result`);
  const { select, domain, shape } = result.store;
  const total = rangesOf(c, select, domain, shape, iteration)[axis]?.size ?? 0;
  const number = load(k, FIXED.piece);
  return { number, total, start: c.min(c.mul(number, size), c.sub(total, size)) };
}
