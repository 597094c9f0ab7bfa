import { deepEqual, equal } from "node:assert/strict";
import { DSCPS, ECNS, ICMP_TYPES, namesOf, STATES, TCP_FLAGS, TRANSPORTS, type Vocabulary } from "./vocabulary.ts";

const CASES: [pattern: string, vocabulary: Vocabulary, names: string[]][] = [
  ["tcp", TRANSPORTS, ["tcp"]],
  ["TCP", TRANSPORTS, ["tcp"]],
  ["udp*", TRANSPORTS, ["udp", "udplite"]],
  ["udp-lite", TRANSPORTS, ["udplite"]],
  ["proto_253", TRANSPORTS, ["proto_253"]],
  ["tcpp", TRANSPORTS, []],
  ["ax.25", TRANSPORTS, ["ax.25"]],
  ["*_wait", STATES, ["fin_wait", "close_wait", "time_wait"]],
  ["c*", STATES, ["close_wait", "closing", "closed"]],
  ["SYN", TCP_FLAGS, ["syn"]],
  ["?ck", TCP_FLAGS, ["ack"]],
  ["AF4?", DSCPS, ["af41", "af42", "af43"]],
  ["df", DSCPS, ["cs0"]],
  ["Non-ECT", ECNS, ["not-ect"]],
  ["echo_request", ICMP_TYPES, ["echo", "echo_request"]],
  ["echo", ICMP_TYPES, ["echo"]],
  ["constructor", DSCPS, []],
];

for (const [pattern, vocabulary, names] of CASES) {
  Deno.test(`namesOf() takes ${pattern} for ${names.join(", ") || "nothing"}`, () => {
    deepEqual(namesOf(pattern, vocabulary), names);
  });
}

Deno.test("namesOf() takes * for every name", () => {
  equal(namesOf("*", TRANSPORTS).length, 256);
});
