/**
 * The frame of a cluster's program. All cores begin at the start; core 0 looks at the steps in turn and runs the first
 * that may start, the others call what it names. Between steps it takes vectors out of tiles and sends others.
 */

import { instruction, type Line, label, loadConstant, remark } from "../../riscv/listing.ts";
import { FIXED, type MemoryMap } from "./memory-map.ts";
import { stageCode, storeCode } from "./piece-code.ts";
import {
  fetchCode,
  finishCode,
  launchCode,
  needsCode,
  readyCode,
  type Setting,
  turnCode,
} from "./step-code.ts";
import type { StepPlan } from "./step-plan.ts";

const [ZERO, RA, SP, TP, T0, T1, A0, A7] = [0, 1, 2, 4, 5, 6, 10, 17];
const MHARTID = 0xf14;
const EXIT = 93;
const FRAME = 16;
const SAVED = 12;

export const START = "_start";

/** All that is not kernels. */
export function controlLines(steps: readonly StepPlan[], setting: Setting): readonly Line[] {
  return [
    ...startLines(steps, setting.map),
    ...workerLines(),
    ...runLines(),
    ...steps.flatMap((plan) => stepLines(plan, setting)),
  ];
}

const call = (name: string): Line => instruction("jal", RA, name);
const jump = (name: string): Line => instruction("jal", ZERO, name);
const barrier = instruction("barrier", ZERO, ZERO, ZERO);

/** An instruction that loads or stores the word at an address; `by` holds the upper part of it. */
function atWord(name: "lw" | "sw", register: number, address: number, by: number): Line[] {
  const low = (address << 20) >> 20;
  return [...loadConstant(by, address - low), instruction(name, register, low, by)];
}

const nameOf = ({ place }: StepPlan): string => `step${place}`;

function startLines(steps: readonly StepPlan[], map: MemoryMap): readonly Line[] {
  return [
    label(START),
    instruction("csrrs", TP, MHARTID, ZERO),
    ...loadConstant(SP, map.stackTop),
    ...loadConstant(T0, map.stackBytes),
    instruction("mul", T0, T0, TP),
    instruction("sub", SP, SP, T0),
    instruction("beq", TP, ZERO, "control"),
    jump("worker"),
    label("control"),
    ...steps.map((plan) => call(`${nameOf(plan)}.needs`)),
    ...loadConstant(T0, steps.length),
    ...atWord("sw", T0, FIXED.remaining, T1),
    ...atWord("lw", T0, FIXED.inferences, T1),
    instruction("bne", T0, ZERO, "scan"),
    jump("done"),
    remark("the first step whose next iteration may start"),
    label("scan"),
    ...atWord("lw", T0, FIXED.remaining, T1),
    instruction("bne", T0, ZERO, "scan.steps"),
    jump("done"),
    label("scan.steps"),
    ...steps.flatMap((plan) => [
      call(nameOf(plan)),
      instruction("beq", A0, ZERO, `${nameOf(plan)}.not`),
      // Others go on before vectors that have just set out are waited for.
      jump(plan.launch ? "scan" : "turn"),
      label(`${nameOf(plan)}.not`),
    ]),
    remark("none: the vectors in tiles have their turn"),
    ...atWord("lw", T0, FIXED.flying, T1),
    instruction("bne", T0, ZERO, "tiles"),
    remark("or until something has happened elsewhere"),
    instruction("addi", T0, ZERO, -1),
    ...atWord("sw", T0, FIXED.current, T1),
    instruction("event.wait", ZERO, T0, ZERO),
    jump("scan"),
    remark("after a step: the vectors in tiles"),
    label("turn"),
    ...atWord("lw", T0, FIXED.flying, T1),
    label("tiles"),
    ...steps.flatMap((plan) => turnLines(plan)),
    jump("scan"),
    label("done"),
    ...atWord("sw", ZERO, FIXED.command, T1),
    barrier,
    jump("exit"),
  ];
}

/** Goes on with the launch of the step, if that is the number in t0. */
function turnLines(plan: StepPlan): readonly Line[] {
  if (!plan.launch) return [];
  const name = nameOf(plan);
  return [
    ...loadConstant(T1, plan.place + 1),
    instruction("bne", T0, T1, `${name}.grounded`),
    call(`${name}.fly`),
    jump("scan"),
    label(`${name}.grounded`),
  ];
}

function workerLines(): readonly Line[] {
  return [
    label("worker"),
    barrier,
    ...atWord("lw", T0, FIXED.command, T1),
    instruction("beq", T0, ZERO, "exit"),
    instruction("jalr", RA, 0, T0),
    jump("worker"),
    label("exit"),
    instruction("addi", A0, ZERO, 0),
    instruction("addi", A7, ZERO, EXIT),
    instruction("ecall"),
  ];
}

/** Core 0 lets all cores call the function at a0, and calls it as well. */
const runLines = (): readonly Line[] => [
  label("run"),
  ...atWord("sw", A0, FIXED.command, T1),
  barrier,
  instruction("jalr", ZERO, 0, A0),
];

/** The kernel, or the kernel for each piece. */
function workLines({ pieces }: StepPlan, name: string): readonly Line[] {
  if (!pieces) return [call("run")];
  return [
    ...atWord("sw", ZERO, FIXED.piece, T1),
    label(`${name}.piece`),
    call(`${name}.stage`),
    call("run"),
    call(`${name}.store`),
    instruction("beq", A0, ZERO, `${name}.pieced`),
    jump(`${name}.piece`),
    label(`${name}.pieced`),
  ];
}

const enter: readonly Line[] = [
  instruction("addi", SP, SP, -FRAME),
  instruction("sw", RA, SAVED, SP),
];
const leave: readonly Line[] = [
  instruction("lw", RA, SAVED, SP),
  instruction("addi", SP, SP, FRAME),
  instruction("jalr", ZERO, 0, RA),
];

const currentLines = ({ place }: StepPlan): readonly Line[] => [
  ...loadConstant(T0, place),
  ...atWord("sw", T0, FIXED.current, T1),
];

/** a0 = 1 where the next iteration has been done. */
function kernelLines(plan: StepPlan, name: string): readonly Line[] {
  return [
    label(name),
    ...enter,
    call(`${name}.ready`),
    instruction("beq", A0, ZERO, `${name}.out`),
    ...currentLines(plan),
    call(`${name}.fetch`),
    ...workLines(plan, name),
    call(`${name}.finish`),
    call(`${name}.needs`),
    instruction("addi", A0, ZERO, 1),
    label(`${name}.out`),
    ...leave,
  ];
}

/** a0 = 1 where the next iteration has been started: its vectors are taken by turns, by another function. */
function launchLines(plan: StepPlan, name: string): readonly Line[] {
  return [
    label(name),
    ...enter,
    instruction("addi", A0, ZERO, 0),
    ...atWord("lw", T0, FIXED.flying, T1),
    instruction("bne", T0, ZERO, `${name}.out`),
    call(`${name}.ready`),
    instruction("beq", A0, ZERO, `${name}.out`),
    ...currentLines(plan),
    call(`${name}.fetch`),
    call(`${name}.launch`),
    ...loadConstant(T0, plan.place + 1),
    ...atWord("sw", T0, FIXED.flying, T1),
    instruction("bne", A0, ZERO, `${name}.started`),
    call(`${name}.land`),
    label(`${name}.started`),
    instruction("addi", A0, ZERO, 1),
    label(`${name}.out`),
    ...leave,
    label(`${name}.fly`),
    ...enter,
    ...currentLines(plan),
    call(`${name}.turn`),
    instruction("bne", A0, ZERO, `${name}.flown`),
    call(`${name}.land`),
    label(`${name}.flown`),
    ...leave,
    label(`${name}.land`),
    ...enter,
    ...atWord("sw", ZERO, FIXED.flying, T1),
    call(`${name}.finish`),
    call(`${name}.needs`),
    ...leave,
  ];
}

function stepLines(plan: StepPlan, setting: Setting): readonly Line[] {
  const name = nameOf(plan);
  const { id, kernel, module, nodes } = plan.step;
  const makers = {
    ready: readyCode,
    needs: needsCode,
    fetch: fetchCode,
    ...(plan.launch && { launch: launchCode, turn: turnCode }),
    ...(plan.pieces && { stage: stageCode, store: storeCode }),
    finish: finishCode,
  };
  const functions = Object.entries(makers).flatMap(([what, make]) => {
    const full = `${name}.${what}`;
    return [label(full), ...make(plan, setting, full).finish()];
  });
  return [
    remark(`${id}: ${kernel}, of ${module || "the network"} (${nodes.join(", ")})`),
    ...(plan.launch ? launchLines(plan, name) : kernelLines(plan, name)),
    ...functions,
  ];
}
