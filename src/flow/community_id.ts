import { sha1 } from "@noble/hashes/legacy.js";
import type { Tuple } from "./tuple.ts";

/** Community ID v1 (https://github.com/corelight/community-id-spec): the same text for a flow in every tool. */
export class CommunityIds {
  readonly #seeded;
  readonly #hash = sha1.create();
  readonly #digest = new Uint8Array(20);

  /** @param seed 16-bit number that keeps apart the ids of networks with overlapping addresses. */
  constructor(seed: number) {
    this.#seeded = sha1.create().update(Uint8Array.of(seed >>> 8, seed));
  }

  /** `1:` and the Base64 of SHA-1(seed, tuple). */
  of(tuple: Tuple): string {
    // Copying the seeded state into a used hash makes no garbage, a new hash per flow takes several times as long.
    this.#seeded._cloneInto(this.#hash);
    this.#hash.update(tuple.communityBytes).digestInto(this.#digest);
    return `1:${this.#digest.toBase64()}`;
  }
}
