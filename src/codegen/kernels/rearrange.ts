/** Movement to places that the run decides: sequences backwards, entries of caches. The same bits. */

import { bytesPer, sizeOf } from "../../tensor/tensor.ts";
import { copyUnits, copyWalk, unitOf } from "../copy.ts";
import type { Generate, GeneratorTable, PhaseAssembler } from "../kernel.ts";
import { positions } from "../positions.ts";
import { type X, ZERO } from "../register.ts";
import { axisOf, given, number, word } from "../request.ts";
import { byteStrides } from "../walk.ts";

/** Copies a slab of so many bytes from one address to another. */
function copySlab(k: PhaseAssembler, from: X, to: X, bytes: number): void {
  const unit = unitOf(4, bytes);
  copyUnits(k, k.copy(from), k.copy(to), bytes / unit, unit);
}

/** The first elements of each sequence backwards, as many as its length says; axes 0 and 1 are time and batch. */
const reverseSequence: Generate = (request) => {
  const [x, lengths] = [given(request, 0), given(request, 1)];
  const time = number(request, "time_axis", 0);
  const [outer = 1, inner = 1, ...rest] = x.shape;
  const slab = sizeOf(rest) * bytesPer(x.elem);
  const step = time === 0 ? inner * slab : slab;
  const size = x.shape[time] ?? 1;
  const phase = (k: PhaseAssembler): void => {
    if (sizeOf(x.shape) === 0) return;
    const { from, end } = k.share(outer * inner);
    // A length may be as large as the axis; one that is not on the axis traps.
    const lengthAt = positions(k, lengths.elem, size + 1);
    k.range(from, end, 1, (row) => {
      const places = [k.div(row, inner), k.rem(row, inner)] as const;
      const [t, batch] = time === 0 ? places : [places[1], places[0]];
      const entry = k.add(k.operand(1), k.mul(batch, bytesPer(lengths.elem)));
      const length = lengthAt(entry, 0);
      const at = k.mul(row, slab);
      const source = k.add(k.operand(0), at);
      k.when("lt", t, length, () => {
        // From t to length - 1 - t.
        const forward = k.add(k.sub(length, k.mul(t, 2)), -1);
        k.addTo(source, source, k.mul(forward, step));
      });
      copySlab(k, source, k.add(k.result(0), at), slab);
    });
  };
  return { phases: [phase] };
};

/** The cache with new entries written along an axis, from each sample's own position on; outside of it is a trap. */
const tensorScatter: Generate = (request) => {
  const { operands } = request;
  const [past, update] = [given(request, 0), given(request, 1)];
  const start = operands[2] ?? null;
  const axis = axisOf(number(request, "axis", -2), past.shape.length);
  const isCircular = word(request, "mode", "linear") === "circular";
  const [size, added] = [past.shape[axis] ?? 1, update.shape[axis] ?? 1];
  const slab = sizeOf(past.shape.slice(axis + 1)) * bytesPer(past.elem);
  const perSample = sizeOf(past.shape.slice(1, axis));
  const whole = (k: PhaseAssembler): void => {
    const bytes = bytesPer(past.elem);
    const [from, to] = [k.operand(0), k.result(0)].map((address) => ({
      address,
      strides: byteStrides(past.shape, bytes),
    }));
    if (from && to) copyWalk(k, past.shape, bytes, from, to);
  };
  const entries = (k: PhaseAssembler): void => {
    if (sizeOf(update.shape) === 0) return;
    const { from, end } = k.share((past.shape[0] ?? 1) * perSample);
    const most = k.li(size);
    const first = start && positions(k, start.elem, 2 ** 31 - 1);
    k.range(from, end, 1, (row) => {
      const place = first
        ? first(k.add(k.operand(2), k.mul(k.div(row, perSample), bytesPer(start.elem))), 0)
        : k.copy(ZERO);
      const source = k.add(k.operand(1), k.mul(row, added * slab));
      const target = k.add(k.result(0), k.mul(row, size * slab));
      k.repeat(added, () => {
        if (isCircular) k.to(place, "remu", place, most);
        else k.when("geu", place, most, () => k.emit("ebreak"));
        copySlab(k, source, k.add(target, k.mul(place, slab)), slab);
        k.addTo(source, source, slab);
        k.addTo(place, place, 1);
      });
    });
  };
  return { phases: [whole, entries] };
};

export const REARRANGE: GeneratorTable = {
  ReverseSequence: reverseSequence,
  TensorScatter: tensorScatter,
};
