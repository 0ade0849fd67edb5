/** Reading at computed positions. The same bits; an index outside of its axis traps. */

import { bytesPer, sizeOf } from "../../tensor/tensor.ts";
import { copyUnits, LOAD, STORE, unitOf } from "../copy.ts";
import type { Generate, GeneratorTable, PhaseAssembler } from "../kernel.ts";
import { positions } from "../positions.ts";
import type { X } from "../register.ts";
import { axisOf, given, number, wanted } from "../request.ts";
import { unrolled } from "../unrolled.ts";
import { byteStrides, eachRow, eachRun } from "../walk.ts";

/** Whole rows behind `axis`, one for each index. */
function take(k: PhaseAssembler, axis: number): void {
  const [x, indices] = [given(k.request, 0), given(k.request, 1)];
  const count = sizeOf(indices.shape);
  const outer = sizeOf(x.shape.slice(0, axis));
  const row = sizeOf(x.shape.slice(axis + 1)) * bytesPer(x.elem);
  const size = x.shape[axis] ?? 1;
  const unit = unitOf(4, row);
  const [position, apart] = [positions(k, indices.elem, size), k.li(row)];
  const walkers = [
    { address: k.operand(0), strides: [size * row, 0, unit] },
    { address: k.operand(1), strides: [0, bytesPer(indices.elem), 0] },
    { address: k.result(0), strides: [count * row, row, unit] },
  ];
  eachRow(k, [outer, count, row / unit], walkers, ({ at: [from, index, to], count: units }) => {
    const place = k.x("mul", position(index as X, 0), apart);
    copyUnits(k, k.add(from as X, place), to as X, units, unit);
  });
}

const gather: Generate = (request) => {
  const axis = axisOf(number(request, "axis", 0), given(request, 0).shape.length);
  return { phases: [(k) => take(k, axis)] };
};

const embedding: Generate = () => ({ phases: [(k) => take(k, 0)] });

const gatherElements: Generate = (request) => {
  const [x, indices] = [given(request, 0), given(request, 1)];
  const axis = axisOf(number(request, "axis", 0), x.shape.length);
  const bytes = bytesPer(x.elem);
  const own = byteStrides(x.shape, bytes);
  const unit = unitOf(4, bytes);
  const pick = (k: PhaseAssembler): void => {
    const position = positions(k, indices.elem, x.shape[axis] ?? 1);
    const apart = k.li(own[axis] ?? 0);
    const walkers = [
      { address: k.operand(0), strides: own.with(axis, 0) },
      { address: k.operand(1), strides: byteStrides(indices.shape, bytesPer(indices.elem)) },
      { address: k.result(0), strides: byteStrides(indices.shape, bytes) },
    ];
    eachRun(k, indices.shape, walkers, (run) => {
      const [from, index, to] = run.at as [X, X, X];
      unrolled(
        k,
        run,
        ([a = 0, b = 0, c = 0]) => {
          const source = k.add(from, k.x("mul", position(index, b), apart));
          for (let i = 0; i < bytes; i += unit) {
            k.emit(STORE[unit], k.x(LOAD[unit], a + i, source), c + i, to);
          }
        },
        4,
      );
    });
  };
  return { phases: [pick] };
};

/** Rows at tuples of positions: the last axis of the indices. The first `batch_dims` axes are shared. */
const gatherND: Generate = (request) => {
  const [x, indices] = [given(request, 0), given(request, 1)];
  const batch = number(request, "batch_dims", 0);
  const length = indices.shape.at(-1) ?? 0;
  const bytes = bytesPer(x.elem);
  const own = byteStrides(x.shape, bytes);
  const row = sizeOf(x.shape.slice(batch + length)) * bytes;
  const batches = sizeOf(x.shape.slice(0, batch));
  const count = sizeOf(indices.shape.slice(0, -1)) / Math.max(1, batches);
  const unit = unitOf(4, row);
  const tuple = length * bytesPer(indices.elem);
  const pick = (k: PhaseAssembler): void => {
    if (sizeOf(wanted(request).shape) === 0) return;
    const parts = Array.from({ length }, (_, d) => ({
      position: positions(k, indices.elem, x.shape[batch + d] ?? 1),
      apart: k.li(own[batch + d] ?? 0),
      offset: d * bytesPer(indices.elem),
    }));
    const walkers = [
      { address: k.operand(0), strides: [sizeOf(x.shape.slice(batch)) * bytes, 0, unit] },
      { address: k.operand(1), strides: [count * tuple, tuple, 0] },
      { address: k.result(0), strides: [count * row, row, unit] },
    ];
    const dims = [batches, count, row / unit];
    eachRow(k, dims, walkers, ({ at: [from, index, to], count: units }) => {
      const source = k.copy(from as X);
      for (const { position, apart, offset } of parts) {
        k.addTo(source, source, k.x("mul", position(index as X, offset), apart));
      }
      copyUnits(k, source, to as X, units, unit);
    });
  };
  return { phases: [pick] };
};

export const GATHER: GeneratorTable = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  "nn.embedding": embedding,
};
