/** A veth pair with 65,536 addresses behind its right end. */

import { Network } from "./netns.ts";

/** First of the addresses that {@linkcode wideNetwork} routes to the right end. */
export const FIRST_DESTINATION = "10.88.0.0";
/** How many there are. */
export const DESTINATIONS = 65_536;

export async function wideNetwork(): Promise<Network> {
  const network = await Network.create();
  const { left, right } = network;
  try {
    await left.namespace.run(["ip", "route", "add", `${FIRST_DESTINATION}/16`, "via", right.ipv4]);
    await right.namespace.run(["ip", "route", "add", "local", `${FIRST_DESTINATION}/16`, "dev", "lo"]);
    return network;
  } catch (error) {
    await network[Symbol.asyncDispose]();
    throw error;
  }
}
