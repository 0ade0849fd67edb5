/** Where the largest or smallest element along an axis is: exact. */

import { bytesPer, type Elem } from "../../tensor/tensor.ts";
import { atMostDouble, lessDouble } from "../double-convert.ts";
import { allInSingle } from "../in-single.ts";
import {
  type Generate,
  type GeneratorTable,
  KernelGap,
  type KernelRequest,
  type PhaseAssembler,
} from "../kernel.ts";
import { type X, ZERO } from "../register.ts";
import { axisOf, given, number, single, wanted } from "../request.ts";
import { eachIndex } from "../row-walk.ts";
import { byteStrides } from "../walk.ts";
import { assignWide, copyWide, lessWide, loadWide, storeWide, type Wide } from "../wide.ts";
import { loadInteger } from "./integer-reduce.ts";
import { isWhole } from "./integers.ts";

interface Best {
  /** 1 where the element at an address takes the place of the best so far. */
  wins(address: X): X;
  /** Makes the one that has last been asked for the best. */
  take(): void;
}

interface Race {
  readonly elem: Elem;
  readonly largest: boolean;
  /** Of equal elements the last is wanted. */
  readonly last: boolean;
}

function bestFloat(k: PhaseAssembler, first: X, { largest, last }: Race): Best {
  const best = k.f("flw", 0, first);
  let asked = best;
  const name = last ? "fle.s" : "flt.s";
  return {
    wins(address) {
      asked = k.f("flw", 0, address);
      return largest ? k.x(name, best, asked) : k.x(name, asked, best);
    },
    take: () => void k.to(best, "fsgnj.s", asked, asked),
  };
}

function bestDouble(k: PhaseAssembler, first: X, { largest, last }: Race): Best {
  const best = copyWide(k, loadWide(k, 0, first));
  let asked: Wide = best;
  const compare = last ? atMostDouble : lessDouble;
  return {
    wins(address) {
      asked = loadWide(k, 0, address);
      return largest ? compare(k, best, asked) : compare(k, asked, best);
    },
    take: () => assignWide(k, best, asked),
  };
}

function bestWhole(k: PhaseAssembler, first: X, { elem, largest, last }: Race): Best {
  const best = loadInteger(k, elem, first);
  let asked: Wide = best;
  const signed = !elem.startsWith("u");
  return {
    wins(address) {
      asked = loadInteger(k, elem, address);
      const [low, high] = largest ? [best, asked] : [asked, best];
      return last ? k.x("xori", lessWide(k, high, low, signed), 1) : lessWide(k, low, high, signed);
    },
    take: () => assignWide(k, best, asked),
  };
}

/** The place of the best element of a line. */
function bestOf(k: PhaseAssembler, from: X, race: Race, size: number, step: number): X {
  const { elem } = race;
  const begin = { f32: bestFloat, f64: bestDouble, whole: bestWhole };
  const best = begin[elem === "f32" || elem === "f64" ? elem : "whole"](k, from, race);
  const found = k.li(0);
  const at = k.copy(from);
  k.range(1, size, 1, (i) => {
    k.addTo(at, at, step);
    k.when("ne", best.wins(at), ZERO, () => {
      best.take();
      k.move(found, i);
    });
  });
  return found;
}

function raceOf(request: KernelRequest, largest: boolean): Race {
  const { elem } = given(request, 0);
  if (elem !== "f32" && elem !== "f64" && !isWhole(elem))
    throw new KernelGap(`elements of type ${elem}`);
  return { elem, largest, last: number(request, "select_last_index", 0) !== 0 };
}

const extreme =
  (largest: boolean): Generate =>
  (request) => {
    const [x, y] = [given(request, 0), wanted(request)];
    const axis = axisOf(number(request, "axis", 0), x.shape.length);
    const race = raceOf(request, largest);
    const strides = byteStrides(x.shape, bytesPer(x.elem));
    const kept = x.shape.toSpliced(axis, 1);
    const step = strides[axis] ?? 0;
    const phase = (k: PhaseAssembler): void => {
      const walkers = [
        { address: k.operand(0), strides: strides.toSpliced(axis, 1) },
        { address: k.result(0), strides: byteStrides(kept, bytesPer(y.elem)) },
      ];
      eachIndex(k, kept, walkers, ([from, to]) => {
        if (!from || !to) return;
        const found = bestOf(k, from, race, x.shape[axis] ?? 1, step);
        storeWide(k, { low: found, high: ZERO }, 0, to);
      });
    };
    return { phases: [phase] };
  };

/** 1 at the first of the largest elements along an axis, 0 elsewhere. */
const hardmax: Generate = (request) => {
  const x = single(given(request, 0));
  const axis = axisOf(number(request, "axis", -1), x.shape.length);
  const race = raceOf(request, true);
  const strides = byteStrides(x.shape, bytesPer(x.elem));
  const [size, step] = [x.shape[axis] ?? 1, strides[axis] ?? 0];
  const phase = (k: PhaseAssembler): void => {
    if (size === 0) return;
    const one = k.constant(1);
    const walkers = [k.operand(0), k.result(0)].map((address) => ({
      address,
      strides: strides.toSpliced(axis, 1),
    }));
    eachIndex(k, x.shape.toSpliced(axis, 1), walkers, ([from, to]) => {
      if (!from || !to) return;
      const found = bestOf(k, from, race, size, step);
      const at = k.copy(to);
      k.repeat(size, () => {
        k.emit("sw", ZERO, 0, at);
        k.addTo(at, at, step);
      });
      k.emit("fsw", one, 0, k.add(to, k.mul(found, step)));
    });
  };
  return { phases: [phase] };
};

export const EXTREMES: GeneratorTable = allInSingle({
  Hardmax: hardmax,
  ArgMax: extreme(true),
  ArgMin: extreme(false),
});
