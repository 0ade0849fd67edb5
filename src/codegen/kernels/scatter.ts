/**
 * Writing at computed positions, replacing or combining. The same bits: updates of one element keep their order, so
 * cores share only axes along which positions are not computed. An index outside of its axis traps.
 */

import { bytesPer, sizeOf } from "../../tensor/tensor.ts";
import { type Combine, combineOf } from "../combine.ts";
import { copyUnits, copyWalk, LOAD, STORE, unitOf } from "../copy.ts";
import { inSingle } from "../in-single.ts";
import type { Generate, GeneratorTable, KernelRequest, Phase, PhaseAssembler } from "../kernel.ts";
import { positions } from "../positions.ts";
import type { X } from "../register.ts";
import { axisOf, given, number, word } from "../request.ts";
import { unrolled } from "../unrolled.ts";
import { byteStrides, type Run, walk } from "../walk.ts";

/** The result begins as a copy of operand 0. */
const copyWhole =
  (request: KernelRequest): Phase =>
  (k) => {
    const { elem, shape } = given(request, 0);
    const walker = (address: X) => ({ address, strides: [bytesPer(elem)] });
    copyWalk(k, [sizeOf(shape)], bytesPer(elem), walker(k.operand(0)), walker(k.result(0)));
  };

/** Combines one element, or replaces it, from an address and an offset to another. */
function put(k: PhaseAssembler, request: KernelRequest): Combine {
  const { elem } = given(request, 0);
  const reduction = word(request, "reduction", "none");
  if (reduction !== "none") return combineOf(k, elem, reduction);
  const unit = unitOf(4, bytesPer(elem));
  return ([a, from], [b, to]) => {
    for (let i = 0; i < bytesPer(elem); i += unit) {
      k.emit(STORE[unit], k.x(LOAD[unit], a + i, from), b + i, to);
    }
  };
}

const scatterElements: Generate = (request) => {
  const [x, indices] = [given(request, 0), given(request, 1)];
  const axis = axisOf(number(request, "axis", 0), x.shape.length);
  const bytes = bytesPer(x.elem);
  const own = byteStrides(x.shape, bytes);
  const scatter = (k: PhaseAssembler): void => {
    const position = positions(k, indices.elem, x.shape[axis] ?? 1);
    const [apart, store] = [k.li(own[axis] ?? 0), put(k, request)];
    // An axis of size 1 in front: where only `axis` is left, one core has all of it.
    const strides = [
      byteStrides(indices.shape, bytesPer(indices.elem)),
      byteStrides(indices.shape, bytes),
      own.with(axis, 0),
    ].map((s) => [0, ...s]);
    const addresses = [k.operand(1), k.operand(2), k.result(0)];
    const walkers = addresses.map((address, i) => ({ address, strides: strides[i] ?? [] }));
    const dims = [1, ...indices.shape];
    const scattered = (run: Run): void => {
      const [index, from, to] = run.at as [X, X, X];
      unrolled(
        k,
        run,
        ([a = 0, b = 0, c = 0]) => {
          const target = k.add(to, k.x("mul", position(index, a), apart));
          store([b, from], [c, target]);
        },
        8,
      );
    };
    walk(k, { dims, strides }, walkers, scattered, (i) => i !== axis + 1);
  };
  return { phases: [copyWhole(request), scatter] };
};

const scatterND: Generate = (request) => {
  const [x, indices] = [given(request, 0), given(request, 1)];
  const length = indices.shape.at(-1) ?? 0;
  const bytes = bytesPer(x.elem);
  const own = byteStrides(x.shape, bytes);
  const row = sizeOf(x.shape.slice(length)) * bytes;
  const replaces = word(request, "reduction", "none") === "none";
  const unit = replaces ? unitOf(4, row) : bytes;
  const scatter = (k: PhaseAssembler): void => {
    const parts = Array.from({ length }, (_, d) => ({
      position: positions(k, indices.elem, x.shape[d] ?? 1),
      apart: k.li(own[d] ?? 0),
      offset: d * bytesPer(indices.elem),
    }));
    const store = put(k, request);
    const strides = [
      [length * bytesPer(indices.elem), 0],
      [row, unit],
      [0, unit],
    ];
    const addresses = [k.operand(1), k.operand(2), k.result(0)];
    const walkers = addresses.map((address, i) => ({ address, strides: strides[i] ?? [] }));
    const dims = [sizeOf(indices.shape.slice(0, -1)), row / unit];
    walk(
      k,
      { dims, strides },
      walkers,
      ({ at: [index, from, to], count }) => {
        const target = k.copy(to as X);
        for (const { position, apart, offset } of parts) {
          k.addTo(target, target, k.x("mul", position(index as X, offset), apart));
        }
        if (replaces) copyUnits(k, from as X, target, count, unitOf(4, row));
        else {
          const run = { at: [from as X, target], steps: [unit, unit], count };
          unrolled(k, run, ([a = 0, b = 0]) => store([a, from as X], [b, target]), 4);
        }
      },
      (axis) => axis === 1,
    );
  };
  return { phases: [copyWhole(request), scatter] };
};

/** Sums of halves are kept in single precision between updates, as in src/tensor. */
const combining =
  (scatter: Generate): Generate =>
  (request) =>
    (word(request, "reduction", "none") === "none" ? scatter : inSingle(scatter, [0, 2]))(request);

export const SCATTER: GeneratorTable = {
  ScatterElements: combining(scatterElements),
  ScatterND: combining(scatterND),
};
