import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { ConfigError } from "../config/mod.ts";
import { document, type Plain, sources } from "../config/testing.ts";
import { FakeLogger } from "../export/testing.ts";
import { type Config, loadConfig } from "../settings.ts";
import { newReloadCounts, Reloader } from "./reloader.ts";
import type { Step } from "./rules.ts";

type File = { [name: string]: Plain };

function setUp(before: File = {}) {
  const read = (file: File) => loadConfig(sources({ path: "f", parse: () => document(file) }));
  const state = {
    file: before as File | Error,
    applied: [] as [Config, Step[]][],
    failures: new Map<Step, string>(),
    counts: newReloadCounts(),
    logger: new FakeLogger(),
  };
  const reloader = new Reloader({
    settings: read(before).settings,
    load: () => {
      if (state.file instanceof Error) throw state.file;
      return read(state.file);
    },
    apply: (config, steps) => {
      state.applied.push([config, [...steps]]);
      return Promise.resolve(state.failures);
    },
    isGranted: () => true,
    counts: state.counts,
    logger: state.logger,
  });
  return { state, reloader };
}

Deno.test("Reloader applies what has changed, once", async () => {
  const { state, reloader } = setUp();
  state.file = { log_level: "debug" };
  await reloader.reload("SIGHUP");
  await reloader.reload("SIGHUP");
  deepStrictEqual(state.applied.map(([config, steps]) => [config.logLevel, steps]), [["debug", ["log"]]]);
  deepStrictEqual(state.counts, { ok: 1, restart_needed: 0, error: 0, unchanged: 1 });
  deepStrictEqual(state.logger.lines, ["info reloaded", "info reload_unchanged"]);
});

Deno.test("Reloader keeps the old configuration when the new one is bad, and says all that is wrong", async () => {
  const { state, reloader } = setUp();
  state.file = new ConfigError(["f:1:1: one", "f:2:1: two"]);
  await reloader.reload("SIGHUP");
  deepStrictEqual([state.applied, state.counts.error], [[], 1]);
  deepStrictEqual(state.logger.lines, ["error reload_refused"]);
  match(state.logger.texts[0], /SIGHUP: .* the old one goes on: f:1:1: one; f:2:1: two$/);
  state.file = {};
  await reloader.reload("SIGHUP");
  strictEqual(state.counts.unchanged, 1);
});

Deno.test("Reloader tries again at the next reload what failed, and names each time what needs a restart", async () => {
  const { state, reloader } = setUp();
  state.file = { api: { port: 1 }, log_level: "warn", span: { community_id_seed: 1 } };
  state.failures.set("api", "the port is taken");
  await reloader.reload("SIGHUP");
  deepStrictEqual(state.logger.lines, ["error reload_failed", "warn restart_needed"]);
  match(state.logger.texts[0], /the old api goes on: the port is taken/);
  match(state.logger.texts[1], /a restart is needed for span\.community_id_seed; until then/);
  state.failures.clear();
  await reloader.reload("SIGHUP");
  deepStrictEqual(state.applied.map(([config, steps]) => [config.api.port, steps]), [[1, ["log", "api"]], [1, [
    "api",
  ]]]);
  deepStrictEqual(state.counts, { ok: 0, restart_needed: 1, error: 1, unchanged: 0 });
});

Deno.test("Reloader does one reload after the other", async () => {
  const { state, reloader } = setUp();
  state.file = { log_level: "debug" };
  const first = reloader.reload("a");
  const second = reloader.reload("b");
  await Promise.all([first, second]);
  deepStrictEqual(state.counts, { ok: 1, restart_needed: 0, error: 0, unchanged: 1 });
});
