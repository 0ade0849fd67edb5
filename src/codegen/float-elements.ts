/**
 * Floats of 16 and 32 bits between memory and registers, where they have single precision. Halves round to nearest
 * even; NaN stays NaN.
 */

import type { Elem } from "../tensor/tensor.ts";
import type { PhaseAssembler } from "./kernel.ts";
import { type F, type X, ZERO } from "./register.ts";

export const isHandled = (elem: Elem): boolean =>
  elem === "f32" || elem === "f16" || elem === "bf16";

export type LoadFloat = (offset: number, address: X) => F;
export type StoreFloat = (value: F, offset: number, address: X) => void;

/** Constants are made here, so this has to be outside of loops. */
export function floatLoader(k: PhaseAssembler, elem: Elem): LoadFloat {
  if (elem === "f32") return (offset, address) => k.f("flw", offset, address);
  if (elem === "bf16") {
    return (offset, address) => {
      return k.f("fmv.w.x", k.x("slli", k.x("lhu", offset, address), 16));
    };
  }
  if (k.request.isa.zfh) {
    return (offset, address) => k.f("fcvt.s.h", k.f("flh", offset, address));
  }
  // Exponents of halves are 112 less; that factor also makes numbers of what has no leading 1.
  const [scale, infinite, top] = [k.constant(2 ** 112), k.li(0x7c00 << 13), k.li(0x7f800000)];
  return (offset, address) => {
    const half = k.x("lh", offset, address);
    const magnitude = k.x("srli", k.x("slli", half, 17), 4);
    const scaled = k.f("fmul.s", k.f("fmv.w.x", magnitude), scale);
    const bits = k.x("fmv.x.w", scaled);
    k.when("geu", magnitude, infinite, () => k.to(bits, "or", magnitude, top));
    const sign = k.x("slli", k.x("srli", half, 31), 31);
    return k.f("fmv.w.x", k.x("or", bits, sign));
  };
}

export function floatStorer(k: PhaseAssembler, elem: Elem): StoreFloat {
  if (elem === "f32") return (value, offset, address) => k.emit("fsw", value, offset, address);
  const bits = elem === "bf16" ? brainBits(k) : halfBits(k);
  return (value, offset, address) => {
    k.emit("sh", bits(k.x("fmv.x.w", value)), offset, address);
  };
}

function brainBits(k: PhaseAssembler): (word: X) => X {
  const [top, half] = [k.li(0x7f800000), k.li(0x7fff)];
  return (word) => {
    const magnitude = k.x("srli", k.x("slli", word, 1), 1);
    const high = k.x("srli", word, 16);
    const rounded = k.x("add", k.x("add", word, half), k.x("andi", high, 1));
    const result = k.x("srli", rounded, 16);
    k.when("ltu", top, magnitude, () => k.to(result, "ori", high, 0x40));
    return result;
  };
}

/** By F. Giesen's conversion (gist 2156668, float_to_half_fast3_rtne). */
function halfBits(k: PhaseAssembler): (word: X) => X {
  const [large, small, top] = [k.li(0x47800000), k.li(0x38800000), k.li(0x7f800000)];
  const [bias, magic, infinity] = [k.li(((15 - 127) << 23) + 0xfff), k.constant(0.5), k.li(0x7c00)];
  const magicBits = k.li(0x3f000000);
  return (word) => {
    const magnitude = k.x("srli", k.x("slli", word, 1), 1);
    const result = k.newX();
    k.when(
      "ltu",
      magnitude,
      small,
      () => {
        // The sum's last place is that of a half without a leading 1: the addition rounds.
        const sum = k.f("fadd.s", k.f("fmv.w.x", magnitude), magic);
        k.to(result, "sub", k.x("fmv.x.w", sum), magicBits);
      },
      () => {
        const even = k.x("andi", k.x("srli", magnitude, 13), 1);
        k.to(result, "srli", k.x("add", k.x("add", magnitude, bias), even), 13);
        k.when("geu", magnitude, large, () => {
          k.move(result, infinity);
          k.when("ltu", top, magnitude, () => {
            const kept = k.x("srli", k.x("sub", magnitude, top), 13);
            k.to(result, "or", infinity, kept);
          });
        });
      },
    );
    const sign = k.x("slli", k.x("srli", word, 31), 15);
    return k.x("or", result, sign);
  };
}

/** 1 where a is not 0, otherwise 0: NaN is not. */
export const truthOf = (k: PhaseAssembler, a: F): X =>
  k.x("xori", k.x("feq.s", a, k.f("fmv.w.x", ZERO)), 1);
