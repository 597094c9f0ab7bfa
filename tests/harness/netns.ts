/** Network namespaces with veth pairs between them, for one test, removed with everything inside. */

import { Process, type Result, run, tryRun } from "./process.ts";
import { untilQuiet } from "./wait.ts";

const DIRECTORY = "/run/netns";
const NAME = /^mm(\d+)([nvi])[0-9a-f]{4}$/;

/** The number of the next name; where it begins is random, in case a process before had the same pid. */
let next = crypto.getRandomValues(new Uint16Array(1))[0];

/** A name such as `mm1234n5ae1`, at most 15 characters long: our prefix, the test's pid, the kind, a number. */
export function uniqueName(kind: "n" | "v" | "i"): string {
  next = (next + 1) % 0x1_0000;
  return `mm${Deno.pid}${kind}${next.toString(16).padStart(4, "0")}`;
}

/** Pid of the test that made a name of this kind; `undefined` when it is none of ours. */
export function ownerOf(name: string, kind: "n" | "v" | "i"): number | undefined {
  const parts = NAME.exec(name);
  return parts?.[2] === kind ? Number(parts[1]) : undefined;
}

/** One network namespace, made by {@linkcode Network}. */
export class Namespace {
  /** Path that `setns` and `nsenter` take. */
  readonly path: string;
  constructor(readonly name: string) {
    this.path = `${DIRECTORY}/${name}`;
  }

  /** The command line that runs `command` inside; `ip netns exec` would hide /sys/fs/bpf. */
  command(command: string[]): string[] {
    return ["nsenter", `--net=${this.path}`, ...command];
  }

  /** Runs `command` inside to its end. @throws {Error} when its exit code is not 0. */
  run(command: string[], input?: string): Promise<string> {
    return run(this.command(command), input);
  }

  tryRun(command: string[]): Promise<Result> {
    return tryRun(this.command(command));
  }

  /** Starts `command` inside, beside the test. */
  start(command: string[]): Process {
    return Process.start(this.command(command));
  }
}

/** One end of a veth pair. */
export interface End {
  namespace: Namespace;
  interfaceName: string;
  mac: string;
  ipv4: string;
  ipv6: string;
}

/** Packets and bytes as the device counts them; bytes of veth are frame lengths. */
export interface DeviceCounters {
  rxPackets: number;
  rxBytes: number;
  txPackets: number;
  txBytes: number;
}

/**
 * Two namespaces joined by a veth pair, `left` 10.77.0.1 and fd77::1, `right` 10.77.0.2 and fd77::2.
 * Nothing passes between them but what the test sends, and the answers.
 */
export class Network implements AsyncDisposable {
  private constructor(readonly left: End, readonly right: End) {}

  /** Makes both namespaces; addresses are usable at once. */
  static async create(options: { mtu?: number } = {}): Promise<Network> {
    await sweepNamespaces();
    const network = new Network(end(1), end(2));
    try {
      await network.#build(options.mtu ?? 1500);
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
    return network;
  }

  async #build(mtu: number): Promise<void> {
    const { left, right } = this;
    await run(["ip", "-batch", "-"], `netns add ${left.namespace.name}\nnetns add ${right.namespace.name}\n`);
    await run(
      ["ip", "-batch", "-"],
      `link add ${left.interfaceName} netns ${left.namespace.name} mtu ${mtu} address ${left.mac} type veth ` +
        `peer name ${right.interfaceName} netns ${right.namespace.name} mtu ${mtu} address ${right.mac}\n`,
    );
    await Promise.all([configure(left, right), configure(right, left)]);
  }

  /** Resolves when no packet has passed for a while: the last FIN and the last ICMP error are through. */
  untilQuiet(quietMs?: number): Promise<void> {
    const read = async () => JSON.stringify(await counters(this.left));
    return untilQuiet(`traffic on ${this.left.interfaceName}`, read, quietMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { namespace } of [this.left, this.right]) {
      // Fails only for a namespace that was not made.
      await tryRun(["ip", "netns", "del", namespace.name]);
    }
  }
}

function end(host: number): End {
  const mac = `02:00:00:77:00:0${host}`;
  const namespace = new Namespace(uniqueName("n"));
  return { namespace, interfaceName: uniqueName("v"), mac, ipv4: `10.77.0.${host}`, ipv6: `fd77::${host}` };
}

/**
 * What a namespace tells by itself for seconds after an address or an interface has come, in random moments: reports of
 * multicast listeners (RFC 3810), searches for routers and for duplicates of an address (RFC 4861 and 4862).
 */
const UNASKED = `
table ip6 unasked {
  chain output {
    type filter hook output priority filter
    icmpv6 type { mld-listener-report, mld-listener-done, mld2-listener-report, nd-router-solicit } drop
    ip6 saddr :: drop
  }
}
`;

/** Keeps a namespace from sending anything unasked, on this and later interfaces: all that passes is the test's. */
export async function keepSilent(namespace: Namespace): Promise<void> {
  await namespace.run(["nft", "-f", "-"], UNASKED);
}

/** Sets addresses and fixed neighbours: with these, and without a link-local address, neither end asks for the other. */
async function configure(own: End, peer: End): Promise<void> {
  await keepSilent(own.namespace);
  const device = `dev ${own.interfaceName}`;
  await own.namespace.run(
    ["ip", "-batch", "-"],
    [
      "link set lo up",
      `link set ${own.interfaceName} addrgenmode none`,
      `addr add ${own.ipv4}/16 ${device}`,
      `addr add ${own.ipv6}/64 ${device} nodad`,
      `link set ${own.interfaceName} up`,
      `neigh replace ${peer.ipv4} lladdr ${peer.mac} nud permanent ${device}`,
      `neigh replace ${peer.ipv6} lladdr ${peer.mac} nud permanent ${device}`,
    ].join("\n") + "\n",
  );
}

/** Reads the device's own counters. */
export async function counters(end: End): Promise<DeviceCounters> {
  const text = await end.namespace.run(["ip", "-j", "-s", "link", "show", "dev", end.interfaceName]);
  const { rx, tx } = JSON.parse(text)[0].stats64;
  return { rxPackets: rx.packets, rxBytes: rx.bytes, txPackets: tx.packets, txBytes: tx.bytes };
}

/** Tells whether a process still runs. */
export async function isAlive(pid: number): Promise<boolean> {
  return (await tryRun(["test", "-d", `/proc/${pid}`])).code === 0;
}

/** Removes namespaces that tests left behind when they were killed; those of living tests stay. */
export async function sweepNamespaces(): Promise<string[]> {
  const removed: string[] = [];
  const listed = await tryRun(["ls", DIRECTORY]);
  for (const name of listed.stdout.split("\n")) {
    const owner = ownerOf(name, "n");
    if (owner === undefined || await isAlive(owner)) continue;
    await tryRun(["ip", "netns", "del", name]);
    removed.push(name);
  }
  return removed;
}
