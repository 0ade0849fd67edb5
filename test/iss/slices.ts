/** What a core of a cluster does, slice by slice of its time. */

import { Cluster } from "../../src/iss/cluster.ts";
import type { Area } from "../../src/iss/cluster-memory.ts";
import type { ClusterText } from "../../src/iss/cluster-text.ts";
import type { CoreTiming } from "../../src/iss/costs.ts";

export const TIMING = {
  load: 2,
  multiply: 3,
  divide: 20,
  float: 3,
  floatDivide: 12,
  takenBranch: 2,
  far: 9,
  vectorBytes: 8,
  vectorQueue: 0,
};

/** What a core of a cluster has done, slice by slice, until it stops for something else. */
export function slices(
  text: ClusterText,
  tcdm: Area,
  timing: CoreTiming,
  cycles: number,
  hot: number,
) {
  const main = { base: 0x80000000, bytes: 4096 };
  const shape = { cores: 1, tcdm, main, timing, checked: false, hot };
  const cluster = new Cluster(text, shape);
  const { cores } = cluster as unknown as { cores: { x: Int32Array; state: DataView }[] };
  const seen: unknown[] = [];
  for (let n = 0; n < 400; n++) {
    const stop = cluster.run(0, cycles);
    const { x, state } = cores[0] ?? {
      x: new Int32Array(),
      state: new DataView(new ArrayBuffer(0)),
    };
    const floats = Buffer.from(state.buffer, state.byteOffset + 256, 128).toString("hex");
    seen.push([stop, cluster.pc(0), cluster.cycle(0), cluster.takeAccesses(0), [...x], floats]);
    if (stop.kind !== "budget") break;
  }
  return [...seen, Buffer.from(cluster.read(tcdm.base, tcdm.bytes) as Uint8Array).toString("hex")];
}
