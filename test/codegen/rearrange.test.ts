import { describe } from "vitest";
import { fromNumbers } from "../../src/tensor/convert.ts";
import { findProgram, judgedBy, RISCV_PACKAGES } from "../judges.ts";
import { indices, ints, patterned } from "./patterned.ts";
import { agrees } from "./run-kernel.ts";

const onQemu = judgedBy(findProgram("qemu-riscv32"), "qemu-riscv32", RISCV_PACKAGES);

describe("movement to places that the run decides, in machine code", () => {
  onQemu("turns sequences of all lengths", () => {
    for (const [time_axis, batch_axis] of [
      [0, 1],
      [1, 0],
    ] as const) {
      const attrs = { time_axis, batch_axis };
      const shape = time_axis === 0 ? [6, 4, 3] : [4, 6, 3];
      const lengths = ints(0, 1, 5, 6);
      agrees({ kernel: "ReverseSequence", attrs, operands: [patterned("f32", shape), lengths] });
      const flat = patterned("ui8", shape.slice(0, 2));
      agrees({ kernel: "ReverseSequence", attrs, operands: [flat, lengths] }, 0, true);
    }
    const nothing = [patterned("i64", [3, 0, 2]), ints()];
    agrees({ kernel: "ReverseSequence", operands: nothing });
  });

  onQemu("writes entries into caches", () => {
    const past = patterned("f16", [2, 3, 7, 5]);
    const update = fromNumbers(
      "f16",
      [2, 3, 4, 5],
      Array.from({ length: 120 }, (_, i) => -i),
    );
    const call = { kernel: "TensorScatter" };
    agrees({ ...call, operands: [past, update] });
    agrees({ ...call, operands: [past, update, ints(3, 0)] }, 0, true);
    const circular = { mode: "circular" };
    const starts = indices("i64", [2], [5, 2]);
    agrees({ ...call, attrs: circular, operands: [past, update, starts] }, 0, true);
    const long = patterned("i64", [2, 9, 3]);
    const small = patterned("i64", [2, 2, 3]);
    agrees({ ...call, attrs: { ...circular, axis: 1 }, operands: [small, long, starts] });
  });
});
