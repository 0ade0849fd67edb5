/** The report's drawings, as SVG: tiles from above, and the pipeline over time. */

import type { Slice } from "../sim/machine.ts";
import { colorOf, escaped } from "./html.ts";
import { percent, time } from "./units.ts";
import type { Placement } from "./usage.ts";

const CELL = 44;
const GAP = 6;

/** One square a tile; the filled part has the proportions of the block that it holds. */
export function tilesFigure(
  placed: readonly Placement[],
  count: number,
  size: { readonly rows: number; readonly cols: number },
): string {
  const across = Math.max(1, Math.min(20, Math.ceil(Math.sqrt(count * 1.6))));
  const place = (tile: number) => ({
    x: (tile % across) * (CELL + GAP),
    y: Math.floor(tile / across) * (CELL + GAP),
  });
  const empty = Array.from({ length: count }, (_, tile) => {
    const { x, y } = place(tile);
    return `<rect x="${x}" y="${y}" width="${CELL}" height="${CELL}" class="tile"/>`;
  });
  const held = placed.map(({ weight, block, used }) => {
    const { x, y } = place(block.tile);
    const w = ((block.cols[1] - block.cols[0]) / size.cols) * CELL;
    const h = ((block.rows[1] - block.rows[0]) / size.rows) * CELL;
    const name = weight.module || weight.name;
    const title =
      `tile ${block.tile}: ${name}, rows ${block.rows.join("..")}, ` +
      `columns ${block.cols.join("..")}, ${percent(used)} used`;
    return (
      `<rect x="${x}" y="${y}" width="${w.toFixed(1)}" height="${h.toFixed(1)}" ` +
      `fill="${colorOf(name)}"><title>${escaped(title)}</title></rect>`
    );
  });
  const width = across * (CELL + GAP);
  const height = Math.ceil(count / across) * (CELL + GAP);
  return `<svg viewBox="0 0 ${width} ${height}" style="max-width:${width}px">${[...empty, ...held].join("\n")}</svg>`;
}

const LANE = 16;
const LABEL = 220;
const WIDTH = 1100;
/** Lanes that are drawn; the busiest ones, in the order of the program. */
const LANES = 60;

/** One lane a step, time to the right: launches show the tiles' time in a lighter colour. */
export function pipelineFigure(slices: readonly Slice[]): string {
  const ours = slices.filter((s) => s.process.step);
  const end = ours.reduce((t, s) => Math.max(t, s.endNs), 1);
  const busy = new Map<string, number>();
  for (const s of ours) {
    busy.set(s.process.name, (busy.get(s.process.name) ?? 0) + s.endNs - s.startNs);
  }
  const chosen = new Set(
    [...busy]
      .sort(([, a], [, b]) => b - a)
      .slice(0, LANES)
      .map(([name]) => name),
  );
  const lanes = [...new Map(ours.map((s) => [s.process.name, s.process]))]
    .filter(([name]) => chosen.has(name))
    .sort(([, a], [, b]) => a.index - b.index)
    .map(([name]) => name);
  const lane = new Map(lanes.map((name, i) => [name, i]));
  const x = (ns: number) => LABEL + (ns / end) * (WIDTH - LABEL);
  const height = (lanes.length + 1) * LANE + 10;
  const shapes = worksOf(ours, lane, end).map((work) => shape(work, x));
  const labels = lanes.map((name, i) => label(ours, name, i * LANE));
  const axis = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const at = x(part * end);
    const y = lanes.length * LANE;
    return (
      `<line x1="${at}" x2="${at}" y1="0" y2="${y}" class="grid"/>` +
      `<text x="${at}" y="${y + 14}" text-anchor="middle">${time(part * end)}</text>`
    );
  });
  return `<svg viewBox="0 0 ${WIDTH + 40} ${height}">${[...axis, ...labels, ...shapes].join("\n")}</svg>`;
}

/** What a lane does for one inference, on its cluster or on its tiles: one shape of many bars. */
interface Work {
  readonly lane: number;
  readonly name: string;
  readonly kernel: string;
  readonly inference: number;
  readonly onTiles: boolean;
  /** Intervals of time in order. */
  readonly bars: { from: number; to: number }[];
}

/** Share of the drawn time below which a gap cannot be seen: half a unit of the figure. */
const UNSEEN = 0.5 / (WIDTH - LABEL);

function worksOf(
  slices: readonly Slice[],
  lanes: ReadonlyMap<string, number>,
  end: number,
): readonly Work[] {
  const works = new Map<string, Work>();
  const add = (s: Slice, onTiles: boolean, from: number, to: number): void => {
    const lane = lanes.get(s.process.name);
    if (lane === undefined || to <= from) return;
    const inference = Math.floor(s.iteration / s.process.perInference);
    const { step } = s.process;
    const names = { name: step?.module || s.process.name, kernel: step?.kernel ?? "" };
    const key = `${lane}/${onTiles}/${inference}`;
    const work = works.get(key) ?? { lane, ...names, inference, onTiles, bars: [] };
    works.set(key, work);
    const last = work.bars.at(-1);
    if (last && from - last.to < UNSEEN * end) last.to = Math.max(last.to, to);
    else work.bars.push({ from, to });
  };
  for (const s of slices) {
    add(s, false, s.startNs, s.freeNs);
    add(s, true, s.freeNs, s.endNs);
  }
  return [...works.values()];
}

function shape({ lane, name, kernel, inference, onTiles, bars }: Work, x: Scale): string {
  const height = LANE - 4;
  const path = bars.map(({ from, to }) => {
    const width = Math.max(0.5, x(to) - x(from)).toFixed(1);
    return `M${x(from).toFixed(1)} ${lane * LANE + 2}h${width}v${height}h-${width}z`;
  });
  const span = `${time(bars[0]?.from ?? 0)} to ${time(bars.at(-1)?.to ?? 0)}`;
  const what = `${name} ${kernel}${onTiles ? " on tiles" : ""}, inference ${inference}, ${span}`;
  return (
    `<path d="${path.join("")}" fill="${colorOf(name)}" opacity="${onTiles ? 0.45 : 1}">` +
    `<title>${escaped(what)}</title></path>`
  );
}

type Scale = (ns: number) => number;

function label(slices: readonly Slice[], name: string, y: number): string {
  const step = slices.find((s) => s.process.name === name)?.process.step;
  const text = step ? `${step.module || step.id} ${step.kernel}` : name;
  const short = text.length > 36 ? `…${text.slice(-35)}` : text;
  return `<text x="${LABEL - 6}" y="${y + 12}" text-anchor="end">${escaped(short)}</text>`;
}
