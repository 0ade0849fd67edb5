import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Assembler } from "../../src/codegen/assembler.ts";
import { A0, type F, type X } from "../../src/codegen/register.ts";
import { MAY } from "../../src/riscv/elf.ts";
import { writeElf } from "../../src/riscv/elf-write.ts";
import { assemble, instruction, type Line } from "../../src/riscv/listing.ts";
import { onOurs } from "../iss/run.ts";

const BASE = 0x10000;

/** Calls a function and exits with what it leaves in a0. */
function status(body: readonly Line[]): number | null {
  const lines = [
    instruction("jal", 1, "function"),
    instruction("addi", 17, 0, 93),
    instruction("ecall"),
    { kind: "label", name: "function" } as const,
    ...body,
  ];
  const { bytes, symbols } = assemble(lines, BASE);
  const may = MAY.read | MAY.execute;
  const text = { name: ".text", address: BASE, bytes, size: bytes.length, may };
  return onOurs(writeElf({ entry: BASE, segments: [text], symbols })).status;
}

describe("registers are allocated", () => {
  test("alike where functions differ in numbers and names alone", () => {
    const made = (prefix: string, n: number): readonly Line[] => {
      const k = new Assembler(prefix);
      const sum = k.li(n);
      k.range(0, n, 1, (i) => k.addTo(sum, sum, i));
      k.move(A0, sum);
      return k.finish();
    };
    const renamed = JSON.stringify(made("f", 5)).replaceAll('"f.', '"g.').replaceAll("5]", "7]");
    expect(JSON.stringify(made("g", 7))).toBe(renamed);
    expect(status(made("f", 5))).toBe(15);
    expect(status(made("g", 7))).toBe(28);
  });

  test("however many integers are kept at once", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 4000 }), { maxLength: 90 }), (numbers) => {
        const k = new Assembler("f");
        const kept = numbers.map((n) => k.li(n));
        const sum = k.li(0);
        for (const x of kept) k.addTo(sum, sum, x);
        for (const x of kept.toReversed()) k.to(sum, "xor", sum, x);
        k.move(A0, k.x("andi", sum, 127));
        const total = numbers.reduce((a, b) => a + b, 0);
        const mixed = numbers.reduce((a, b) => a ^ b, total) & 127;
        expect(status(k.finish())).toBe(mixed);
      }),
      { numRuns: 40 },
    );
  });

  test("across loops, where a value that is made before is read in each turn", () => {
    const k = new Assembler("f");
    const factors: X[] = Array.from({ length: 40 }, (_, i) => k.li(i + 1));
    const sum = k.li(0);
    k.repeat(3, () => {
      k.range(0, 4, 2, (i) => {
        for (const x of factors) k.addTo(sum, sum, k.x("mul", x, k.add(i, 1)));
      });
    });
    k.move(A0, k.rem(sum, 101));
    expect(status(k.finish())).toBe((3 * 4 * 820) % 101);
  });

  test("floats as well", () => {
    const k = new Assembler("f");
    const kept: F[] = Array.from({ length: 50 }, (_, i) => k.constant(i / 2));
    const sum = k.constant(0);
    k.repeat(2, () => {
      for (const f of kept) k.to(sum, "fadd.s", sum, f);
    });
    k.to(A0, "fcvt.w.s", k.f("fdiv.s", sum, k.constant(25)));
    expect(status(k.finish())).toBe(49);
  });

  test("branches reach over any body", () => {
    const k = new Assembler("f");
    const sum = k.li(0);
    k.repeat(k.li(2), () => {
      for (let i = 0; i < 3000; i++) k.addTo(sum, sum, 1);
    });
    k.move(A0, k.rem(sum, 113));
    expect(status(k.finish())).toBe(6000 % 113);
  });

  test("a vector group has to fit", () => {
    const k = new Assembler("f");
    const groups = Array.from({ length: 4 }, () => k.v(8, "vmv.v.i", 0));
    for (const g of groups) k.emit("vse32.v", g, A0);
    expect(() => k.finish()).toThrow("too many v registers");
  });

  test("an operand of the wrong file is a fault of the generator", () => {
    const k = new Assembler("f");
    expect(() => k.f("fadd.s", k.li(1), k.li(2))).toThrow("fadd.s takes");
  });
});
