import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readElf } from "../../../src/riscv/elf-read.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../../judges.ts";
import { inFolder } from "../../riscv/gnu.ts";
import { type Parts, smallInput, smallParts } from "../../sim/small-artifact.ts";
import { run, withPrograms } from "./on-clusters.ts";

const AS = "riscv64-unknown-elf-as";

/** The small network on a machine whose TCDM has so many KiB. */
function within(tcdmKiB: number): Parts {
  const parts = smallParts();
  parts.manifest.target.cluster.tcdmKiB.value = tcdmKiB;
  return parts;
}

describe("the programs of a small network", () => {
  test("give what its kernels give, in the TCDM and where nothing fits", async () => {
    for (const kib of [128, 9]) {
      const made = withPrograms(within(kib));
      const { steps } = await run(made, [new Map([["x", smallInput(1)]])]);
      expect(Math.max(...steps.map((s) => s.check?.worst ?? 1))).toBeLessThan(1e-6);
      const spilled = made.made.programs.clusters.filter((c) =>
        c.rings.some((r) => r.address >= 2 ** 31),
      );
      expect(spilled.length).toBeGreaterThanOrEqual(kib === 9 ? 2 : 1);
    }
  });

  test("are refused by a TCDM without room for stacks", () => {
    expect(() => withPrograms(within(8))).toThrow(/A610.*8192 bytes for 8 cores/s);
  });

  test("share memory only between areas of different steps", () => {
    for (const { areas } of withPrograms(smallParts()).made.programs.clusters) {
      for (const a of areas) {
        const meet = areas.filter(
          (b) =>
            b !== a &&
            b.from <= a.to &&
            a.from <= b.to &&
            b.address < a.address + a.bytes &&
            a.address < b.address + b.bytes,
        );
        expect(meet).toEqual([]);
      }
    }
  });

  const gnu = judgedBy(findProgram(AS), AS, RISCV_PACKAGES);
  gnu("have the text that GNU as makes of their sources", () => {
    const { artifact, made } = withPrograms(smallParts());
    const folder = join(artifact.directory, "programs");
    for (const path of made.images.keys()) {
      const elf = readElf(readFileSync(join(artifact.directory, path)), path);
      const text = elf.segments.find((s) => s.may & 1);
      inFolder((place) => {
        const [o, bin] = [join(place, "a.o"), join(place, "a.bin")];
        const source = path.replace(/^.*\//, "").replace(/elf$/, "S");
        const options = ["-march=rv32imaf", "-mabi=ilp32", "-mno-relax", "-o", o, source];
        execFileSync(AS, options, { cwd: folder });
        execFileSync("riscv64-unknown-elf-objcopy", ["-O", "binary", "-j", ".text", o, bin]);
        expect(readFileSync(bin).equals(Buffer.from(text?.bytes ?? []))).toBe(true);
      });
    }
  });
});
