/** A host that translates addresses between a client and two servers, as kube-proxy does. */

import { keepSilent, Namespace, sweepNamespaces, uniqueName } from "../harness/netns.ts";
import { run, tryRun } from "../harness/process.ts";

export type Family = "ipv4" | "ipv6";

/** One name for all addresses of a party. */
export type Addresses = Readonly<Record<Family, string>>;

export const CLIENT: Addresses = { ipv4: "10.78.0.2", ipv6: "fd78::2" };
export const SERVERS: readonly Addresses[] = [
  { ipv4: "10.78.1.2", ipv6: "fd78:1::2" },
  { ipv4: "10.78.2.2", ipv6: "fd78:2::2" },
];
/** What the client asks for, and where the servers listen. */
export const PORT = 80;
export const SERVER_PORT = 8080;
/** Nobody has it: it is translated. */
export const SERVICE: Addresses = { ipv4: "10.96.0.10", ipv6: "fd96::a" };

const MACS = { host: "02:00:00:78:00:01", party: "02:00:00:78:00:02" };

/** `host` has the interfaces `client`, `server0` and `server1`; the parties behind them have it as their router. */
export class NatHost implements AsyncDisposable {
  readonly host = new Namespace(uniqueName("n"));
  readonly client = new Namespace(uniqueName("n"));
  readonly servers = SERVERS.map(() => new Namespace(uniqueName("n")));

  static async create(): Promise<NatHost> {
    await sweepNamespaces();
    const made = new NatHost();
    try {
      await made.#build();
      return made;
    } catch (error) {
      await made[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Addresses of the host towards a party. */
  static gateway(network: number): Addresses {
    return { ipv4: `10.78.${network}.1`, ipv6: `fd78:${network}::1` };
  }

  /** Replaces all translations by these rules of nftables. */
  async translate(rules: readonly string[], options: { masquerade?: boolean } = {}): Promise<void> {
    await this.host.run(
      ["nft", "-f", "-"],
      `table inet mermin
delete table inet mermin
table inet mermin {
  chain prerouting {
    type nat hook prerouting priority dstnat
    ${rules.join("\n    ")}
  }
  chain postrouting {
    type nat hook postrouting priority srcnat
    ${options.masquerade ? "masquerade" : ""}
  }
}
`,
    );
  }

  /** Lets the host forget a connection of datagrams so long after its last one; usually it is 30 s, and 120 s with answers. */
  async forgetDatagramsAfter(seconds: number): Promise<void> {
    const names = ["udp_timeout", "udp_timeout_stream"].map((name) => `net.netfilter.nf_conntrack_${name}`);
    await this.host.run(["sysctl", "-qw", ...names.map((name) => `${name}=${seconds}`)]);
  }

  /** Lets connections be forgotten, and ports be used again, at once. */
  async forgetSoon(): Promise<void> {
    await this.forgetDatagramsAfter(1);
    await this.client.run(["sysctl", "-qw", "net.ipv4.tcp_max_tw_buckets=0"]);
  }

  async #build(): Promise<void> {
    const parties = [this.client, ...this.servers];
    const all = [this.host, ...parties];
    await run(["ip", "-batch", "-"], all.map(({ name }) => `netns add ${name}\n`).join(""));
    await Promise.all(all.map(keepSilent));
    await this.host.run(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
    for (const [i, party] of parties.entries()) {
      const name = i === 0 ? "client" : `server${i - 1}`;
      const { ipv4, ipv6 } = i === 0 ? CLIENT : SERVERS[i - 1];
      const gateway = NatHost.gateway(i);
      await run(
        ["ip", "-batch", "-"],
        `link add name ${name} netns ${this.host.name} address ${MACS.host} type veth ` +
          `peer name eth0 netns ${party.name} address ${MACS.party}\n`,
      );
      await setUp(this.host, name, gateway, { ipv4, ipv6 }, MACS.party);
      await setUp(party, "eth0", { ipv4, ipv6 }, gateway, MACS.host, [
        `route add default via ${gateway.ipv4}`,
        `route add default via ${gateway.ipv6}`,
      ]);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { name } of [this.host, this.client, ...this.servers]) {
      // Fails only for a namespace that was not made.
      await tryRun(["ip", "netns", "del", name]);
    }
  }
}

/** Addresses and fixed neighbours: neither end asks for the other. */
function setUp(
  namespace: Namespace,
  name: string,
  own: Addresses,
  peer: Addresses,
  peerMac: string,
  more: readonly string[] = [],
): Promise<string> {
  const lines = [
    "link set lo up",
    `link set ${name} addrgenmode none`,
    `addr add ${own.ipv4}/24 dev ${name}`,
    `addr add ${own.ipv6}/64 dev ${name} nodad`,
    `link set ${name} up`,
    ...[peer.ipv4, peer.ipv6].map((address) => `neigh replace ${address} lladdr ${peerMac} nud permanent dev ${name}`),
    ...more,
  ];
  return namespace.run(["ip", "-batch", "-"], lines.join("\n") + "\n");
}

/** Rules that send what goes to the service to a server. */
export function toServer(server: number, protocol: "tcp" | "udp"): string[] {
  const { ipv4, ipv6 } = SERVERS[server];
  return [
    `ip daddr ${SERVICE.ipv4} ${protocol} dport ${PORT} dnat ip to ${ipv4}:${SERVER_PORT}`,
    `ip6 daddr ${SERVICE.ipv6} ${protocol} dport ${PORT} dnat ip6 to [${ipv6}]:${SERVER_PORT}`,
  ];
}
