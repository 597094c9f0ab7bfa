import { sha256 } from "@noble/hashes/sha2.js";
import type { U64 } from "./span.ts";
import type { Tuple } from "./tuple.ts";

const TRACE_ID_BYTES = 16;
const NS_PER_MS = 1_000_000;
const TWO_32 = 0x1_0000_0000;

/**
 * Trace ids that every node derives alike, with no shared state.
 *
 * Trace id = first 16 bytes of SHA-256(message). The message, all numbers in network byte order:
 *
 * | bytes | what |
 * | --- | --- |
 * | 2 | seed |
 * | 14 or 38 | canonical tuple with ports, as {@link Tuple.bytes} lays it out (IPv4 or IPv6) |
 * | 8 | epoch, two's complement |
 *
 * epoch = floor((start − phase) / timeout), in whole milliseconds since the Unix epoch; phase = h mod timeout, where h
 * is the 32-bit FNV-1a hash of the first two rows. So connections change their trace at different moments, each at
 * most once per timeout.
 */
export class TraceIds {
  readonly #timeoutMs: number;
  readonly #seedHash: number;
  readonly #seeded;
  readonly #hash = sha256.create();
  readonly #digest = new Uint8Array(32);
  readonly #epochBytes = new Uint8Array(8);
  readonly #epochView = new DataView(this.#epochBytes.buffer);

  /** @param seed 16 bits. @throws {RangeError} when `timeoutMs` is not at least 1. */
  constructor(seed: number, timeoutMs: number) {
    if (!(timeoutMs >= 1)) throw new RangeError(`Trace id timeout is ${timeoutMs} ms: it must be at least 1 ms`);
    this.#timeoutMs = timeoutMs;
    const seedBytes = Uint8Array.of(seed >>> 8, seed);
    this.#seedHash = fnv1a(0x811c9dc5, seedBytes);
    this.#seeded = sha256.create().update(seedBytes);
  }

  /** Writes the 16 bytes of the trace id of `tuple`, for a span that starts at `startNs`, into `out`. */
  write(tuple: Tuple, startNs: U64, out: Uint8Array): void {
    const phaseMs = (fnv1a(this.#seedHash, tuple.bytes) >>> 0) % this.#timeoutMs;
    const epoch = Math.floor((milliseconds(startNs) - phaseMs) / this.#timeoutMs);
    this.#epochView.setInt32(0, Math.floor(epoch / TWO_32));
    this.#epochView.setUint32(4, epoch >>> 0);
    this.#seeded._cloneInto(this.#hash);
    this.#hash.update(tuple.bytes).update(this.#epochBytes).digestInto(this.#digest);
    for (let i = 0; i < TRACE_ID_BYTES; i++) out[i] = this.#digest[i];
  }
}

/** Whole milliseconds in `ns`, exact: 2^32 ns are 4294 ms and 967296 ns, and all terms stay below 2^53. */
function milliseconds(ns: U64): number {
  return ns.hi * 4294 + Math.floor((ns.hi * 967_296 + ns.lo) / NS_PER_MS);
}

function fnv1a(start: number, bytes: Uint8Array): number {
  let hash = start;
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return hash;
}
