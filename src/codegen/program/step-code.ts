/**
 * What core 0 does for a step, as functions of the program: whether its next iteration may start, fetch its operands,
 * run its tiles, pass its results on and count, and compute what the iteration after it waits for.
 */

import { EVENTS_BASE } from "../../artifact/programs.ts";
import { bytesPer } from "../../tensor/tensor.ts";
import { Assembler, type Condition } from "../assembler.ts";
import { A0, type X, ZERO } from "../register.ts";
import type { Growth } from "./growing.ts";
import { type Counter, type Iteration, needed } from "./guards.ts";
import { emitStart, emitTurn } from "./launch.ts";
import { FIXED, type MemoryMap, neededAt, STATE } from "./memory-map.ts";
import { eachPart } from "./parts.ts";
import { iterations, rangesOf, tokenBlocks } from "./ranges.ts";
import type { Launch, Operand, Result, StepPlan } from "./step-plan.ts";
import { blockAddress, type Store } from "./store.ts";
import { Dma, type Place, shapeOf } from "./transfer.ts";
import { Calc, type Value } from "./value.ts";

const WORD = 4;

/** Where things of a cluster's program are. */
export interface Setting {
  readonly map: MemoryMap;
  /** A ring or constant, as this cluster sees it. */
  placeOf(store: Store): { readonly cluster: number; readonly address: number };
  /** Address of the table of a step's kernels by token block, where they are several. */
  readonly tables: ReadonlyMap<StepPlan, number>;
  /** Address of a kernel. */
  kernelAt(name: string): number;
}

/** A function of a step that is being written, with the iteration that it is about. */
export class StepCode {
  readonly k: Assembler;
  readonly c: Calc;
  readonly plan: StepPlan;
  readonly setting: Setting;
  readonly state: X;

  constructor(plan: StepPlan, setting: Setting, name: string) {
    this.k = new Assembler(name);
    this.c = new Calc(this.k);
    this.plan = plan;
    this.setting = setting;
    this.state = this.k.li(setting.map.states[plan.place] ?? 0);
  }

  iteration(): Iteration {
    const { domain } = this.plan.step;
    const inference = this.load(STATE.inference);
    return {
      inference,
      number: iterations(domain) === 1 ? inference : this.load(STATE.number),
      b: domain.batch === 1 ? 0 : this.load(STATE.batch),
      t: tokenBlocks(domain) === 1 ? 0 : this.load(STATE.token),
    };
  }

  load(offset: number): X {
    return this.k.x("lw", offset, this.state);
  }

  save(value: X, offset: number): void {
    this.k.emit("sw", value, offset, this.state);
  }

  area(area: Operand["area"]): number {
    const found = area && this.setting.map.areas.get(area);
    if (!found) throw new Error(`${this.plan.step.id} uses memory without an address`);
    return found;
  }
}

/** The address of a word and what of it an instruction's immediate holds. */
function wordAt(k: Assembler, address: number): readonly [number, X] {
  const low = (address << 20) >> 20;
  return [low, k.li(address - low)];
}

export const load = (k: Assembler, address: number): X => k.x("lw", ...wordAt(k, address));
export const save = (k: Assembler, value: X, address: number): void =>
  k.emit("sw", value, ...wordAt(k, address));

/** a0 = 1 where the step's next iteration may start, otherwise 0. */
export function readyCode(plan: StepPlan, setting: Setting, name: string): Assembler {
  const code = new StepCode(plan, setting, name);
  const { k } = code;
  const answer = k.li(0);
  const no = k.newLabel();
  const leave = (condition: Condition, a: X, b: X): void =>
    plan.guards.length > NEAR ? k.far(condition, a, b, no) : k.branch(condition, a, b, no);
  leave("geu", code.load(STATE.inference), load(k, FIXED.inferences));
  for (const [i, { counter }] of plan.guards.entries()) {
    leave("ltu", load(k, counterAt(counter, setting)), code.load(neededAt(i)));
  }
  k.set(answer, 1);
  k.label(no);
  k.move(A0, answer);
  return k;
}

/** Guards that a branch reaches over. */
const NEAR = 100;

const counterAt = (counter: Counter, { map }: Setting): number =>
  counter.kind === "event"
    ? EVENTS_BASE + counter.event * WORD
    : (map.states[counter.place] ?? 0) + STATE.number;

/** Computes and keeps the counts that the next iteration needs. */
export function needsCode(plan: StepPlan, setting: Setting, name: string): Assembler {
  const code = new StepCode(plan, setting, name);
  const { c } = code;
  const iteration = code.iteration();
  for (const [i, guard] of plan.guards.entries()) {
    code.save(c.register(needed(c, guard, plan.step.domain, iteration)), neededAt(i));
  }
  return code.k;
}

/** Sets the parameters, gathers what does not lie together; a0 = the kernel of the iteration's shapes. */
export function fetchCode(plan: StepPlan, setting: Setting, name: string): Assembler {
  const code = new StepCode(plan, setting, name);
  const { k, c } = code;
  const iteration = code.iteration();
  const parameters = k.li(FIXED.parameters);
  const dma = plan.operands.some((o) => o?.area) ? new Dma(c, FIXED.descriptor) : null;
  const gathered = new Set<Operand>();
  for (const [i, operand] of plan.operands.entries()) {
    const address = operand ? operandAddress(code, operand, iteration, dma, gathered) : 0;
    k.emit("sw", c.register(address), i * WORD, parameters);
  }
  let next = plan.operands.length;
  for (const result of plan.results) {
    k.emit("sw", c.register(resultAddress(code, result, iteration)), next++ * WORD, parameters);
  }
  if (plan.scratch) {
    k.emit("sw", c.register(code.area(plan.scratch)), next * WORD, parameters);
  }
  if (plan.growth) {
    k.emit("sw", grown(c, plan.growth, iteration), (next + 1) * WORD, parameters);
  }
  dma?.wait();
  if (!plan.launch && !plan.pieces) k.move(A0, kernelAddress(code, iteration));
  return k;
}

/** How many elements the axes that grow have. */
function grown(c: Calc, { read, axis }: Growth, iteration: Iteration): X {
  const { blocks, select, domain } = read;
  return c.register(rangesOf(c, select, domain, blocks.shape, iteration)[axis]?.size ?? 0);
}

function operandAddress(
  code: StepCode,
  operand: Operand,
  iteration: Iteration,
  dma: Dma | null,
  gathered: Set<Operand>,
): Value {
  const { c, setting } = code;
  const { store, read, area, room } = operand;
  const from = setting.placeOf(store);
  const elemBytes = bytesPer(store.elem);
  const block = (at: { b: Value; t: Value }): Value =>
    blockAddress(c, store, from.address, iteration.inference, at);
  if (area === null) {
    let address: Value = 0;
    eachPart(c, read, iteration, ({ at, axes }) => {
      address = c.add(block(at), shapeOf(c, axes, elemBytes).from);
    });
    return address;
  }
  const address = code.area(area);
  // Pieces come one by one.
  if (operand.cut !== null || gathered.has(operand)) return address;
  gathered.add(operand);
  const target: Place = { cluster: OWN, address };
  eachPart(c, read, iteration, ({ at, axes }) => {
    const source = { cluster: from.cluster, address: block(at) };
    const spread = axes.map((a, i) => (i === room?.axis ? { ...a, size: room.most } : a));
    dma?.copy(shapeOf(c, spread, elemBytes), source, target);
  });
  return address;
}

/** The cluster that runs the program, in descriptors. */
export const OWN = -1;

function resultAddress(code: StepCode, { store, area }: Result, iteration: Iteration): Value {
  if (area) return code.area(area);
  const { address } = code.setting.placeOf(store);
  return blockAddress(code.c, store, address, iteration.inference, iteration);
}

export function kernelAddress({ k, c, plan, setting }: StepCode, { t }: Iteration): X {
  const table = setting.tables.get(plan);
  const [first] = plan.kernels;
  if (table === undefined) return k.li(first ? setting.kernelAt(first.name) : 0);
  return k.x("lw", 0, k.add(k.li(table), c.register(c.mul(t, WORD))));
}

/** Lets the first vectors of an iteration set out; a0 = how many there are. */
export function launchCode(plan: StepPlan, setting: Setting, name: string): Assembler {
  const code = new StepCode(plan, setting, name);
  const { k, c } = code;
  const { operands } = plan;
  const launch = launchOf(plan);
  const parameter = (i: number): X => load(k, FIXED.parameters + i * WORD);
  const count = emitStart(c, plan, launch, code.iteration(), {
    x: parameter(0),
    routing: operands[1] ? parameter(1) : ZERO,
    y: parameter(operands.length),
    list: launch.list ? code.area(launch.list) : 0,
  });
  k.move(A0, count);
  return k;
}

/** Takes the vectors that are on their way, lets others follow; a0 = how many are left. */
export function turnCode(plan: StepPlan, setting: Setting, name: string): Assembler {
  const code = new StepCode(plan, setting, name);
  const { k, c } = code;
  k.move(A0, emitTurn(c, plan, launchOf(plan), code.iteration()));
  return k;
}

function launchOf({ launch, step }: StepPlan): Launch {
  if (!launch) throw new Error(`${step.id} launches no tiles`);
  return launch;
}

/** Sends results to rings of other clusters, tells that the iteration is finished, and goes on to the next. */
export function finishCode(plan: StepPlan, setting: Setting, name: string): Assembler {
  const code = new StepCode(plan, setting, name);
  const { k } = code;
  sendResults(code);
  k.emit("event.signal", ZERO, k.li(plan.place), k.li(1));
  code.save(k.add(code.load(STATE.number), 1), STATE.number);
  const { batch } = plan.step.domain;
  const blocks = tokenBlocks(plan.step.domain);
  count(code, STATE.token, blocks, () =>
    count(code, STATE.batch, batch, () => {
      const inference = k.add(code.load(STATE.inference), 1);
      code.save(inference, STATE.inference);
      k.when("eq", inference, load(k, FIXED.inferences), () => {
        save(k, k.add(load(k, FIXED.remaining), -1), FIXED.remaining);
      });
    }),
  );
  return k;
}

/** One more; from `end` back to 0, and then `over`. */
function count(code: StepCode, offset: number, end: number, over: () => void): void {
  if (end === 1) {
    over();
    return;
  }
  const { k } = code;
  const next = k.add(code.load(offset), 1);
  const from = k.copy(next);
  k.when("eq", next, k.li(end), () => {
    k.set(from, 0);
    over();
  });
  code.save(from, offset);
}

function sendResults(code: StepCode): void {
  const { c, plan, setting } = code;
  const sent = plan.results.filter((r) => r.area !== null);
  if (sent.length === 0 || plan.pieces) return;
  const iteration = code.iteration();
  const dma = new Dma(c, FIXED.descriptor);
  for (const { store, area } of sent) {
    const { select, domain, shape, elem } = store;
    const sizes = rangesOf(c, select, domain, shape, iteration).map((r) => r.size);
    const run = c.mul(c.product(sizes), bytesPer(elem));
    const { cluster, address } = setting.placeOf(store);
    const block = blockAddress(c, store, address, iteration.inference, iteration);
    const source = { cluster: OWN, address: code.area(area) };
    dma.copy({ from: 0, to: 0, run, repeats: [] }, source, { cluster, address: block });
  }
  dma.wait();
}
