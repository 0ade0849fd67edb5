/** Runs an original model and looks inside: intermediate tensors become graph outputs. */

import { decodeModel, type GraphProto, onnx, readFileOrFail } from "../onnx/proto.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { openBeside } from "./beside.ts";
import { exactBytes } from "./exact.ts";
import { openModel, type SessionOptions, UNSAYABLE } from "./run.ts";

export interface Tap {
  /** The tensors that can be observed; the others are no results of the file's nodes. */
  readonly names: readonly string[];
  run(feeds: ReadonlyMap<string, Tensor>): Promise<ReadonlyMap<string, Tensor>>;
  close(): Promise<void>;
}

/**
 * Opens a model file, or the bytes of one without external data, with these of its tensors as results. The
 * file itself is not touched, and nothing is written beside it. Unless told otherwise the nodes run one by
 * one, as the file says, and without the rounding that it only permits.
 */
export async function tapModel(
  source: string | Uint8Array,
  names: readonly string[],
  options: SessionOptions = { optimisation: "disabled" },
): Promise<Tap> {
  const path = typeof source === "string" ? source : null;
  const given = typeof source === "string" ? readFileOrFail(source, "A101", "the model") : source;
  const bytes = exactBytes(given, path ?? undefined);
  const model = decodeModel(bytes, path ?? "the model");
  const graph = model.graph as GraphProto;
  const fed = new Set((graph.input ?? []).map((i) => i.name ?? ""));
  const computed = new Set((graph.node ?? []).flatMap((n) => n.output ?? []));
  const present = new Set((graph.output ?? []).map((o) => o.name ?? ""));
  const tapped = [...new Set(names)].filter((n) => n !== UNSAYABLE && n !== "" && computed.has(n));
  const added = tapped.filter((n) => !present.has(n)).map((name) => ({ name }));
  // Messages merge when one follows the other: so nothing is lost that our reader does not know.
  const more = onnx.ModelProto.encode({ graph: { output: added } }).finish();
  const changed = Buffer.concat([bytes, more]);
  const session = await (path === null
    ? openModel(changed, options)
    : openBeside(path, model, changed, { ...options, copyOf: path }));
  const inputs = names.filter((n) => fed.has(n));
  return {
    names: [...inputs, ...tapped],
    async run(feeds) {
      const results = new Map(await session.run(feeds, tapped));
      for (const name of inputs) {
        const value = feeds.get(name);
        if (value) results.set(name, value);
      }
      return results;
    },
    close: () => session.close(),
  };
}
