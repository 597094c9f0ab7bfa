/** A host with a pod behind two interfaces and an uplink, bridged or routed: one packet passes several hooks. */

import { Namespace, sweepNamespaces, uniqueName } from "../harness/netns.ts";
import { run, tryRun } from "../harness/process.ts";

export const POD = "10.77.0.1";
export const FAR = "10.77.0.2";
const MACS = { a: "02:00:00:77:01:0a", b: "02:00:00:77:01:0b", far: "02:00:00:77:02:02" };
const HOST_MACS = { a: "02:00:00:77:03:0a", b: "02:00:00:77:03:0b", far: "02:00:00:77:03:02" };

/** `pod` has the interfaces `a` and `b`, whose other ends `poda` and `podb` are in `host`, as is `uplink` to `far`. */
export class Host implements AsyncDisposable {
  readonly pod = new Namespace(uniqueName("n"));
  readonly host = new Namespace(uniqueName("n"));
  readonly far = new Namespace(uniqueName("n"));

  private constructor(private readonly kind: "bridged" | "routed") {}

  static async create(kind: "bridged" | "routed"): Promise<Host> {
    await sweepNamespaces();
    const host = new Host(kind);
    try {
      await host.#build();
      return host;
    } catch (error) {
      await host[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #build(): Promise<void> {
    const { pod, host, far } = this;
    await run(["ip", "-batch", "-"], [pod, host, far].map(({ name }) => `netns add ${name}\n`).join(""));
    for (const { path } of [pod, host, far]) {
      const off = ["net.ipv6.conf.all.disable_ipv6=1", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.ip_forward=1"];
      await run(["nsenter", `--net=${path}`, "sysctl", "-qw", "net.ipv4.conf.default.rp_filter=0", ...off]);
    }
    const link = (name: string, mac: string, inner: Namespace, outer: string, outerMac: string) =>
      `link add name ${name} netns ${inner.name} address ${mac} type veth ` +
      `peer name ${outer} netns ${host.name} address ${outerMac}\n`;
    await run(
      ["ip", "-batch", "-"],
      link("a", MACS.a, pod, "poda", HOST_MACS.a) + link("b", MACS.b, pod, "podb", HOST_MACS.b) +
        link("far", MACS.far, far, "uplink", HOST_MACS.far),
    );
    await this.#setUp(host, this.kind === "bridged" ? BRIDGE : ROUTER);
    const gateway = (own: keyof typeof MACS, peer: keyof typeof MACS) =>
      this.kind === "bridged" ? MACS[peer] : HOST_MACS[own];
    await this.#setUp(pod, [
      "link set dev a up",
      "link set dev b up",
      `addr add ${POD}/32 dev a`,
      `route add ${FAR}/32 dev a src ${POD}`,
      `neigh replace ${FAR} lladdr ${gateway("a", "far")} nud permanent dev a`,
      `neigh replace ${FAR} lladdr ${gateway("b", "far")} nud permanent dev b`,
    ]);
    await this.#setUp(far, [
      "link set dev far up",
      `addr add ${FAR}/32 dev far`,
      `route add ${POD}/32 dev far src ${FAR}`,
    ]);
    if (this.kind === "bridged") {
      // Nothing is flooded, so every frame is on the ports that it has to pass.
      const fdb = (mac: string, port: string) => `fdb replace ${mac} dev ${port} master static\n`;
      const table = fdb(MACS.a, "poda") + fdb(MACS.b, "podb") + fdb(MACS.far, "uplink");
      await host.run(["bridge", "-batch", "-"], table);
    }
    await this.returnBy("a");
  }

  /** What the pod sends leaves by this interface from now on. */
  async leaveBy(name: "a" | "b"): Promise<void> {
    await this.#setUp(this.pod, [`route replace ${FAR}/32 dev ${name} src ${POD}`]);
  }

  /** What is sent to the pod comes by this interface from now on. */
  async returnBy(name: "a" | "b"): Promise<void> {
    const mac = this.kind === "bridged" ? MACS[name] : HOST_MACS.far;
    await this.#setUp(this.far, [`neigh replace ${POD} lladdr ${mac} nud permanent dev far`]);
    if (this.kind === "routed") await this.#setUp(this.host, [`route replace ${POD}/32 dev pod${name}`]);
  }

  /** The index of an interface in `host`. */
  async index(name: string): Promise<number> {
    return JSON.parse(await this.host.run(["ip", "-j", "link", "show", "dev", name]))[0].ifindex;
  }

  async #setUp(namespace: Namespace, lines: string[]): Promise<void> {
    await namespace.run(["ip", "-batch", "-"], ["link set lo up", ...lines].join("\n") + "\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { name } of [this.pod, this.host, this.far]) {
      // Fails only for a namespace that was not made.
      await tryRun(["ip", "netns", "del", name]);
    }
  }
}

const BRIDGE = [
  "link add bridge type bridge mcast_snooping 0",
  "link set bridge up",
  ...["poda", "podb", "uplink"].flatMap((name) => [`link set ${name} master bridge`, `link set ${name} up`]),
];

const ROUTER = [
  ...["poda", "podb", "uplink"].map((name) => `link set ${name} up`),
  `route add ${POD}/32 dev poda`,
  `route add ${FAR}/32 dev uplink`,
  `neigh replace ${POD} lladdr ${MACS.a} nud permanent dev poda`,
  `neigh replace ${POD} lladdr ${MACS.b} nud permanent dev podb`,
  `neigh replace ${FAR} lladdr ${MACS.far} nud permanent dev uplink`,
];
