/**
 * Compiles the sources to dist/, the form in which the package is published, and checks that the result
 * is what package.json promises: a command with a shebang that may be executed.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const at = (...parts) => join(root, ...parts);
const require = createRequire(import.meta.url);

rmSync(at("dist"), { recursive: true, force: true });
const compiler = join(dirname(require.resolve("typescript/package.json")), "bin", "tsc");
try {
  execFileSync(process.execPath, [compiler, "-p", at("tsconfig.build.json")], { stdio: "inherit" });
} catch {
  process.exit(1); // The compiler has said why.
}
const { bin } = JSON.parse(readFileSync(at("package.json"), "utf8"));
for (const file of Object.values(bin)) {
  if (!readFileSync(at(file), "utf8").startsWith("#!/usr/bin/env node\n")) {
    console.error(`${file} has no shebang`);
    process.exit(1);
  }
  chmodSync(at(file), 0o755);
}

// In a checkout, `npx aimcc` finds the command like in any project that depends on it.
const commands = at("node_modules", ".bin");
if (existsSync(commands)) {
  for (const [name, file] of Object.entries(bin)) {
    rmSync(join(commands, name), { force: true });
    symlinkSync(relative(commands, at(file)), join(commands, name));
  }
}
