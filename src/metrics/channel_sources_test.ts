import assert from "node:assert/strict";
import { channelSources } from "./channel_sources.ts";
import { PROMETHEUS_TEXT } from "./format.ts";
import { renderMetrics } from "./render.ts";

Deno.test("channelSources() tells what waits, what may, and what found no room", async () => {
  const none = { accepted: 0, delivered: 0, lost: {}, queued: 0, queuedBytes: 0, requests: 0, retries: 0 };
  const exporters = [
    { stats: { ...none, accepted: 100, queued: 40, lost: { queue_full: 7, refused: 3 } } },
    { stats: { ...none, accepted: 50, queued: 5 } },
  ];
  const channels = {
    tableCapacity: 1000,
    maxWaitingSpans: () => 600,
    producer: { records: 100, unread: 12 },
    exporters,
  };
  const linesOf = async (isDecorated: boolean) => {
    const sources = channelSources({ ...channels, isDecorated });
    const page = await renderMetrics(sources, PROMETHEUS_TEXT, ["standard"], (name) => assert.fail(name));
    return page.split("\n").filter((line) => line.startsWith("mermin"));
  };
  const plain = await linesOf(false);
  assert.deepEqual(plain, [
    'mermin_channel_capacity{channel="packet_worker"} 1000',
    'mermin_channel_capacity{channel="producer_output"} 600',
    'mermin_channel_entries{channel="packet_worker"} 12',
    'mermin_channel_entries{channel="producer_output"} 40',
    'mermin_channel_sends_total{channel="packet_worker",status="ok"} 100',
    'mermin_channel_sends_total{channel="packet_worker",status="error"} 0',
    'mermin_channel_sends_total{channel="producer_output",status="ok"} 143',
    'mermin_channel_sends_total{channel="producer_output",status="error"} 7',
  ]);
  const second = plain.filter((line) => line.includes("producer_output"))
    .map((line) => line.replace("producer_output", "decorator_output"));
  assert.deepEqual((await linesOf(true)).toSorted(), [...plain, ...second].toSorted());
});
