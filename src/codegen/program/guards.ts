/** What a step waits for: counts of finished iterations, and the code that computes how many have to be there. */

import type { Credit, Domain, Relation, Schedule, Step } from "../../artifact/schedule.ts";
import { type At, isIdentity, iterations, related, tokenBlocks } from "./ranges.ts";
import type { Calc, Value } from "./value.ts";

/** Whose iterations are counted: a step of the same cluster, or an event of it. */
export type Counter =
  | { readonly kind: "step"; readonly place: number }
  | { readonly kind: "event"; readonly event: number };

export interface Guard {
  readonly counter: Counter;
  readonly relation: Relation;
  /** Domain of what is counted. */
  readonly domain: Domain;
  /** Of a credit; null for a wait. */
  readonly distance: number | null;
}

const HOST = "host";

/** Who writes and who reads, by name, and with which domain. */
export class Sources {
  private readonly steps: ReadonlyMap<string, Step>;
  private readonly domains: ReadonlyMap<string, Domain>;
  private readonly inputs: ReadonlyMap<string, string>;

  constructor(schedule: Schedule) {
    this.steps = new Map(schedule.steps.map((s) => [s.id, s]));
    this.domains = new Map(schedule.buffers.map((b) => [b.id, b.domain]));
    this.inputs = new Map(schedule.inputs.map((i) => [i.buffer, i.name]));
  }

  /** `places` are those of the cluster's steps; `events` grows by those that the step listens to. */
  guardsOf(step: Step, places: ReadonlyMap<string, number>, events: string[]): readonly Guard[] {
    const counterOf = (name: string): Counter => {
      const place = places.get(name);
      if (place !== undefined) return { kind: "step", place };
      const known = events.indexOf(name);
      return { kind: "event", event: known < 0 ? events.push(name) - 1 : known };
    };
    const waits = step.waits.map(({ step: writer, buffer, newest }): Guard => {
      const name = writer === HOST ? `host:${this.inputs.get(buffer)}` : writer;
      const domain = this.domainOf(writer, buffer);
      return { counter: counterOf(name), relation: newest, domain, distance: null };
    });
    const credits = step.credits.map(({ reader, buffer, release, distance }): Guard => {
      if (reader !== HOST) {
        const domain = this.domainOf(reader, buffer);
        return { counter: counterOf(reader), relation: release, domain, distance };
      }
      const counter = counterOf(`out:${buffer}`);
      return { counter, relation: SAME, domain: this.domainOf(HOST, buffer), distance };
    });
    return [...new Map([...waits, ...credits].map((g) => [JSON.stringify(g), g])).values()];
  }

  private domainOf(step: string, buffer: string): Domain {
    const domain = step === HOST ? this.domains.get(buffer) : this.steps.get(step)?.domain;
    if (!domain) throw new Error(`there is no step ${step} and no buffer ${buffer}`);
    return domain;
  }
}

/** The host takes each block as it is written: its iterations are the blocks. */
const SAME: Credit["release"] = { batch: "same", token: { mul: 1, add: 0, div: 1 } };

/** An iteration of a step: of which inference, and its number over all of them. */
export interface Iteration extends At {
  readonly inference: Value;
  readonly number: Value;
}

/** How far a guard's counter must have counted before a step with domain `own` may start an iteration. */
export function needed(c: Calc, guard: Guard, own: Domain, iteration: Iteration): Value {
  const { relation, domain, distance } = guard;
  const same = isIdentity(relation, own, domain);
  if (distance === null) {
    if (same) return c.add(iteration.number, 1);
    return c.add(overInferences(c, guard, iteration.inference, iteration), 1);
  }
  const old = c.sub(iteration.number, distance);
  if (same) return c.max(0, c.add(old, 1));
  const { k } = c;
  const result = k.li(0);
  k.when("ge", c.register(old), c.register(0), () => {
    const per = iterations(own);
    const rest = c.rem(old, per);
    const n = tokenBlocks(own);
    const at = { b: c.div(rest, n), t: c.rem(rest, n) };
    const promised = overInferences(c, guard, c.div(old, per), at);
    k.move(result, c.register(c.add(promised, 1)));
  });
  return result;
}

const overInferences = (c: Calc, { relation, domain }: Guard, inference: Value, at: At): Value =>
  c.add(c.mul(inference, iterations(domain)), related(c, relation, domain, at));
