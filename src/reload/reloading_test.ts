import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { document, type Plain, sources } from "../config/testing.ts";
import { settled } from "../export/testing.ts";
import { Log } from "../log.ts";
import { type Config, loadConfig } from "../settings.ts";
import { newReloadCounts } from "./reloader.ts";
import { startReloading } from "./reloading.ts";

type File = { [name: string]: Plain };

function setUp(path: string | undefined, flags: { [name: string]: boolean } = {}) {
  const state = { file: {} as File, lines: [] as string[], applied: [] as Config[] };
  const load = () => loadConfig(sources({ path, flags, parse: () => document(state.file) }));
  const log = new Log({ level: "info", format: "json", write: (line) => state.lines.push(line), now: () => 0 });
  const apply = (config: Config) => {
    state.applied.push(config);
    return Promise.resolve(new Map());
  };
  const reloading = startReloading({ loaded: load(), load, agent: { apply }, log, counts: newReloadCounts() });
  return { state, log, reloading };
}

Deno.test("startReloading() reloads at a hang-up; flags go on winning, and the log follows at once", async () => {
  const { state, log, reloading } = setUp("f", { "auto-reload": false });
  state.file = { log_level: "error", log_format: "text", auto_reload: true, span: { udp_timeout: "1s" } };
  strictEqual(reloading.hangUp(), true);
  await settled();
  deepStrictEqual(state.applied.map(({ autoReload, span }) => [autoReload, span.udpTimeoutMs]), [[false, 1000]]);
  log.logger().info("x", "left out");
  log.logger().error("y", "written");
  match(state.lines.at(-1)!, /ERROR agent: written/);
  strictEqual(state.lines.some((line) => line.includes("left out")), false);
  reloading.stop();
});

Deno.test("startReloading() without a file leaves a hang-up to end the agent, and says that auto_reload does nothing", () => {
  const { state, reloading } = setUp(undefined, { "auto-reload": true });
  strictEqual(reloading.hangUp(), false);
  match(state.lines.join(), /auto_reload has no effect: there is no configuration file/);
  strictEqual(setUp(undefined).state.lines.length, 0);
});
