/** What machine code took and how it did against its kernels, as people read it. */

import type { StepCheck } from "../compare/machine-code.ts";
import type { Verification } from "../compare/verification.ts";
import { percent, tiny } from "../report/units.ts";
import { table } from "./terminal.ts";

/** Steps that the text lists; --json has them all. */
const LISTED = 12;

export function machineCodeText({ steps }: Pick<Verification, "steps">): string[] {
  if (!steps) return [];
  const all = steps.reduce((n, s) => n + s.cycles, 0);
  const blocks = steps.reduce((n, s) => n + s.blocks, 0);
  const same = steps.reduce((n, s) => n + s.same, 0);
  const row = (s: StepCheck) => [
    s.module || s.step,
    s.kernel,
    Math.round(s.cycles / Math.max(1, s.iterations)).toString(),
    percent(all > 0 ? s.cycles / all : 0),
    s.deviation === 0 ? "same bits" : tiny(s.deviation),
  ];
  const slow = steps.toSorted((a, b) => b.cycles - a.cycles);
  const far = steps.toSorted((a, b) => b.deviation - a.deviation);
  const listed = new Set([...slow.slice(0, LISTED), ...far.slice(0, 2)]);
  const title = `machine code: ${same} of ${blocks} blocks have the bits of their kernels; the steps that take longest`;
  const head = ["step", "kernel", "cycles an iteration", "share", "off its kernel"];
  return ["", title, table([head, ...slow.filter((s) => listed.has(s)).map(row)])];
}
