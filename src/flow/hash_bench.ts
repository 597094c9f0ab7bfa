/**
 * What an id costs, by hash library. `deno bench src/flow/hash_bench.ts`
 *
 * Group `sha-1` and `sha-256`: one hash of an IPv6 tuple with the libraries there are; group `ids`: what a span pays.
 */

import { sha1 } from "@noble/hashes/legacy.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { createHash, hash } from "node:crypto";
import { addressText } from "./address.ts";
import { CommunityIds } from "./community_id.ts";
import { SpanIds } from "./span_id.ts";
import { tupleOf } from "./testing.ts";
import { TraceIds } from "./trace_id.ts";
import { Tuple } from "./tuple.ts";

const message = tupleOf("2001:db8::1", "2001:db8::2", 6, 40000, 443).bytes.slice();
const digest = new Uint8Array(32);

for (
  const { group, node, subtle, noble } of [
    { group: "sha-1", node: "sha1", subtle: "SHA-1", noble: sha1 },
    { group: "sha-256", node: "sha256", subtle: "SHA-256", noble: sha256 },
  ]
) {
  const [seeded, used] = [noble.create(), noble.create()];
  const out = digest.subarray(0, noble.outputLen);
  Deno.bench("@noble/hashes, state reused", { group, baseline: true }, () => {
    seeded._cloneInto(used as never);
    used.update(message).digestInto(out);
  });
  Deno.bench("@noble/hashes", { group }, () => void noble(message));
  Deno.bench("node:crypto hash()", { group }, () => void hash(node, message, "buffer"));
  Deno.bench("node:crypto createHash()", { group }, () => void createHash(node).update(message).digest());
  Deno.bench("crypto.subtle", { group }, async () => void await crypto.subtle.digest(subtle, message));
}

const buffer = Uint8Array.from({ length: 32 }, (_, i) => i * 7);
const startNs = { lo: 123_456_789, hi: 416_000_000 };
const id = new Uint8Array(16);
const tuple = new Tuple();
const [communityIds, traceIds, spanIds] = [new CommunityIds(0), new TraceIds(0, 86_400_000), new SpanIds()];

Deno.bench("tuple, community id and trace id, IPv6", { group: "ids" }, () => {
  tuple.load(buffer, 0, 16, 16, 6, 40000, 443);
  communityIds.of(tuple);
  traceIds.write(tuple, startNs, id);
});
Deno.bench("tuple, community id and trace id, IPv4", { group: "ids" }, () => {
  tuple.load(buffer, 0, 4, 4, 6, 40000, 443);
  communityIds.of(tuple);
  traceIds.write(tuple, startNs, id);
});
Deno.bench("tuple", { group: "ids" }, () => tuple.load(buffer, 0, 16, 16, 6, 40000, 443));
Deno.bench("community id", { group: "ids" }, () => void communityIds.of(tuple));
Deno.bench("trace id", { group: "ids" }, () => traceIds.write(tuple, startNs, id));
Deno.bench("span id", { group: "ids" }, () => spanIds.write(id));
Deno.bench("address text, IPv4", { group: "ids" }, () => void addressText(buffer, 0, 4));
Deno.bench("address text, IPv6", { group: "ids" }, () => void addressText(buffer, 0, 16));
