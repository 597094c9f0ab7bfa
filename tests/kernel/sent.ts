/** The truth about a blast: what has left, and what the kernel took. */

import { identify } from "../harness/community_id.ts";
import type { IdentifiedFlow } from "../harness/flows.ts";
import { counters, type End } from "../harness/netns.ts";
import { until } from "../harness/wait.ts";

/** Ethernet, IPv4 and UDP header and the 18 bytes that `blast` sends by default. */
const FRAME_BYTES = 14 + 20 + 8 + 18;
const UDP = 17;

/** One flow per source port, with as many packets as the kernel took. */
export function sentFlows(from: End, to: End, port: number, ports: [number, number][]): Promise<IdentifiedFlow[]> {
  return identify(
    ports.filter(([, packets]) => packets > 0).map(([sourcePort, packets]) => ({
      tuple: {
        protocol: UDP,
        sourceAddress: from.ipv4,
        sourcePort,
        destinationAddress: to.ipv4,
        destinationPort: port,
      },
      forward: { packets, bytes: packets * FRAME_BYTES },
      reverse: { packets: 0, bytes: 0 },
    })),
  );
}

/** Resolves when `count` more packets have left. */
export async function untilSent(end: End, count: number): Promise<void> {
  const before = (await counters(end)).txPackets;
  await until(`${count} more packets`, async () => (await counters(end)).txPackets >= before + count);
}
