/** Compares our Community IDs with those of PyPI's `communityid`, the authors' own library, on random flows. */

import assert from "node:assert/strict";
import { CommunityIds } from "../../src/flow/community_id.ts";
import { addressText } from "../../src/flow/address.ts";
import { Protocol } from "../../src/flow/icmp.ts";
import { Tuple } from "../../src/flow/tuple.ts";

const FLOWS_PER_KIND = 500;
const JUDGE = new URL("judge.py", import.meta.url).pathname;
/** The task that runs this test sets PYTHONPATH. */
const PYTHON = "python3";

interface Flow {
  seed: number;
  protocol: number;
  addresses: Uint8Array;
  firstPort: number;
  secondPort: number;
  hasPorts: boolean;
}

/** Small random numbers from a seed that a failure reports, so that it can be run again (Mulberry32). */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = state + 0x6d2b79f5 | 0;
    let mixed = Math.imul(state ^ state >>> 15, 1 | state);
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
    return Math.floor(((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32 * below);
  };
}

function randomFlow(random: (below: number) => number, protocol: number, addressBytes: number): Flow {
  const isIcmp = protocol === Protocol.ICMP || protocol === Protocol.ICMPV6;
  const addresses = Uint8Array.from({ length: 2 * addressBytes }, () => random(256));
  // Equal addresses and equal beginnings are where the order of the ends is decided late.
  const shared = random(3) === 0 ? addressBytes : random(addressBytes);
  addresses.copyWithin(addressBytes, 0, shared);
  return {
    seed: random(2) === 0 ? 0 : random(65536),
    protocol,
    addresses,
    firstPort: isIcmp ? random(256) : random(65536),
    secondPort: isIcmp ? random(20) : random(8) === 0 ? 7 : random(65536),
    hasPorts: isIcmp || [Protocol.TCP, Protocol.UDP, Protocol.SCTP].includes(protocol as never),
  };
}

function asLine({ seed, protocol, addresses, firstPort, secondPort, hasPorts }: Flow): string {
  const length = addresses.length / 2;
  const ports = hasPorts ? `${firstPort} ${secondPort}` : "- -";
  return `${seed} ${protocol} ${addressText(addresses, 0, length)} ${addressText(addresses, length, length)} ${ports}`;
}

function ourId({ seed, protocol, addresses, firstPort, secondPort }: Flow): string {
  const tuple = new Tuple();
  const length = addresses.length / 2;
  tuple.load(addresses, 0, length, length, protocol, firstPort, secondPort);
  return new CommunityIds(seed).of(tuple);
}

async function judge(flows: Flow[]): Promise<string[]> {
  const child = new Deno.Command(PYTHON, { args: [JUDGE], stdin: "piped", stdout: "piped", stderr: "inherit" }).spawn();
  const output = child.output();
  await new Blob([flows.map((flow) => `${asLine(flow)}\n`).join("")]).stream().pipeTo(child.stdin);
  const { success, stdout } = await output;
  assert.ok(success, "the judge failed, see above");
  return new TextDecoder().decode(stdout).trimEnd().split("\n");
}

async function hasJudge(): Promise<boolean> {
  try {
    return (await new Deno.Command(PYTHON, { args: ["-c", "import communityid"], stderr: "null" }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

Deno.test("CommunityIds.of() agrees with PyPI's communityid on random flows", async () => {
  if (!await hasJudge()) {
    const reason = `${PYTHON} has no module "communityid"; "tools/test unit" sets it up`;
    assert.ok(!Deno.env.get("CI"), reason);
    return console.log(`skipped: ${reason}`);
  }
  const seed = crypto.getRandomValues(new Uint32Array(1))[0];
  const random = randomNumbers(seed);
  const flows: Flow[] = [];
  const protocols = [...Object.values(Protocol), 0, 2, 47, 50, 136, 255];
  for (const protocol of protocols) {
    for (const addressBytes of [4, 16]) {
      for (let i = 0; i < FLOWS_PER_KIND; i++) flows.push(randomFlow(random, protocol, addressBytes));
    }
  }
  // Every ICMP type, so that each pair and each one-way message is there for certain.
  for (let type = 0; type < 256; type++) {
    flows.push({ ...randomFlow(random, Protocol.ICMP, 4), firstPort: type });
    flows.push({ ...randomFlow(random, Protocol.ICMPV6, 16), firstPort: type });
  }

  const expected = await judge(flows);
  assert.equal(expected.length, flows.length);
  flows.forEach((flow, i) => assert.equal(ourId(flow), expected[i], `${asLine(flow)} (seed ${seed})`));
});
