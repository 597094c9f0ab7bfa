/** tcpdump as the truth about what passed an interface. */

import type { End } from "./netns.ts";
import { type Packet, readPcap } from "./pcap.ts";
import type { Process } from "./process.ts";
import { until } from "./wait.ts";

/** Enough for Ethernet, two VLAN tags, IPv6 with extension headers and the ports. */
const SNAPLEN_BYTES = 128;
const BUFFER_KIB = 65_536;
const STATISTICS = /(\d+) packets? captured, (\d+) packets? received by filter, (\d+) packets? dropped by kernel/;

/** A running tcpdump on one end of a veth pair. */
export class Capture implements AsyncDisposable {
  private constructor(private readonly process: Process, private readonly directory: string) {}

  /** Resolves when tcpdump really listens: from then on it misses nothing. */
  static async start(end: End): Promise<Capture> {
    const directory = await Deno.makeTempDir({ prefix: "mermin-capture-" });
    const command = ["tcpdump", "-n", "-i", end.interfaceName, "-w", `${directory}/packets.pcap`, "-U"];
    const limits = ["--time-stamp-precision=nano", "-s", String(SNAPLEN_BYTES), "-B", String(BUFFER_KIB), "-Z", "root"];
    const capture = new Capture(end.namespace.start([...command, ...limits]), directory);
    try {
      await capture.process.waitForLine(/listening on/);
    } catch (error) {
      await capture[Symbol.asyncDispose]();
      throw error;
    }
    return capture;
  }

  /**
   * Ends the capture and returns every packet; call it when the traffic has come to rest.
   *
   * @throws {Error} when tcpdump lost packets, for then it is no truth.
   */
  async stop(): Promise<Packet[]> {
    // A block of the kernel's ring that is not full yet is handed over a second later.
    await until("tcpdump to have written what it received", async () => {
      const [captured, received] = await this.#statistics();
      return captured === received;
    });
    const [, , dropped] = await this.#statistics();
    this.process.signal("SIGINT");
    await this.process.exited;
    if (dropped > 0) throw new Error(`tcpdump lost ${dropped} packets: run the test on a machine with less load`);
    return [...readPcap(await Deno.readFile(`${this.directory}/packets.pcap`))];
  }

  async #statistics(): Promise<number[]> {
    const known = this.process.stderr.length;
    this.process.signal("SIGUSR1");
    const line = await until("tcpdump's statistics", () => {
      if (!this.process.running) throw new Error(`tcpdump ended: ${this.process.output}`);
      return this.process.stderr.slice(known).find((text) => STATISTICS.test(text));
    });
    return STATISTICS.exec(line)!.slice(1).map(Number);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process[Symbol.asyncDispose]();
    await Deno.remove(this.directory, { recursive: true });
  }
}
