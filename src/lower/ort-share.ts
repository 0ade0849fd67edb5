/** A part of a stream on ONNX Runtime, on one thread of ours. */

import { openModel, type Session } from "../reference/run.ts";
import { type Tap, tapModel } from "../reference/tap.ts";
import type { PartResult } from "../sim/run-part.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Drawn, Noise } from "./noise.ts";

export type Tensors = ReadonlyMap<string, Tensor>;

/** The inferences of a share. */
export interface Share {
  readonly inputs: readonly Tensors[];
  /** Number of the first within the stream. */
  readonly first: number;
  /** For ONNX Runtime, within an operator. */
  readonly threads: number;
}

/** A model in files or their bytes. */
export interface Sources {
  /** Of the parts of the model, in their order, with the noise that each takes. */
  readonly parts: readonly {
    readonly model: string | Uint8Array;
    readonly noise: readonly Drawn[];
  }[];
  readonly outputs: readonly string[];
}

/** The same whole, to look inside. */
export interface Inside {
  readonly model: string | Uint8Array;
  readonly noise: readonly Drawn[];
  readonly taps: readonly string[];
}

interface Opened {
  readonly parts: readonly { readonly session: Session; readonly noise: readonly Drawn[] }[];
  readonly outputs: readonly string[];
}

/** Runs a share again and again, on chips that differ. */
export class OrtShare {
  private readonly share: Share;
  private readonly noise = new Noise();
  private opened: Opened | undefined;
  private inside: { readonly tap: Tap; readonly noise: readonly Drawn[] } | undefined;

  constructor(share: Share) {
    this.share = share;
  }

  /** ONNX Runtime has read or mapped all data when this returns. */
  async open({ parts, outputs }: Sources): Promise<void> {
    await this.close();
    const { threads } = this.share;
    const sessions: { session: Session; noise: readonly Drawn[] }[] = [];
    for (const { model, noise } of parts) {
      sessions.push({ session: await openModel(model, { threads }), noise });
    }
    this.opened = { parts: sessions, outputs };
  }

  async lookInside({ model, noise, taps }: Inside): Promise<void> {
    const { threads } = this.share;
    const tap = await tapModel(model, taps, { threads, optimisation: "basic" });
    this.inside = { tap, noise };
  }

  /** `chip` is the same for all vectors. `isLeft` is asked between inferences: no more follow then. */
  async run(
    chip: Tensors,
    seed: number,
    progress: () => void,
    isLeft: () => boolean = () => false,
  ): Promise<PartResult> {
    const { inputs, first } = this.share;
    const outputs: Tensors[] = [];
    for (const [k, given] of inputs.entries()) {
      if (isLeft()) break;
      outputs.push(await this.inference(given, chip, seed, first + k));
      progress();
    }
    const taps = outputs.map((): Tensors => new Map());
    const [given] = inputs;
    if (given && taps.length > 0) taps[0] = await this.tapped(given, chip, seed);
    return { outputs, taps };
  }

  async close(): Promise<void> {
    const { opened, inside } = this;
    this.opened = undefined;
    this.inside = undefined;
    for (const { session } of opened?.parts ?? []) await session.close();
    await inside?.tap.close();
  }

  private async inference(given: Tensors, chip: Tensors, seed: number, k: number) {
    const { parts = [], outputs = [] } = this.opened ?? {};
    const values = new Map(given);
    for (const { session, noise } of parts) {
      const drawn = this.noise.of(noise, seed, k, values);
      const feeds = session.inputs.flatMap((name) => {
        const value = drawn.get(name) ?? chip.get(name) ?? values.get(name);
        return value ? [[name, value] as const] : [];
      });
      for (const [name, value] of await session.run(new Map(feeds))) values.set(name, value);
    }
    return new Map(outputs.map((name) => [name, values.get(name) as Tensor]));
  }

  /** What is inside the first inference of the stream. */
  private async tapped(given: Tensors, chip: Tensors, seed: number): Promise<Tensors> {
    if (!this.inside) return new Map();
    const { tap, noise } = this.inside;
    const drawn = this.noise.of(noise, seed, this.share.first, new Map());
    return tap.run(new Map([...given, ...chip, ...drawn]));
  }
}
