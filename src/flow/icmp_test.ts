import assert from "node:assert/strict";
import { icmpCounterpart, IcmpRole, icmpRole, ONE_WAY, Protocol } from "./icmp.ts";

/** Requests and their replies. */
const PAIRS: Record<number, [number, number][]> = {
  [Protocol.ICMP]: [[8, 0], [10, 9], [13, 14], [15, 16], [17, 18]],
  [Protocol.ICMPV6]: [[128, 129], [130, 131], [133, 134], [135, 136], [139, 140], [144, 145]],
};

Deno.test("icmpCounterpart() and icmpRole() pair exactly the two-way messages", () => {
  for (const [protocol, pairs] of Object.entries(PAIRS).map(([key, value]) => [Number(key), value] as const)) {
    for (let type = 0; type < 256; type++) {
      const asRequest = pairs.find(([request]) => request === type);
      const asReply = pairs.find(([, reply]) => reply === type);
      const expected = asRequest
        ? [asRequest[1], IcmpRole.REQUEST]
        : asReply
        ? [asReply[0], IcmpRole.REPLY]
        : [ONE_WAY, IcmpRole.NONE];
      assert.deepEqual([icmpCounterpart(protocol, type), icmpRole(protocol, type)], expected, `${protocol}/${type}`);
    }
  }
});

Deno.test("icmpRole() gives other protocols no role", () => {
  assert.equal(icmpRole(Protocol.TCP, 8), IcmpRole.NONE);
});
