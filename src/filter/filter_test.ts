import { equal, ok } from "node:assert/strict";
import { attributesOf, seededRandom } from "../export/testing.ts";
import { NO_SIDE } from "../flow/ends.ts";
import { SpanBuilder } from "../flow/span_builder.ts";
import { addressBytes, flowRecord, type RecordValues, recordValues } from "../flow/testing.ts";
import { type FilterConfig, filterSettings, type Rule } from "./config.ts";
import { compileFilter, KEEP_ALL } from "./filter.ts";

type Block = keyof FilterConfig;
type Change = { readonly [B in Block]?: Partial<FilterConfig[B]> };

/** The settings with these rules. */
function filterConfig(change: Change): FilterConfig {
  const { source, destination, network, flow } = filterSettings.default;
  return {
    source: { ...source, ...change.source },
    destination: { ...destination, ...change.destination },
    network: { ...network, ...change.network },
    flow: { ...flow, ...change.flow },
  };
}

const match = (...match: string[]): Rule => ({ match, notMatch: [] });
const notMatch = (...notMatch: string[]): Rule => ({ match: [], notMatch });

const builder = new SpanBuilder({
  seed: 0,
  traceIdTimeoutMs: 1000,
  capacity: 8,
  host: {
    interface: (index) => index === 9 ? undefined : { name: `eth${index}`, mac: `02:42:ac:11:00:0${index}` },
    isLocal: (address) => address === "10.0.0.1" || address === "fd00::1",
  },
});

function keeps(change: Change, record: Partial<RecordValues>): boolean {
  const view = flowRecord(record);
  return compileFilter(filterConfig(change))(builder.describe(view), view);
}

/** From 10.0.0.1:443 to 10.0.0.2:51234 at eth2. */
const TCP: Partial<RecordValues> = { ttl: [64, 57], trafficClass: [0xb8, 0], tcpFlags: [0x12, 0x1b] };
const UDP: Partial<RecordValues> = { ...TCP, protocol: 17, synFrom: NO_SIDE, synAckFrom: NO_SIDE };
const PING: Partial<RecordValues> = { ...UDP, protocol: 1, ports: [0, 8], isIcmpKnown: [true, true], icmpType: [0, 8] };
const TCP6: Partial<RecordValues> = { ...TCP, addresses: ["fd00::1", "fd00::2"], flowLabel: [0xabcde, 0] };

const CASES: [name: string, Change, record: Partial<RecordValues>, expected: boolean][] = [
  ["source address", { source: { address: match("10.0.0.0/31") } }, TCP, true],
  ["source address is not the destination's", { source: { address: match("10.0.0.2") } }, TCP, false],
  ["destination address", { destination: { address: match("10.0.0.2") } }, TCP, true],
  ["one of several addresses", { source: { address: match("fd00::/8", "10.0.0.1") } }, TCP, true],
  ["an address of the other family", { source: { address: match("::/0") } }, TCP, false],
  ["an IPv6 address", { source: { address: match("fd00::/16") } }, TCP6, true],
  ["an excluded address", { source: { address: notMatch("10.0.0.0/8") } }, TCP, false],
  [
    "an exclusion within a match",
    {
      source: { address: { match: ["10.0.0.0/8"], notMatch: ["10.0.0.1"] } },
    },
    TCP,
    false,
  ],
  ["source port", { source: { port: match("80", "400-443") } }, TCP, true],
  ["destination port", { destination: { port: match("1-1023") } }, TCP, false],
  ["a port, of a protocol that has none", { source: { port: match("0-65535") } }, PING, false],
  ["an excluded port, of a protocol that has none", { source: { port: notMatch("0-65535") } }, PING, true],
  ["transport", { network: { transport: match("TCP") } }, TCP, true],
  ["transport glob", { network: { transport: match("*cp*") } }, UDP, false],
  ["network type", { network: { type: match("ipv6") } }, TCP, false],
  ["interface name", { network: { interfaceName: match("ETH?") } }, TCP, true],
  ["interface name, excluded", { network: { interfaceName: notMatch("lo", "eth*") } }, TCP, false],
  ["interface index", { network: { interfaceIndex: match("2") } }, TCP, true],
  ["interface MAC", { network: { interfaceMac: match("02:42:AC:*") } }, TCP, true],
  ["interface without a MAC", { network: { interfaceMac: match("*") } }, { ...TCP, hook: [18, 18] }, false],
  ["connection state", { flow: { connectionState: match("established") } }, { ...TCP, tcpFlags: [18, 18] }, true],
  ["connection state of UDP", { flow: { connectionState: match("*") } }, UDP, false],
  ["connection state of UDP, excluded", { flow: { connectionState: notMatch("*") } }, UDP, true],
  ["one flag of several", { flow: { tcpFlagsTags: match("syn", "urg") } }, TCP, true],
  ["a flag of the way back only", { flow: { tcpFlagsTags: match("psh") } }, TCP, false],
  ["flags of UDP", { flow: { tcpFlagsTags: match("*") } }, UDP, false],
  ["flags of UDP, excluded", { flow: { tcpFlagsTags: notMatch("syn") } }, UDP, true],
  ["an excluded flag", { flow: { tcpFlagsTags: notMatch("ack") } }, TCP, false],
  ["DSCP", { flow: { ipDscpName: match("ef") } }, TCP, true],
  ["DSCP that is not known in this window", { flow: { ipDscpName: match("*") } }, {
    ...{ ...TCP, isIpKnown: [false, true] },
  }, false],
  ["ECN", { flow: { ipEcnName: match("ce", "not-ect") } }, TCP, true],
  ["TTL", { flow: { ipTtl: match("60-64") } }, TCP, true],
  ["TTL of the way back", { flow: { ipTtl: match("57") } }, TCP, false],
  ["flow label", { flow: { ipFlowLabel: match(String(0xabcde)) } }, TCP6, true],
  ["flow label of IPv4", { flow: { ipFlowLabel: match("0") } }, TCP, false],
  ["ICMP type", { flow: { icmpTypeName: match("echo_reply") } }, PING, true],
  ["ICMP type of TCP", { flow: { icmpTypeName: match("*") } }, TCP, false],
  ["ICMP type of TCP, excluded", { flow: { icmpTypeName: notMatch("echo*") } }, TCP, true],
  ["ICMP code without a name", { flow: { icmpCodeName: match("*") } }, PING, false],
  ["all rules that fit", { source: { port: match("443") }, network: { transport: match("tcp") } }, TCP, true],
  ["one rule that does not", { source: { port: match("443") }, network: { transport: match("udp") } }, TCP, false],
];

for (const [name, change, record, expected] of CASES) {
  Deno.test(`compileFilter() ${expected ? "keeps" : "drops"} by ${name}`, () => equal(keeps(change, record), expected));
}

Deno.test("compileFilter() without a rule is KEEP_ALL", () => {
  equal(compileFilter(filterSettings.default), KEEP_ALL);
});

Deno.test("compileFilter() remembers no wrong verdict of an interface", () => {
  const filter = compileFilter(filterConfig({ network: { interfaceName: match("eth2") } }));
  const at = (hook: number) => {
    const record = flowRecord({ hook: [hook, hook] });
    return filter(builder.describe(record), record);
  };
  for (let round = 0; round < 3; round++) {
    for (const [hook, kept] of [[4, true], [6, false]] as const) equal(at(hook), kept);
  }
});

/** The documented rules once more, on the attributes that a span shows, with nothing but texts and BigInt. */
const REFERENCE: Record<Block, Record<string, [attribute: string, fits: (pattern: string, value: string) => boolean]>> =
  {
    source: { address: ["source.address", isInCidr], port: ["source.port", isInNumbers] },
    destination: { address: ["destination.address", isInCidr], port: ["destination.port", isInNumbers] },
    network: {
      transport: ["network.transport", isLike],
      type: ["network.type", isLike],
      interfaceName: ["network.interface.name", isLike],
      interfaceIndex: ["network.interface.index", isInNumbers],
      interfaceMac: ["network.interface.mac", isLike],
    },
    flow: {
      connectionState: ["flow.connection.state", isLike],
      tcpFlagsTags: ["flow.tcp.flags.tags", isLike],
      ipDscpName: ["flow.ip.dscp.name", isLike],
      ipEcnName: ["flow.ip.ecn.name", isLike],
      ipTtl: ["flow.ip.ttl", isInNumbers],
      ipFlowLabel: ["flow.ip.flow_label", isInNumbers],
      icmpTypeName: ["flow.icmp.type.name", isLike],
      icmpCodeName: ["flow.icmp.code.name", isLike],
    },
  };

function isInCidr(pattern: string, value: string): boolean {
  const [network, bits] = pattern.split("/");
  const [a, b] = [network, value].map(addressBytes);
  if (a.length !== b.length) return false;
  const shift = BigInt(8 * a.length - Number(bits ?? 8 * a.length));
  return BigInt("0x" + a.toHex()) >> shift === BigInt("0x" + b.toHex()) >> shift;
}

function isInNumbers(pattern: string, value: string): boolean {
  const [first, last] = pattern.split("-");
  return BigInt(value) >= BigInt(first) && BigInt(value) <= BigInt(last ?? first);
}

function isLike(pattern: string, value: string): boolean {
  if (pattern === "" || value === "") return pattern === value || pattern === "*";
  const [head, ...rest] = pattern.toLowerCase();
  if (head === "*") return isLike(rest.join(""), value) || isLike(pattern, value.slice(1));
  return (head === "?" || head === value[0].toLowerCase()) && isLike(rest.join(""), value.slice(1));
}

function expectedVerdict(config: FilterConfig, attributes: ReturnType<typeof attributesOf>): boolean {
  return Object.entries(REFERENCE).every(([block, rules]) =>
    Object.entries(rules).every(([field, [attribute, fits]]) => {
      const { match, notMatch } = (config[block as Block] as Record<string, Rule>)[field];
      const values = [attributes[attribute] ?? []].flat().map(String).filter((value) => value !== "");
      const fitsAny = (patterns: readonly string[]) => patterns.some((one) => values.some((value) => fits(one, value)));
      return (match.length === 0 || fitsAny(match)) && !fitsAny(notMatch);
    })
  );
}

const PATTERNS: Record<string, string[]> = {
  address: ["10.0.0.1", "10.0.0.0/30", "10.0.0.2/31", "0.0.0.0/0", "192.0.2.0/24", "fd00::1", "fd00::/127", "::/0"],
  port: ["443", "0", "1-1023", "32768-65535", "51234", "440-450"],
  transport: ["tcp", "UDP", "icmp*", "?cp", "*"],
  type: ["ipv4", "ipv6", "IPV?"],
  interfaceName: ["eth2", "eth*", "ETH3", "unknown", "*"],
  interfaceIndex: ["2", "1-3", "9"],
  interfaceMac: ["02:42:ac:11:00:02", "02:*", "*:03"],
  connectionState: ["established", "*_wait", "closed", "SYN_*"],
  tcpFlagsTags: ["syn", "RST", "f*", "psh"],
  ipDscpName: ["ef", "cs*", "AF11"],
  ipEcnName: ["ce", "ect?", "not-ect"],
  ipTtl: ["64", "1-32", "255"],
  ipFlowLabel: ["0", "1-1048575"],
  icmpTypeName: ["echo", "echo_reply", "*e*"],
  icmpCodeName: ["port_unreachable", "*"],
};

function randomRecord(random: () => number): Partial<RecordValues> {
  const below = (limit: number) => Math.floor(random() * limit);
  const pick = <T>(...choices: T[]): T => choices[below(choices.length)];
  const two = <T>(make: () => T): [T, T] => [make(), make()];
  const isIpv6 = random() < 0.3;
  const addresses = isIpv6 ? ["fd00::1", "fd00::2"] : ["10.0.0.1", "10.0.0.2", "10.0.0.3", "192.0.2.9"];
  return {
    addresses: two(() => pick(...addresses)),
    protocol: pick(1, 6, 6, 17, 58, 47),
    ports: two(() => pick(0, 8, 443, 51234, below(65536))),
    synFrom: pick(NO_SIDE, 0, 1),
    finFrom: pick(NO_SIDE, 0, 1),
    isEstablished: random() < 0.7,
    tcpFlags: two(() => pick(0, 2, 16, 17, 20, below(256))),
    hook: two(() => pick(4, 5, 6, 18)),
    isIpKnown: two(() => random() < 0.8),
    trafficClass: two(() => pick(0, 0xb8, 0x28, below(256))),
    ttl: two(() => pick(1, 64, 255, below(256))),
    flowLabel: two(() => pick(0, below(2 ** 20))),
    isIcmpKnown: two(() => random() < 0.8),
    icmpType: two(() => pick(0, 3, 8, 11, 128, 129, 200)),
    icmpCode: two(() => below(5)),
  };
}

function randomConfig(random: () => number): FilterConfig {
  const some = (patterns: string[]) => patterns.filter(() => random() < 0.3);
  const change: Record<string, Record<string, Rule>> = {};
  for (const [block, rules] of Object.entries(REFERENCE)) {
    for (const field of Object.keys(rules).filter(() => random() < 0.12)) {
      const patterns = PATTERNS[field];
      (change[block] ??= {})[field] = { match: some(patterns), notMatch: random() < 0.5 ? [] : some(patterns) };
    }
  }
  return filterConfig(change);
}

Deno.test("compileFilter() agrees with the documented rules on random flows and filters", () => {
  const random = seededRandom(1125);
  const verdicts = [0, 0];
  for (let round = 0; round < 2000; round++) {
    const config = randomConfig(random);
    const filter = compileFilter(config);
    for (let i = 0; i < 10; i++) {
      const values = randomRecord(random);
      const record = flowRecord(values);
      const span = builder.describe(record);
      const expected = expectedVerdict(config, attributesOf(span));
      verdicts[Number(expected)]++;
      if (filter(span, record) !== expected) {
        equal(
          filter(span, record),
          expected,
          JSON.stringify(
            { config, values: recordValues(values) },
            (_, value) => typeof value === "bigint" ? String(value) : value,
          ),
        );
      }
    }
  }
  ok(Math.min(...verdicts) > 3000, `too one-sided: ${verdicts}`);
});
