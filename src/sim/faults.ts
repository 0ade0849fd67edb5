/** How the simulator complains: coded diagnostics that name the place in the artifact and the ONNX nodes. */

import type { Buffer, Step } from "../artifact/schedule.ts";
import { type Diagnostic, InputError, type Place } from "../diag/diagnostic.ts";

/** Codes, with what to do about each. `docs/errors/CODE.md` says more. */
const HINTS = {
  A401: "compile the model again; the directory is incomplete or was changed by hand",
  A402: "compile the model again with this version of aimcc",
  A403: "every element of a weight must lie in exactly one block; compile the model again",
  A404: "every block needs a tile of its own that is large enough; compile the model again",
  A405: "the schedule contradicts itself; compile the model again",
  A406: "the wait lets a step read before its data is written; compile the model again",
  A407: "the credits let a step overwrite data that is still needed; compile the model again",
  A408: "the waits and credits form a circle; compile the model again, with larger buffers",
  A409: "the schedule let two steps disagree about a buffer; compile the model again",
  A410: "the artifact needs an operation that this simulator does not have, or misuses it",
  A411: "give every input of the model with its element type and shape; `aimcc inspect` lists them",
  A412: "compile the model again without --no-tiles",
  A413: "give inputs that suit the model: token numbers below the vocabulary, for one",
  A415: "keep this module digital with --policy, or scale the weights down; --mode ideal computes them as they are",
  A414: "compile the model for smaller sizes: --dim, or shorter samples with --data",
} as const;

export type SimCode = keyof typeof HINTS;

/** What messages need to know about the artifact they are about. */
export interface Source {
  readonly directory: string;
  /** The ONNX file's path as given to the compiler. */
  readonly model: string;
}

/** The ONNX nodes where there are some, else the file of the artifact. */
export const placeOf = (source: Source, nodes: readonly string[], file: string): Place =>
  nodes.length > 0
    ? { kind: "node", model: source.model, nodes }
    : { kind: "file", file: `${source.directory}/${file}` };

export const fault = (code: SimCode, text: string, at: Place): Diagnostic => ({
  code,
  text,
  at,
  hint: HINTS[code],
});

export function refuse(
  code: SimCode,
  text: string,
  at: Place,
  details: readonly string[] = [],
): never {
  throw new InputError([{ ...fault(code, text, at), details }]);
}

/** Stops with all faults found, if any. At most this many are shown: the rest usually follow from them. */
const SHOWN = 8;

export function refuseAll(faults: readonly Diagnostic[]): void {
  if (faults.length > 0) throw new InputError(faults.slice(0, SHOWN));
}

const nodeList = (nodes: readonly string[]): string => {
  if (nodes.length === 0) return "";
  const shown = nodes.slice(0, 2).join(", ");
  return ` (${shown}${nodes.length > 2 ? ` and ${nodes.length - 2} more` : ""})`;
};

export const showStep = (step: Step): string =>
  `step '${step.id}' [${step.kernel}]${nodeList(step.nodes)}`;

export const showBuffer = (buffer: Buffer): string =>
  `buffer '${buffer.id}'${buffer.tensor === undefined ? "" : ` (${buffer.tensor})`}`;
