/** Constants that the kernels of a cluster keep at hand. */

import { MVM } from "../../src/ir/dialects/program.ts";
import { isReplaced } from "../../src/ir/dialects/program-schedule.ts";
import { type Attr, isTensorAttr, isWeightRef } from "../../src/ir/op.ts";
import { bytesPer, type TensorType } from "../../src/tensor/tensor.ts";
import { blockBytesOf, type Network, type Node } from "./network.ts";

/** Tables of which each iteration fetches a few rows: they stay in the off-cluster memory. */
const TABLES: ReadonlySet<string> = new Set(["nn.embedding", "onnx.Gather"]);

/** Bytes by cluster, each constant once: of those that are read by slices, one slice. */
export function constantBytes({ nodes }: Network): ReadonlyMap<number, number> {
  const bytes = new Map<number, number>();
  const seen = new Set<string>();
  for (const node of nodes) {
    for (const { name, size } of [...operandsOf(node), ...weightsOf(node)]) {
      const key = `${node.cluster} ${name}`;
      if (seen.has(key)) continue;
      seen.add(key);
      bytes.set(node.cluster, (bytes.get(node.cluster) ?? 0) + size);
    }
  }
  return bytes;
}

interface Constant {
  readonly name: string;
  readonly size: number;
}

function operandsOf({ op, domain, reads }: Node): readonly Constant[] {
  return op.operands.flatMap((v, i): Constant[] => {
    const region = reads[i];
    if (!v || region?.constant === undefined || (i === 0 && TABLES.has(op.kind))) return [];
    const size = blockBytesOf(v, { domain, select: region.select });
    return [{ name: region.constant, size }];
  });
}

/** The weights of tiles lie in the tiles. */
function weightsOf({ id, op }: Node): readonly Constant[] {
  if (op.kind === MVM) return [];
  return Object.entries(op.attrs).flatMap(([name, a]) => {
    const type = weightType(a);
    if (!type || isReplaced(op, name)) return [];
    const size = type.shape.reduce<number>((s, d) => s * (d ?? 0), bytesPer(type.elem));
    return [{ name: isWeightRef(a) ? a.weight : `${id}.${name}`, size }];
  });
}

function weightType(a: Attr): TensorType | null {
  if (isWeightRef(a)) return a.type;
  return isTensorAttr(a) ? a : null;
}
