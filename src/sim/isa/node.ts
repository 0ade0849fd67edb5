/** A cluster while a machine runs: its cores, and what they wait for. */

import { ENGINE_EVENT } from "../../artifact/matrix-engine.ts";
import type { ClusterImage } from "../../artifact/programs.ts";
import { MAIN_BASE, TCDM_BASE } from "../../artifact/programs.ts";
import type { Step } from "../../artifact/schedule.ts";
import { Cluster } from "../../iss/cluster.ts";
import type { Fault } from "../../iss/cluster-memory.ts";
import type { CoreTiming } from "../../iss/costs.ts";
import type { Target } from "../../target/schema.ts";
import { Barrier } from "./barrier.ts";
import { MatrixEngine } from "./matrix-engine.ts";
import type { ClusterProgram } from "./programs.ts";

/** A core that sleeps until an event has counted to a number; event -1: until any has; -2: jobs of the matrix engine. */
interface Sleeper {
  readonly core: number;
  readonly event: number;
  readonly count: number;
}

interface NodeShape {
  readonly target: Target;
  readonly cores: number;
  readonly timing: CoreTiming;
  readonly checked: boolean;
}

export class Node {
  readonly program: ClusterProgram;
  readonly machine: Cluster;
  readonly cores: number;
  /** In the order of the image. */
  readonly steps: readonly Step[];
  readonly counts: number[];
  /** An event has counted since the last wait for any. */
  hasNews = false;
  sleepers: Sleeper[] = [];
  readonly barrier: Barrier;
  /** null where the target has none. */
  readonly engine: MatrixEngine | null;
  /** Exit status of cores that have ended. */
  readonly ended = new Map<number, number>();
  private readonly events: ReadonlyMap<string, number>;
  private readonly places: ReadonlyMap<string, number>;

  constructor(program: ClusterProgram, steps: ReadonlyMap<string, Step>, shape: NodeShape) {
    const { image, text, mainBytes } = program;
    const { target, cores, timing, checked } = shape;
    this.program = program;
    this.barrier = new Barrier(target, cores);
    this.cores = cores;
    const tcdm = { base: TCDM_BASE, bytes: target.cluster.tcdmKiB.value * 1024 };
    this.machine = new Cluster(text, {
      cores,
      tcdm,
      main: { base: MAIN_BASE, bytes: mainBytes },
      timing,
      checked,
    });
    const { matrixEngine } = target.cluster;
    this.engine = matrixEngine ? new MatrixEngine(matrixEngine, this.machine, tcdm) : null;
    this.steps = image.steps.flatMap((id) => steps.get(id) ?? []);
    this.counts = image.events.map(() => 0);
    this.events = new Map(image.events.map((name, i) => [name, i]));
    this.places = new Map(text.program.symbols.map((s) => [s.name, s.address]));
  }

  get image(): ClusterImage {
    return this.program.image;
  }

  get number(): number {
    return this.program.image.cluster;
  }

  /** How far an event has counted; undefined where there is no such event. */
  counted(event: number): number | undefined {
    return event === ENGINE_EVENT ? this.engine?.finished : this.counts[event];
  }

  /** The number of an event here, by what it counts. */
  event(name: string): number | undefined {
    return this.events.get(name);
  }

  /** Writes a word of the program, by its symbol; nothing where there is no such symbol. */
  setWord(symbol: string, to: number): void {
    const address = this.places.get(symbol);
    const room = address === undefined ? null : this.machine.room(address, 4);
    if (room instanceof Uint8Array)
      new DataView(room.buffer, room.byteOffset).setInt32(0, to, true);
  }

  /** The step that runs, by what the program keeps of it. */
  get current(): Step | undefined {
    const address = this.places.get("current");
    const found = address === undefined ? null : this.machine.read(address, 4);
    if (!(found instanceof Uint8Array)) return undefined;
    return this.steps[new DataView(found.buffer, found.byteOffset).getInt32(0, true)];
  }

  /** Block number g of a buffer whose ring is here; null where it is not. */
  slot(buffer: string, g: number): { readonly address: number; readonly bytes: number } | null {
    const ring = this.image.rings.find((r) => r.buffer === buffer);
    if (!ring) return null;
    return { address: ring.address + (g % ring.capacity) * ring.slotBytes, bytes: ring.slotBytes };
  }
}

export const isFault = (x: Uint8Array | Fault): x is Fault => !(x instanceof Uint8Array);
