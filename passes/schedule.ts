/**
 * schedule: give every cluster the order in which it looks at its steps, and every step its signals and cost.
 *
 * Before: level program; steps know what they wait for, and nothing about each other's turn.
 * After: each step has its place in its cluster's list, says whom to tell, and what an iteration costs.
 * Why last steps first: a cluster runs the first step in its list that may start. Work that is nearly done
 * then leaves before new work enters, which keeps rings short and the latency of a block low.
 */

import { Region } from "../src/artifact/schedule.ts";
import { intAttr, intsAttr } from "../src/ir/attrs.ts";
import { wrappedOp } from "../src/ir/dialects/program.ts";
import { isStep } from "../src/ir/dialects/program-schedule.ts";
import type { Attr, Module, Op } from "../src/ir/op.ts";
import { usersOf, withAttrs } from "../src/ir/rewrite.ts";
import type { Pass } from "./pass.ts";
import { type Cost, type Price, priceOn } from "./pipeline/cost.ts";

export const schedule: Pass = {
  name: "schedule",
  summary: "order the steps of each cluster, and predict what each iteration costs",
  needs: ["pipelined"],
  gives: ["scheduled"],
  run(module, context) {
    const price = priceOn(context, module);
    const orders = ordersOf(module);
    const read = new Set([...usersOf(module).keys(), ...module.outputs.map((p) => p.value)]);
    const ops = module.ops.map((op) => {
      if (!isStep(op)) return op;
      const signals = op.results.filter((r) => read.has(r)).map((r) => r.id);
      return withAttrs(op, {
        order: orders.get(op) ?? 0,
        signals,
        cost: { ...costOf(op, price) },
      });
    });
    return { ...module, ops };
  },
};

/** Modules are in topological order, so its reverse lists the last steps first. */
function ordersOf(module: Module): ReadonlyMap<Op, number> {
  const orders = new Map<Op, number>();
  const taken = new Map<number, number>();
  for (const op of module.ops.filter(isStep).toReversed()) {
    const cluster = intAttr(op, "cluster", 0);
    const order = taken.get(cluster) ?? 0;
    orders.set(op, order);
    taken.set(cluster, order + 1);
  }
  return orders;
}

function costOf(step: Op, price: Price): Cost {
  const op = wrappedOp(step);
  if (!op) throw new Error(`${step.kind} runs nothing`);
  const [batch = 1, tokens = 1, block = 1] = intsAttr(step, "domain");
  const reads = regions(step.attrs["reads"]);
  const writes = regions(step.attrs["writes"]).map((s) => s ?? []);
  return price(op, { domain: { batch, tokens, block }, reads, writes });
}

const regions = (list: Attr | undefined) =>
  (Array.isArray(list) ? list : []).map((r) => Region.safeParse(r).data?.select ?? null);
