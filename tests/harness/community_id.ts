/** The judge of Community IDs: PyPI's `communityid`, which `tools/env` puts on `PYTHONPATH`. */

import type { FlowCount, IdentifiedFlow } from "./flows.ts";
import { run } from "./process.ts";

const SCRIPT = new URL("community_id.py", import.meta.url).pathname;

/** Adds to each flow the Community ID v1 that `communityid` computes from what tcpdump saw. */
export async function identify(flows: FlowCount[], seed = 0): Promise<IdentifiedFlow[]> {
  const tuples = flows.map((
    { tuple: { protocol, sourceAddress, sourcePort, destinationAddress, destinationPort } },
  ) => [
    protocol,
    sourceAddress,
    sourcePort,
    destinationAddress,
    destinationPort,
  ]);
  const ids: string[] = JSON.parse(await run(["python3", SCRIPT, String(seed)], JSON.stringify(tuples)));
  return flows.map((flow, index) => ({ ...flow, communityId: ids[index] }));
}
