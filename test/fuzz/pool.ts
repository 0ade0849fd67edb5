/**
 * Worker processes and the watch over them. A case that hangs, takes all memory or crashes costs only its
 * worker; what broke is made as small as it can be and written down.
 */

import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Result } from "./attempt.ts";
import type { Case } from "./surfaces.ts";
import type { Job } from "./worker.ts";

export interface Find {
  readonly case: Case;
  readonly what: string;
}

/** Computing time that a case may take, in seconds: that of the process, whatever else the machine does. */
const PATIENCE = 10;

/** Waiting for nothing shows on the clock alone, which other programs slow down. */
const STILL = 6 * PATIENCE;

/** Beyond this a worker is ended before it takes the machine down, in bytes. */
const TOO_LARGE = 3 * 2 ** 30;

/** Cases that one worker tries; what leaks a little over all of them is no find. */
const TURNS = 150;

const SCRIPT = fileURLToPath(new URL("worker.ts", import.meta.url));

interface Worker {
  readonly child: ChildProcess;
  turns: number;
}

export interface Pool {
  /** Tries a case; `keep`: a folder to leave its files in. */
  attempt(c: Case, keep?: string): Promise<Result>;
  close(): void;
}

/** One worker; for several, make several pools. */
export async function createPool(): Promise<Pool> {
  const folder = mkdtempSync(join(tmpdir(), "aimcc-fuzz-"));
  let worker = await start(folder);
  return {
    async attempt(c, keep) {
      if (worker.turns >= TURNS || !worker.child.connected) {
        worker.child.kill("SIGKILL");
        worker = await start(folder);
      }
      worker.turns += 1;
      return await watched(worker.child, { case: c, ...(keep && { keep }) });
    },
    close() {
      worker.child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function start(folder: string): Promise<Worker> {
  const child = fork(SCRIPT, [folder], {
    execArgv: ["--import", "tsx"],
    env: { ...process.env, NO_COLOR: "1", TMPDIR: folder },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  return new Promise((resolve, reject) => {
    let said = "";
    child.stderr?.on("data", (text) => {
      said = (said + text).slice(-2000);
    });
    child.once("message", () => resolve({ child, turns: 0 }));
    child.once("exit", (code) => reject(new Error(`a worker ended with ${code}: ${said}`)));
  });
}

/** The answer to a case, or what became of the worker instead. */
function watched(child: ChildProcess, job: Job): Promise<Result> {
  const begun = { wall: Date.now(), cpu: secondsOf(child) };
  return new Promise((resolve) => {
    const end = (result: Result): void => {
      clearInterval(timer);
      child.removeAllListeners("message");
      child.removeAllListeners("exit");
      resolve(result);
    };
    const stop = (find: string): void => {
      child.removeAllListeners("exit");
      child.once("exit", () => end({ outcomes: [], find }));
      child.kill("SIGKILL");
    };
    const timer = setInterval(() => {
      const cpu = secondsOf(child) - begun.cpu;
      const wall = (Date.now() - begun.wall) / 1000;
      if (cpu > PATIENCE || wall > STILL) {
        stop(`a hang: ${cpu.toFixed(0)} s of computing, ${wall.toFixed(0)} s on the clock`);
      } else if (sizeOf(child) > TOO_LARGE) stop("memory: more than 3 GiB");
    }, 250);
    child.once("exit", (code, signal) =>
      end({ outcomes: [], find: `the process died (${signal ?? `status ${code}`})` }),
    );
    child.once("message", (result: Result) => {
      const cpu = secondsOf(child) - begun.cpu;
      const find = cpu > PATIENCE ? `a hang: ${cpu.toFixed(0)} s of computing` : undefined;
      end({ ...(find && { find }), ...result });
    });
    child.send(job);
  });
}

/** What the kernel says of a process; 0 where there is no /proc, and for one that has ended. */
function told(child: ChildProcess, file: string, what: (text: string) => number): number {
  try {
    return what(readFileSync(`/proc/${child.pid}/${file}`, "utf8"));
  } catch {
    return 0;
  }
}

/** Computing time of all threads, in seconds: fields 14 and 15 of proc(5)'s stat, in hundredths. */
const secondsOf = (child: ChildProcess): number =>
  told(child, "stat", (text) => {
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  });

const sizeOf = (child: ChildProcess): number =>
  told(child, "status", (text) => Number(/VmRSS:\s+(\d+)/.exec(text)?.[1] ?? 0) * 1024);

/** The case without every edit that it does not need to break something. */
export async function smallest(c: Case, pool: Pool): Promise<Find | undefined> {
  const first = await pool.attempt(c);
  if (first.find === undefined) return undefined;
  let found: Find = { case: c, what: first.find };
  for (let i = 0; i < found.case.edits.length && found.case.edits.length > 1; ) {
    const less = { ...found.case, edits: found.case.edits.filter((_, k) => k !== i) };
    const { find } = await pool.attempt(less);
    if (find === undefined) i += 1;
    else found = { case: less, what: find };
  }
  return found;
}

/** A folder with the files, the commands that read them, what happened, and the case for `--case`. */
export async function writeDown(
  { case: c, what }: Find,
  folder: string,
  pool: Pool,
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "case.json"), `${JSON.stringify(c, null, 2)}\n`);
  writeFileSync(join(folder, "what.txt"), `${what}\n`);
  await pool.attempt(c, folder);
}
