/** Translated text does what the interpreter does, up to where it is stopped, and what QEMU does. */

import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/diag/diagnostic.ts";
import { clusterText } from "../../src/iss/cluster-text.ts";
import { UserProgram } from "../../src/iss/user-program.ts";
import { readElf } from "../../src/riscv/elf-read.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { random } from "../riscv/random.ts";
import { randomLoops } from "./random-loops.ts";
import { onOurs, onQemu, TRANSLATED } from "./run.ts";
import { slices, TIMING } from "./slices.ts";

const TCDM = { base: 0x20000, bytes: 8192 };
const SEED = Number(process.env["AIMCC_ISS_SEED"] ?? 20261121);

/** The hart's registers, status, pc and count, its memory, and the message where there is one. */
function stateAfter(elf: Buffer, instructions: number, hot: number) {
  const world = { write: () => {}, read: () => new Uint8Array() };
  const program = new UserProgram(readElf(elf, "loops.elf"), "loops.elf", [], 1, world, hot);
  const { state, ram } = program as unknown as { state: DataView; ram: Uint8Array };
  let end = "";
  try {
    end = `status ${program.run(instructions)}`;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    end = error.message;
  }
  return {
    end,
    x: [...new Uint32Array(state.buffer, state.byteOffset, 32)],
    // Without the value, which means something after traps only.
    rest: Buffer.from(state.buffer, state.byteOffset + 256, 132).toString("hex"),
    more: Buffer.from(state.buffer, state.byteOffset + 392, 1024 - 392).toString("hex"),
    ram: createHash("md5").update(ram).digest("hex"),
    retired: program.retired,
  };
}

describe(`seed ${SEED}`, () => {
  test("with traps, and stopped anywhere, a program leaves the same state", () => {
    const draw = random(SEED);
    const ends = new Set<string>();
    for (let n = 0; n < 60; n++) {
      const elf = randomLoops(draw, true);
      for (const limit of [1e5, 1 + draw(200), 1 + draw(2000)]) {
        const interpreted = stateAfter(elf, limit, TRANSLATED.never);
        const translated = stateAfter(elf, limit, TRANSLATED.atOnce);
        expect(translated, `program ${n}, ${limit} instructions`).toEqual(interpreted);
        ends.add(interpreted.end.replace(/0x.*|\d+ instructions/, ""));
      }
    }
    const all = [...ends].join();
    for (const kind of ["read outside", "wrote outside", "does not know", "not ended", "status"]) {
      expect(all).toContain(kind);
    }
  });

  test.each([0, 1, 5])(
    "cores whose vector unit holds %i instructions take the same cycles, whatever part of their time they get",
    (vectorQueue) => {
      const draw = random(SEED);
      const timing = { ...TIMING, vectorQueue };
      for (let n = 0; n < 40; n++) {
        const elf = randomLoops(draw, n % 2 === 0);
        const cycles = 1 + draw(300);
        const text = clusterText(readElf(elf, "loops.elf"), timing);
        const interpreted = slices(text, TCDM, timing, cycles, TRANSLATED.never);
        expect(slices(text, TCDM, timing, cycles, TRANSLATED.atOnce), `program ${n}`).toEqual(
          interpreted,
        );
        // Another cluster has what the first one has translated.
        const again = slices(text, TCDM, timing, cycles, TRANSLATED.atOnce);
        expect(again, `program ${n} again`).toEqual(interpreted);
      }
    },
  );

  judgedBy(
    findProgram("qemu-riscv32"),
    "QEMU's user mode",
    RISCV_PACKAGES,
  )("loops, branches and calls do what they do on QEMU", () => {
    const draw = random(SEED);
    for (let n = 0; n < 40; n++) {
      const elf = randomLoops(draw, false);
      const theirs = onQemu(elf);
      expect(theirs.status).toBe(0);
      const mine = onOurs(elf, [], 1e6, TRANSLATED.atOnce);
      expect(mine.stdout.toString("hex"), `program ${n}`).toBe(theirs.stdout.toString("hex"));
    }
  });
});
