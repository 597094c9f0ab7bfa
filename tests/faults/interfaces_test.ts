/** Interfaces that come and go by the hundred while others are busy: no packet of theirs or of the others is lost. */

import assert from "node:assert/strict";
import { udpFrames } from "../harness/frames.ts";
import type { End } from "../harness/netns.ts";
import { until } from "../harness/wait.ts";
import { assertBalanced, report, type Trial, type TrialOptions, underFault } from "./trial.ts";

const COUNT = 500;
const PACKETS = 4;
/** Links of one group can be removed at once. */
const GROUP = 77;
const FIRST_PORT = 30_000;
const RATE = 300;
const SECONDS = 20;
/** Making and removing that many takes the kernel a while on a busy machine. */
const PATIENCE_MS = 300_000;

/** Makes the interfaces, sends through each as soon as all are watched, and removes them while their flows are open. */
async function comeAndGo({ agent, traffic, network: { left, right } }: Trial): Promise<void> {
  const numbers = Array.from({ length: COUNT }, (_, i) => i);
  const batch = (line: (i: number) => string) =>
    left.namespace.run(["ip", "-batch", "-"], numbers.map((i) => `${line(i)}\n`).join(""));
  const watched = (count: number) =>
    until(`${count} interfaces to be watched`, async () => await agent.watched() === count, PATIENCE_MS);
  for (const { namespace } of [left, right]) {
    // Else each new interface talks by itself.
    await namespace.run(["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"]);
  }
  await batch((i) => `link add wd${i} up group ${GROUP} type veth peer name pe${i} netns ${right.namespace.name}`);
  await right.namespace.run(["ip", "-batch", "-"], numbers.map((i) => `link set pe${i} up\n`).join(""));
  await watched(COUNT + 1);
  const frames = numbers.flatMap((place) => {
    const talk = {
      family: "ipv4" as const,
      client: left,
      server: right,
      clientPort: FIRST_PORT + place,
      serverPort: 53,
    };
    return udpFrames(talk, Array.from({ length: PACKETS }, () => ["client", 0, 30] as const).map((one) => [...one]))
      .map((frame) => ({ ...frame, place }));
  });
  await traffic.playAt(left.namespace, numbers.map((i) => `${left.namespace.path}:wd${i}`), frames);
  await left.namespace.run(["ip", "link", "del", "group", String(GROUP)]);
  await watched(1);
}

Deno.test(`${COUNT} interfaces that come and go under traffic`, async () => {
  let end: End;
  // A flow of some packets is one span also when a busy machine pauses between them.
  const settings = { span: { udp_timeout: "10s" } };
  const options: TrialOptions = { protocol: "http_binary", patterns: ["wd*"], settings };
  const books = await underFault(options, async (trial) => {
    end = trial.network.left;
    const load = trial.load(RATE, SECONDS);
    await comeAndGo(trial);
    trial.sent.flows += COUNT;
    trial.sent.packets += COUNT * PACKETS;
    await load;
  });
  report(`${COUNT} interfaces that come and go`, books);
  assertBalanced(books);
  assert.deepEqual([books.arrived, books.lost], [books.flows, {}]);
  const ofThem = books.spans.filter(({ "network.interface.name": name }) => name !== end.interfaceName);
  assert.deepEqual(
    ofThem.map((all) => [all["network.interface.name"], all["source.port"], all["flow.packets.delta"]]).sort(),
    Array.from({ length: COUNT }, (_, i) => [`wd${i}`, FIRST_PORT + i, PACKETS]).sort(),
  );
});
