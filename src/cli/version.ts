/** The package's own version, from the package.json above it, in the checkout and installed alike. */

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { targetsFolder } from "../target/load.ts";

export function version(): string {
  const text = readFileSync(join(dirname(targetsFolder()), "package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
