/** A row of single precision as halves. On scalar cores normal halves, which most numbers become, take half as long. */

import { narrow } from "../half.ts";
import type { PhaseAssembler } from "../kernel.ts";
import { type X, ZERO } from "../register.ts";
import { alongRow } from "../row.ts";
import { ScalarLanes } from "../scalar-lanes.ts";

const [WORD, HALF, UNROLL] = [4, 2, 4];
/** Bits of 2^-14, the smallest normal half, and of 65520, from which on there is only infinity. */
const [LEAST, INFINITE] = [0x38800000, 0x477ff000];
/** Exponents differ by so much, and fractions by so many bits. */
const [BIAS, LOST] = [112, 13];

/** Both addresses move on. */
export function narrowRow(k: PhaseAssembler, count: X, from: X, to: X): void {
  const { isa } = k.request;
  if (isa.vector) {
    const half = { at: to, bytes: HALF };
    alongRow(k, isa, { count, pointers: [from, half] }, () => (part) => {
      part.storeAs("f16", part.load(from), half.at);
    });
    return;
  }
  const constants = {
    least: k.li(LEAST),
    span: k.li(INFINITE - LEAST),
    shift: k.li((2 ** (LOST - 1) - 1 - BIAS * 2 ** 23) | 0),
    sign: k.li(0x8000),
  };
  const some = (n: number): void => {
    const words = Array.from({ length: n }, (_, i) => k.x("lw", i * WORD, from));
    for (const [i, word] of words.entries()) {
      k.emit("sh", halfOf(k, word, constants), i * HALF, to);
    }
    k.addTo(from, from, n * WORD);
    k.addTo(to, to, n * HALF);
  };
  k.repeat(k.div(count, UNROLL), () => some(UNROLL));
  k.repeat(k.rem(count, UNROLL), () => some(1));
}

function halfOf(
  k: PhaseAssembler,
  word: X,
  { least, span, shift, sign }: Readonly<Record<"least" | "span" | "shift" | "sign", X>>,
): X {
  const half = k.x("and", k.x("srli", word, 16), sign);
  const size = k.x("srli", k.x("slli", word, 1), 1);
  const [common, done] = [k.newLabel(), k.newLabel()];
  k.branch("ltu", k.sub(size, least), span, common);
  k.branch("eq", size, ZERO, done);
  const lanes = new ScalarLanes(k);
  const [rare] = narrow(lanes, "f16")([k.f("fmv.w.x", word)]);
  if (!rare) throw new Error("a lane without a number");
  k.move(half, rare);
  k.jump(done);
  k.label(common);
  const odd = k.x("andi", k.x("srli", size, LOST), 1);
  const rounded = k.x("srli", k.add(k.add(size, odd), shift), LOST);
  k.to(half, "or", half, rounded);
  k.label(done);
  return half;
}
