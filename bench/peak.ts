/** Imported before a program: says on standard error how much memory it had at most. */

process.on("exit", () => {
  process.stderr.write(`\npeak-rss-kib ${process.resourceUsage().maxRSS}\n`);
});
