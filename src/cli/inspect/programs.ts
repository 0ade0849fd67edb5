/** The programs of clusters: where memory holds what, during which steps, and the source. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type ClusterImage, MAIN_BASE, Programs } from "../../artifact/programs.ts";
import { fail, inFile } from "../../diag/diagnostic.ts";
import { table } from "../terminal.ts";

const AGAIN = "compile the model again with this version of aimcc";

/** Errors: A623 where there is no machine code. */
export function readPrograms(directory: string): Programs {
  const file = join(directory, "programs.json");
  if (!existsSync(file)) fail("A623", "the artifact has no machine code", inFile(directory), AGAIN);
  return Programs.parse(JSON.parse(readFileSync(file, "utf8")));
}

/** All clusters in a table. */
export function describePrograms({ clusters, isa, cores, missing }: Programs): string {
  const rows = clusters.map((c) => [
    String(c.cluster),
    c.elf ?? "none",
    String(c.steps.length),
    kib(c.tcdmBytes),
    kib(c.mainBytes),
  ]);
  const gaps = missing.map(({ step, reason }) => `no machine code for ${step}: ${reason}`);
  return [
    `${clusters.length} clusters of ${cores} cores, ${isa}`,
    "",
    table([["cluster", "program", "steps", "TCDM", "main memory"], ...rows]),
    ...gaps,
  ].join("\n");
}

/** One cluster: its memory, a column for each step in order of priority, and its source without the kernels. */
export function describeCluster(directory: string, programs: Programs, cluster: number): string {
  const image = imageOf(directory, programs, cluster);
  const source = image.elf?.replace(/elf$/, "S");
  return [
    `cluster ${cluster}: ${image.elf ?? "no program"}, ${kib(image.tcdmBytes)} of TCDM, ` +
      `${kib(image.mainBytes)} of main memory`,
    `steps: ${image.steps.map((id, place) => `${place} ${id}`).join(", ")}`,
    `events: ${image.events.map((name, e) => `${e} ${name}`).join(", ") || "none"}`,
    "",
    table([["address", "bytes", "what", "while"], ...memoryRows(image)]),
    ...(source ? ["", source, readFileSync(join(directory, source), "utf8").trimEnd()] : []),
  ].join("\n");
}

/** Errors: A440 for a cluster that there is not. */
export function imageOf(directory: string, programs: Programs, cluster: number): ClusterImage {
  const found = programs.clusters.find((c) => c.cluster === cluster);
  if (found) return found;
  const hint = `aimcc inspect ${directory} --programs lists the clusters`;
  return fail("A440", `there is no cluster ${cluster}`, inFile(directory), hint);
}

function memoryRows({ rings, constants, areas, steps }: ClusterImage): readonly string[][] {
  const last = Math.max(0, steps.length - 1);
  const all = [
    ...areas,
    ...rings.map(({ buffer, address, slotBytes, capacity }) => ({
      name: `ring ${buffer}, ${capacity} x ${slotBytes}`,
      address,
      bytes: slotBytes * capacity,
      from: 0,
      to: last,
    })),
    ...constants.map(({ constant, address }) => ({
      name: `constant ${constant}`,
      address,
      bytes: null,
      from: 0,
      to: last,
    })),
  ].toSorted((a, b) => a.address - b.address || a.from - b.from);
  return all.map(({ name, address, bytes, from, to }) => [
    `0x${address.toString(16)}${address >= MAIN_BASE ? " main" : ""}`,
    bytes === null ? "" : String(bytes),
    name,
    steps.map((_, place) => (place >= from && place <= to ? "#" : ".")).join(""),
  ]);
}

const kib = (bytes: number): string => `${Math.ceil(bytes / 1024)} KiB`;
