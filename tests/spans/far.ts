/** A third namespace behind the right end of a network, which becomes a router. */

import { Namespace, type Network, uniqueName } from "../harness/netns.ts";
import { run, tryRun } from "../harness/process.ts";

export const FAR_IPV4 = "10.79.0.2";
const NEAR_IPV4 = "10.79.0.1";

export class Far implements AsyncDisposable {
  private constructor(readonly namespace: Namespace) {}

  /** Resolves when the left end reaches {@linkcode FAR_IPV4} in two hops, the right end being the first. */
  static async behind({ left, right }: Network): Promise<Far> {
    const far = new Far(new Namespace(uniqueName("n")));
    try {
      await run(["ip", "netns", "add", far.namespace.name]);
      const [near, own] = [uniqueName("v"), uniqueName("v")];
      const peer = `peer name ${own} netns ${far.namespace.name}`;
      await right.namespace.run(["ip", "link", "add", near, "type", "veth", ...peer.split(" ")]);
      await right.namespace.run(["ip", "-batch", "-"], `addr add ${NEAR_IPV4}/24 dev ${near}\nlink set ${near} up\n`);
      await right.namespace.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
      const config = `link set lo up\naddr add ${FAR_IPV4}/24 dev ${own}\nlink set ${own} up\n`;
      await far.namespace.run(["ip", "-batch", "-"], `${config}route add default via ${NEAR_IPV4}\n`);
      await left.namespace.run(["ip", "route", "add", `${FAR_IPV4}/32`, "via", right.ipv4]);
      return far;
    } catch (error) {
      await far[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await tryRun(["ip", "netns", "del", this.namespace.name]);
  }
}
