/** One node: of the ONNX file by its name, or of the machine by its number. */

import { fail } from "../../diag/diagnostic.ts";
import { findNode } from "../../report/find.ts";
import { percent } from "../../report/units.ts";
import { placements } from "../../report/usage.ts";
import type { Artifact } from "../../sim/load.ts";
import { buffersById, describeStep } from "./program.ts";

const isNumber = (name: string): boolean => /^\d+$/.test(name);

/** What lies on a node of the machine. Errors: A440 when the program does not use it. */
function onMachine(a: Artifact, node: number) {
  const tiles = placements(a.mapping, a.target).filter((p) => p.block.tile === node);
  const steps = a.schedule.steps.filter((s) => s.cluster === node);
  if (tiles.length === 0 && steps.length === 0) {
    const last = Math.max(
      ...a.schedule.steps.map((s) => s.cluster),
      ...placements(a.mapping, a.target).map((p) => p.block.tile),
    );
    const hint = `nodes 0 to ${last} are in use`;
    fail("A440", `node ${node} of the machine is not in use`, { kind: "command" }, hint);
  }
  return { node, tiles, steps };
}

export function nodeFacts(a: Artifact, name: string) {
  if (!isNumber(name)) return { onnx: name, steps: findNode(a.schedule, name) };
  const { node, tiles, steps } = onMachine(a, Number(name));
  const held = tiles.map(({ weight, block, index, used }) => ({
    tile: block.tile,
    weight: weight.name,
    block: index,
    rows: block.rows,
    cols: block.cols,
    used,
  }));
  return { node, tiles: held, steps };
}

export function describeNode(a: Artifact, name: string): string {
  const buffers = buffersById(a.schedule);
  if (!isNumber(name)) {
    const steps = findNode(a.schedule, name);
    const weights = a.mapping.weights.filter((w) => w.nodes.includes(name));
    return [
      `${name} became ${steps.length} step${steps.length === 1 ? "" : "s"}`,
      ...steps.flatMap((s) => describeStep(a, s, buffers)),
      ...weights.map((w) => `  its weight ${w.initializer} is on tiles: --weight ${w.name}`),
    ].join("\n");
  }
  const { node, tiles, steps } = onMachine(a, Number(name));
  const held = tiles.map(
    ({ weight, block, index, used }) =>
      `  tile ${block.tile}: block ${index} of ${weight.name}, ` +
      `rows ${block.rows.join("..")}, columns ${block.cols.join("..")}, ${percent(used)} used`,
  );
  return [
    `node ${node} of ${a.target.name}`,
    ...(held.length > 0 ? held : ["  its tile is empty"]),
    ...steps.flatMap((s) => describeStep(a, s, buffers)),
  ].join("\n");
}
