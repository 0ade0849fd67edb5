/** Runs the commands of README.md in order and puts what they print below those that show an output. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

const EXAMPLE = /```sh\nnpm run -s aimcc -- ([^\n]*)\n```\n\n```\n.*?```/gs;

const readme = readFileSync("README.md", "utf8");
const updated = readme.replace(EXAMPLE, (_, command) => {
  const args = ["--import", "tsx", "src/cli/main.ts", ...command.split(" ")];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`aimcc ${command}: ${stderr}`);
  return `\`\`\`sh\nnpm run -s aimcc -- ${command}\n\`\`\`\n\n\`\`\`\n${stdout.trimEnd()}\n\`\`\``;
});
writeFileSync("README.md", updated);
