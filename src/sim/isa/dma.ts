/** Transfers of a cluster's DMA engine: what a descriptor asks for, and doing it. */

import type { Cluster } from "../../iss/cluster.ts";
import type { Fault } from "../../iss/cluster-memory.ts";
import { isFault } from "./node.ts";

/** Words of a descriptor. */
const WORDS = 11;
/** The cluster itself. */
const HERE = -1;

/** A cluster, as far as transfers know one. */
interface Holder {
  readonly machine: Pick<Cluster, "read" | "room">;
}

interface End<N extends Holder> {
  readonly node: N;
  readonly address: number;
  readonly rowStride: number;
  readonly planeStride: number;
}

export interface Transfer<N extends Holder> {
  readonly from: End<N>;
  readonly to: End<N>;
  readonly rowBytes: number;
  readonly rows: number;
  readonly planes: number;
}

/** A descriptor names a cluster that has no program. */
interface Nowhere {
  readonly cluster: number;
}

/** Reads the descriptor at an address of a cluster. */
export function transferAt<N extends Holder>(
  node: N,
  address: number,
  nodes: ReadonlyMap<number, N>,
): Transfer<N> | Fault | Nowhere {
  const bytes = node.machine.read(address >>> 0, WORDS * 4);
  if (isFault(bytes)) return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const word = (i: number): number => view.getInt32(i * 4, true);
  const at = (i: number): N | undefined => (word(i) === HERE ? node : nodes.get(word(i)));
  const [source, target] = [at(0), at(2)];
  if (!source || !target) return { cluster: word(source ? 2 : 0) };
  const end = (n: N, place: number, row: number, plane: number): End<N> => ({
    node: n,
    address: word(place) >>> 0,
    rowStride: word(row),
    planeStride: word(plane),
  });
  return {
    from: end(source, 1, 6, 9),
    to: end(target, 3, 7, 10),
    rowBytes: word(4) >>> 0,
    rows: word(5) >>> 0,
    planes: word(8) >>> 0,
  };
}

/** Moves the bytes; a fault at an end where they cannot be. */
export function move<N extends Holder>({
  from,
  to,
  rowBytes,
  rows,
  planes,
}: Transfer<N>): { fault: Fault; at: N } | null {
  if (rowBytes === 0) return null;
  for (let p = 0; p < planes; p++) {
    for (let r = 0; r < rows; r++) {
      const source = from.node.machine.read(placeOf(from, p, r), rowBytes);
      if (isFault(source)) return { fault: source, at: from.node };
      const target = to.node.machine.room(placeOf(to, p, r), rowBytes);
      if (isFault(target)) return { fault: target, at: to.node };
      target.set(source);
    }
  }
  return null;
}

const placeOf = <N extends Holder>(end: End<N>, plane: number, row: number): number =>
  (end.address + plane * end.planeStride + row * end.rowStride) >>> 0;
