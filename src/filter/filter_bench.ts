import { FlowRecords } from "../capture/decode.ts";
import { FlowRecord } from "../capture/layout.gen.ts";
import { writeRecord } from "../capture/testing.ts";
import { SpanBuilder } from "../flow/span_builder.ts";
import { recordValues } from "../flow/testing.ts";
import { filterSettings } from "./config.ts";
import { compileFilter, type FlowFilter, KEEP_ALL } from "./filter.ts";

const RECORDS = 512;
const buffer = new Uint8Array(RECORDS * FlowRecord.size);
const records = new FlowRecords(buffer);
for (let i = 0; i < RECORDS; i++) {
  const addresses: [string, string] = [`10.0.0.${i & 255}`, "10.1.0.1"];
  const times = { latencyNs: [0, 350_000], jitterNs: [0, 20_000], latencyCount: [0, 3], handshakeNs: 1_200_000 };
  writeRecord(buffer, i, recordValues({ ...times as object, addresses, slot: i, isLast: true }));
}
const builder = new SpanBuilder({
  seed: 0,
  traceIdTimeoutMs: 86_400_000,
  capacity: RECORDS,
  host: {
    interface: () => ({ name: "eth0", mac: "02:00:00:00:00:02" }),
    isLocal: (address) => address === "10.1.0.1",
    listens: () => false,
  },
});
const { source, destination, network, flow } = filterSettings.default;
const drops = compileFilter({
  source: { ...source, address: { match: ["10.1.0.0/16", "fd00::/8"], notMatch: [] } },
  destination,
  network: { ...network, transport: { match: ["tcp"], notMatch: [] } },
  flow: { ...flow, tcpFlagsTags: { match: ["rst"], notMatch: [] } },
});

function run(filter: FlowFilter): void {
  for (let i = 0; i < RECORDS; i++) {
    records.seek(i);
    const span = builder.describe(records);
    if (filter(span, records)) builder.finish(records);
  }
}

Deno.bench({ name: "512 records become spans", group: "512 records", baseline: true }, () => run(KEEP_ALL));
Deno.bench({ name: "512 records are dropped by three rules", group: "512 records" }, () => run(drops));
