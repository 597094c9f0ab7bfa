import assert from "node:assert/strict";
import { CommunityIds } from "./community_id.ts";
import { tupleOf } from "./testing.ts";

interface Vector {
  /** first end, second end, protocol, first port, second port */
  tuple: [string, string, number, number, number];
  /** The id with seed 0 and with seed 1. */
  ids: [string, string];
  /** The message has no counterpart: the other way round it is another flow. */
  oneWay?: true;
}

/** Source: the baselines of https://github.com/corelight/community-id-spec. `tests/community_id` compares many more. */
const VECTORS: Vector[] = [
  {
    tuple: ["fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea", 58, 135, 136],
    ids: ["1:dGHyGvjMfljg6Bppwm3bg0LO8TY=", "1:kHa1FhMYIT6Ym2Vm2AOtoOARDzY="],
  },
  {
    tuple: ["fe80::260:97ff:fe07:69ea", "fe80::200:86ff:fe05:80da", 58, 135, 136],
    ids: ["1:zavyT/cezQr1fmImYCwYnMXbgck=", "1:2hSqmsDZ2kdcY9kbiUzOEBic0iM="],
  },
  {
    tuple: ["3ffe:501:1800:2345::2", "3ffe:507:0:1:200:86ff:fe05:80da", 58, 3, 0],
    ids: ["1:2ObVBgIn28oZvibYZhZMBgh7WdQ=", "1:lVEtCZpYu84Xqaa++3lXFyuu2n4="],
    oneWay: true,
  },
  {
    tuple: ["3ffe:501:410:0:2c0:dfff:fe47:33e", "3ffe:507:0:1:200:86ff:fe05:80da", 58, 1, 4],
    ids: ["1:hLZd0XGWojozrvxqE0dWB1iM6R0=", "1:W8MHwXpWzpoSTD+cGcaJr4u0ys8="],
    oneWay: true,
  },
  {
    tuple: ["3ffe:507:0:1:200:86ff:fe05:80da", "3ffe:501:0:1001::2", 58, 128, 129],
    ids: ["1:+TW+HtLHvV1xnGhV1lv7XoJrqQg=", "1:GfZxjAkDk2MkegpBYHV6tadtFXQ="],
  },
  {
    tuple: ["fe80::200:86ff:fe05:80da", "ff02::2", 58, 133, 134],
    ids: ["1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0=", "1:L7Ka0ZMYu+J3bL4ulW2PrqyXNo8="],
  },
  {
    tuple: ["fe80::260:97ff:fe07:69ea", "ff02::1", 58, 134, 133],
    ids: ["1:pkvHqCL88/tg1k4cPigmZXUtL00=", "1:K/ee5UCqAMAQXDorP5nSa2CGLjc="],
  },
  {
    tuple: ["192.168.0.89", "192.168.0.1", 1, 8, 0],
    ids: ["1:X0snYXpgwiv9TZtqg64sgzUn6Dk=", "1:03g6IloqVBdcZlPyX8r0hgoE7kA="],
  },
  {
    tuple: ["10.0.0.1", "10.0.0.2", 1, 11, 0],
    ids: ["1:YHxtAirCG//0OzkcVAukqKQN9xM=", "1:XjUibYHaafLQ3pxQeiMI8g25q20="],
    oneWay: true,
  },
  {
    tuple: ["2001:470:e5bf:dead:4957:2174:e82c:4887", "2607:f8b0:400c:c03::1a", 6, 63943, 25],
    ids: ["1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=", "1:eJYTW6AOzFLlSUoESovMjnu7rMw="],
  },
  {
    tuple: ["192.168.170.8", "192.168.170.56", 132, 7, 7],
    ids: ["1:MP2EtRCAUIZvTw6MxJHLV7N7JDs=", "1:5w3ZRjeKBzqT3zsaEECDGjUbYeg="],
  },
  {
    tuple: ["128.232.110.120", "66.35.250.204", 6, 34855, 80],
    ids: ["1:LQU9qZlK+B5F3KDmev6m5PMibrg=", "1:3V71V58M3Ksw/yuFALMcW0LAHvc="],
  },
  {
    tuple: ["192.168.1.52", "8.8.8.8", 17, 54585, 53],
    ids: ["1:d/FP5EW3wiY1vCndhwleRRKHowQ=", "1:Q9We8WO3piVF8yEQBNJF4uiSVrI="],
  },
  {
    tuple: ["10.1.12.1", "10.1.12.2", 46, 0, 0],
    ids: ["1:KHlLkgoJW7ifUTyTSgyVfkFHzKw=", "1:rYir8gphR31noO9iDRQmF/BteEI="],
  },
];

Deno.test("CommunityIds.of() gives the published ids, from both ends", async (t) => {
  const [plain, seeded] = [new CommunityIds(0), new CommunityIds(1)];
  for (const { tuple: [first, second, protocol, firstPort, secondPort], ids, oneWay } of VECTORS) {
    await t.step(`protocol ${protocol}: ${first} ${firstPort}, ${second} ${secondPort}`, () => {
      const there = tupleOf(first, second, protocol, firstPort, secondPort);
      assert.deepEqual([plain.of(there), seeded.of(there)], ids);
      const back = tupleOf(second, first, protocol, oneWay ? firstPort : secondPort, oneWay ? secondPort : firstPort);
      assert.equal(plain.of(back) === ids[0], !oneWay);
    });
  }
});

Deno.test("CommunityIds takes all 16 bits of the seed", () => {
  const tuple = tupleOf("10.0.0.1", "10.0.0.2", 6, 1, 2);
  const ids = [0, 1, 0x0100, 0xffff].map((seed) => new CommunityIds(seed).of(tuple));
  assert.equal(new Set(ids).size, ids.length);
});
