/**
 * pipeline-tokens: turn operations into steps that run block by block of tokens, as soon as their data is there.
 *
 * Before: level aimc; every operation names the cluster that runs it.
 * After: level program; every step has a domain, what each iteration reads and writes, the iterations of other
 * steps that it waits for, and rings that are large enough for the program never to stop.
 * Why relations and not flags: for each read the newest iteration that it needs follows exactly from the two
 * accesses (cmnnc, arXiv 2003.04293), so causal attention starts on its first block while the last is
 * still being computed, and nothing waits for more than it reads.
 */

import type { Credit, Relation, Wait } from "../src/artifact/schedule.ts";
import { wrapOp } from "../src/ir/dialects/program.ts";
import { domainAttr, toAttr } from "../src/ir/dialects/program-schedule.ts";
import type { Attrs, Module, Op, Value } from "../src/ir/op.ts";
import { OPS } from "../src/ir/registry.ts";
import type { Pass } from "./pass.ts";
import { chooseBlocks } from "./pipeline/blocks.ts";
import { priceOn } from "./pipeline/cost.ts";
import type { Capacities } from "./pipeline/liveness.ts";
import { capacitiesOf, remarkSpills, tooLargeBlocks } from "./pipeline/memory.ts";
import { type Network, type Node, networkOf, type Ring } from "./pipeline/network.ts";
import { propagate } from "./pipeline/propagate.ts";

/** The step that stands for the world outside: it writes graph inputs and reads graph outputs. */
const HOST = "host";

export const pipelineTokens: Pass = {
  name: "pipeline-tokens",
  summary: "turn operations into steps over token blocks, with exact waits and sufficient rings",
  needs: ["placed"],
  gives: ["pipelined"],
  run(module, context) {
    const { target, options, report } = context;
    const price = priceOn(context, module);
    const layouts = propagate(module, OPS);
    const blocks = chooseBlocks(layouts, target, price, options.tokens);
    const network = networkOf(module, layouts, blocks);
    const faults = [...tooLargeBlocks(module, network, target)];
    for (const fault of faults) report(fault);
    if (faults.length > 0) return module;
    const capacities = capacitiesOf(network, target, price);
    remarkSpills(network, capacities, context);
    return programOf(module, network, capacities);
  },
};

/** The module of level program that a network with these ring sizes is. */
export function programOf(module: Module, network: Network, capacities: Capacities): Module {
  const nodes = new Map(network.nodes.map((n) => [n.op, n]));
  const received = module.inputs.map(({ name, value }): Op => {
    const attrs = { ...ringAttrs(network, [value], capacities), ...domainOfRing(network, value) };
    return { kind: "program.receive", operands: [value], results: [], attrs, origin: [name] };
  });
  const steps = module.ops.map((op) => {
    const node = nodes.get(op);
    return node ? stepOf(node, network, capacities) : op;
  });
  return { ...module, level: "program", ops: [...received, ...steps] };
}

const domainOfRing = (network: Network, value: Value): Attrs => ({
  domain: domainAttr(ringOf(network, value).side.domain),
});

function stepOf(node: Node, network: Network, capacities: Capacities): Op {
  return wrapOp(node.op, {
    cluster: node.cluster,
    step: node.id,
    domain: domainAttr(node.domain),
    reads: toAttr(node.reads),
    waits: toAttr(waitsOf(node, network)),
    ...ringAttrs(network, node.op.results, capacities),
  });
}

/** What a writer, a step or the host, says of the rings that it writes. */
function ringAttrs(network: Network, values: readonly Value[], capacities: Capacities): Attrs {
  const rings = values.map((v) => ringOf(network, v));
  const capacity = (r: Ring): number => capacities.get(r.value) ?? 1;
  return {
    writes: toAttr(rings.map((r) => ({ buffer: r.value.id, select: r.side.select }))),
    credits: toAttr(rings.flatMap((r) => creditsOf(r, capacity(r)))),
    rings: rings.map((r) => ({ capacity: capacity(r), cluster: r.cluster })),
  };
}

function ringOf({ rings }: Network, value: Value): Ring {
  const ring = rings.get(value);
  if (!ring) throw new Error(`%${value.id} has no ring`);
  return ring;
}

/** One for each operand that is a buffer, in order. */
function waitsOf(node: Node, network: Network): readonly Wait[] {
  return node.op.operands.flatMap((v, i): Wait[] => {
    const region = node.reads[i];
    if (!v || region?.buffer === undefined) return [];
    const ring = ringOf(network, v);
    const same = node.op.operands.slice(0, i).filter((o) => o === v).length;
    const reader = ring.readers.filter((r) => r.node === node)[same];
    if (!reader) throw new Error(`step ${node.id} does not read %${v.id}`);
    const step = ring.writer?.id ?? HOST;
    return [{ buffer: region.buffer, step, newest: reader.dependence.newest }];
  });
}

/** The host takes each block of an output as soon as it is written. */
const AT_ONCE: Relation = { batch: "same", token: { mul: 1, add: 0, div: 1 } };

function creditsOf(ring: Ring, distance: number): readonly Credit[] {
  const buffer = ring.value.id;
  const credits = ring.readers.map(({ node, dependence }): Credit => {
    return { buffer, reader: node.id, distance, release: dependence.release };
  });
  if (ring.leaves) credits.push({ buffer, reader: HOST, distance, release: AT_ONCE });
  return unique(credits);
}

/** A step that reads a value twice in the same way needs to say so once. */
const unique = <T>(list: readonly T[]): readonly T[] => [
  ...new Map(list.map((x) => [JSON.stringify(x), x])).values(),
];
