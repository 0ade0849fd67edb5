/** Starts threads, from the package or from its sources. */

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";

/** `body` is the thread's file without its ending; `data` is copied, but for shared memory. */
export function startThread(body: URL, data: unknown): Worker {
  const compiled = import.meta.url.endsWith(".js");
  if (compiled) return new Worker(new URL(`${body.href}.js`), { workerData: data });
  // From sources, the thread must first learn to read TypeScript, as this one did.
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx"));
  const loader = new URL("./esm/api/index.mjs", tsx).href;
  const code = `import { register } from "${loader}"; register(); await import("${body.href}.ts");`;
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
    workerData: data,
    // What this process was told to load first may be TypeScript, which the thread does not read yet.
    execArgv: [],
  });
}
