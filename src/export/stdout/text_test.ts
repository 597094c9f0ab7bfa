import { deepEqual, equal } from "node:assert/strict";
import { ABSENT, type FlowSpan, SpanKind } from "../../flow/span.ts";
import { flowSpan, setNs } from "../testing.ts";
import { formatBytes, formatDuration, formatEndpoint, TextFormatter } from "./text.ts";

const FLOW = flowSpan({ reverseInterfaceName: "" });
const HEADER = "TIME (UTC)    PROTO   SOURCE                    DESTINATION            INTERFACE    PKTS     BYTES  " +
  "PKTS BACK  BYTES BACK  LASTED  KIND      END\n";
const LINE = "22:13:21.323  tcp     10.0.0.1:51234         →  10.0.0.2:443           eth0           12    3.4 kB  " +
  "       10      8.1 kB    1.2s  client    end_of_flow_detected\n";

Deno.test("TextFormatter writes flows under their header", () => {
  const formatter = new TextFormatter(false);
  equal(formatter.header(), HEADER);
  equal(formatter.flow(FLOW), LINE);
});

Deno.test("TextFormatter.flow() stays aligned for every IPv4 flow", () => {
  const formatter = new TextFormatter(false);
  const widest = flowSpan({
    sourceAddress: "255.255.255.255",
    sourcePort: 65535,
    destinationAddress: "255.255.255.255",
    destinationPort: 65535,
    transport: "icmpv6",
    packetsDelta: 999_999,
    bytesDelta: 999_900,
    reverseInterfaceName: "",
    endReason: "end_of_flow_detected",
  });
  equal(formatter.flow(widest).length, formatter.flow(FLOW).length);
});

Deno.test("TextFormatter.flow() widens a column for a long value, in steps, and keeps it wide", () => {
  const formatter = new TextFormatter(false);
  const destinationAt = (span: FlowSpan) => formatter.flow(span).indexOf(span.destinationAddress);
  const before = destinationAt(FLOW);
  const width = formatter.width;
  const long = flowSpan({ sourceAddress: "2001:db8:1234:5678:9abc:def0:1234:5678" });
  const after = destinationAt(long);
  deepEqual([after - before, destinationAt(FLOW), formatter.width - width], [27, after, 27]);
  const longer = flowSpan({ sourceAddress: "2001:db8:1234:5678:9abc:def0:1234:567", sourcePort: 7 });
  equal(destinationAt(longer), after);
});

const CELLS: [name: string, span: FlowSpan, part: string][] = [
  [
    "the responder's end",
    flowSpan({ kind: SpanKind.SERVER, direction: "reverse" }),
    "10.0.0.1:51234         ←  10.0.0.2:443",
  ],
  ["unknown roles", flowSpan({ direction: "unknown" }), " ↔ "],
  ["no ports", flowSpan({ sourcePort: ABSENT, sourceAddress: "fe80::1" }), "  fe80::1  "],
  ["two interfaces", flowSpan(), "  eth0/eth1  "],
  ["an interface name that would move the cursor", flowSpan({ interfaceName: "e\x1b[2J" }), "  e?[2J/eth1  "],
];

for (const [name, span, part] of CELLS) {
  Deno.test(`TextFormatter.flow() shows ${name}`, () => {
    const line = new TextFormatter(false).flow(span);
    equal(line.includes(part), true, line);
  });
}

Deno.test("TextFormatter keeps colours apart from the alignment", () => {
  const formatter = new TextFormatter(true);
  equal(formatter.header(), `\x1b[1m${HEADER.slice(0, -1)}\x1b[0m\n`);
  equal(formatter.flow(FLOW), LINE.replace("22:13:21.323", "\x1b[2m22:13:21.323\x1b[0m"));
});

Deno.test("TextFormatter.flow() shows the time of the last packet", () => {
  const span = flowSpan();
  setNs(span.endNs, 1_700_000_000_005_000_000n);
  equal(new TextFormatter(false).flow(span).startsWith("22:13:20.005 "), true);
});

const BYTES: [bytes: number, text: string][] = [
  [0, "0 B "],
  [999, "999 B "],
  [1000, "1.0 kB"],
  [3400, "3.4 kB"],
  [999_949, "999.9 kB"],
  [999_950, "1.0 MB"],
  [1_500_000_000, "1.5 GB"],
  [2 ** 53 - 1, "9.0 PB"],
];

for (const [bytes, text] of BYTES) {
  Deno.test(`formatBytes() writes ${bytes} as "${text}"`, () => equal(formatBytes(bytes), text));
}

const DURATIONS: [ms: number, text: string][] = [
  [0, "0ms"],
  [999.4, "999ms"],
  [999.6, "1.0s"],
  [59_949, "59.9s"],
  [59_950, "1m00s"],
  [185_000, "3m05s"],
  [3_599_600, "1h00m"],
  [3_720_000, "1h02m"],
];

for (const [ms, text] of DURATIONS) {
  Deno.test(`formatDuration() writes ${ms} ms as ${text}`, () => equal(formatDuration(ms), text));
}

const ENDPOINTS: [address: string, port: number, text: string][] = [
  ["10.0.0.1", 443, "10.0.0.1:443"],
  ["10.0.0.1", 0, "10.0.0.1:0"],
  ["10.0.0.1", ABSENT, "10.0.0.1"],
  ["fd00::1", 443, "[fd00::1]:443"],
  ["fd00::1", ABSENT, "fd00::1"],
];

for (const [address, port, text] of ENDPOINTS) {
  Deno.test(`formatEndpoint() writes ${address} and ${port} as ${text}`, () => {
    equal(formatEndpoint(address, port), text);
  });
}
