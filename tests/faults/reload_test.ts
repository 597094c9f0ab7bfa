/** The configuration is changed again and again under load: what can be applied is, a bad file is not, no flow is lost. */

import assert from "node:assert/strict";
import { until } from "../harness/wait.ts";
import { assertBalanced, ONE_SPAN_A_FLOW, report, SMALL_BATCHES, type Trial, underFault } from "./trial.ts";

const RATE = 500;
const ROUNDS = 12;
type Status = "ok" | "restart_needed" | "error" | "unchanged";

/** Another configuration for each round, and what must become of it. */
function change(trial: Trial, round: number): [config: Parameters<Trial["agent"]["configure"]>[0], Status] {
  const { settings } = trial;
  const limits = { ...SMALL_BATCHES, max_batch_size: 50 + round, max_concurrent_exports: 1 + round % 3 };
  const good = {
    ...settings,
    otlp: { ...settings.otlp!, limits: limits },
    span: { ...ONE_SPAN_A_FLOW, tcp_timeout: `${10 + round}s` },
    pollInterval: `${100 + 10 * round}ms`,
    // None of the test's flows has this address.
    extra: `filter "source" { address = { not_match = ["192.0.2.${round}/32"] } }`,
  };
  switch (round % 4) {
    case 1:
      return [{ ...good, extra: "span {" }, "error"];
    case 2:
      return [{ ...good, capacity: 50_000 + round }, "restart_needed"];
    default:
      return [good, "ok"];
  }
}

for (const protocol of ["grpc", "http_binary"] as const) {
  Deno.test(`reloads under load, ${protocol}`, async () => {
    const wanted: Record<Status, number> = { ok: 0, restart_needed: 0, error: 0, unchanged: 0 };
    const books = await underFault({ protocol }, async (trial) => {
      const { agent, load } = trial;
      const sent = load(RATE, 6);
      for (let round = 0; round < ROUNDS; round++) {
        // Of more than two old exporters the oldest gives up what it holds, which a busy machine may need time to send.
        const ended = () => agent.process.output.split("exporter_stopped").length - 1;
        await until("old exporters to end", () => wanted.ok - ended() <= 1);
        const [config, status] = change(trial, round);
        await agent.configure(config);
        agent.process.signal("SIGHUP");
        wanted[status]++;
        const reloads = new RegExp(`^mermin_config_reloads_total\\{.*status="${status}"`);
        await until(
          `reload ${round} to be ${status}`,
          async () => (await agent.metrics()).sum(reloads) === wanted[status],
        );
      }
      await sent;
    });
    report(`${ROUNDS} reloads, ${protocol}`, books);
    assertBalanced(books);
    assert.deepEqual([books.arrived, books.lost], [books.flows, {}]);
  });
}
