/** What a collector does to its senders: nothing is lost that need not be, and what is lost is counted to the span. */

import assert from "node:assert/strict";
import type { OtlpLimits } from "../harness/agent_config.ts";
import { Authority } from "../harness/certificates.ts";
import { sleep, until } from "../harness/wait.ts";
import type { Behaviour, Gateway } from "./gateway.ts";
import { assertBalanced, type Books, type Protocol, report, SMALL_BATCHES, type Trial, underFault } from "./trial.ts";

const PROTOCOLS: Protocol[] = ["grpc", "http_binary"];
const RATE = 500;

/** Requests under a fault of which each way to send has made one more after its first. */
const ENOUGH_REQUESTS = 2 * SMALL_BATCHES.max_concurrent_exports;

/** Load for `seconds`, of which all but the first and the last second are under the fault. */
async function during(trial: Trial, seconds: number, begin: () => unknown, end: () => unknown): Promise<void> {
  await trial.load(RATE, 1);
  await begin();
  await trial.load(RATE, seconds - 2);
  await end();
  await trial.load(RATE, 1);
}

function behave(behaviour: Behaviour) {
  return (trial: Trial) => {
    const { gateway } = trial;
    let before = 0;
    const begin = () => {
      before = gateway.stats.requests;
      gateway.behaviour = behaviour;
    };
    const end = async () => {
      await until("requests under the fault", () => gateway.stats.requests >= before + ENOUGH_REQUESTS);
      gateway.behaviour = { kind: "pass" };
    };
    return during(trial, 5, begin, end);
  };
}

/** Resolves when the agent has dropped spans because its queue is full. */
async function untilDropped({ agent }: Trial): Promise<void> {
  const dropped = /^mermin_export_lost_spans_total\{.*reason="queue_full"/;
  await until("spans to be dropped", async () => (await agent.metrics()).sum(dropped) > 0);
}

/** The same trial over both protocols at once. */
function test(
  fault: string,
  body: (trial: Trial) => Promise<void>,
  check: (books: Books, gateway: Gateway) => void,
  limits: OtlpLimits = SMALL_BATCHES,
): void {
  Deno.test(fault, async (t) => {
    const results = await Promise.allSettled(PROTOCOLS.map(async (protocol) => {
      let gateway: Gateway;
      const books = await underFault({ protocol, limits }, (trial) => {
        gateway = trial.gateway;
        return body(trial);
      });
      return () => {
        report(`${fault}, ${protocol}`, books);
        assertBalanced(books);
        check(books, gateway);
      };
    }));
    for (const [index, result] of results.entries()) {
      await t.step(PROTOCOLS[index], () => {
        if (result.status === "rejected") throw result.reason;
        result.value();
      });
    }
  });
}

/** Everything arrived. */
function nothingLost({ flows, arrived, lost }: Books): void {
  assert.deepEqual([arrived, lost], [flows, {}]);
}

test(
  "a collector that refuses connections",
  (trial) => during(trial, 5, () => trial.gateway.refuse(), () => trial.gateway.open()),
  nothingLost,
);

test("a collector that hangs", behave({ kind: "hang", passes: false }), nothingLost);

test("a collector that takes spans but does not answer", behave({ kind: "hang", passes: true }), (books) => {
  nothingLost(books);
  assert.ok(books.repeated > 0, "requests that timed out have arrived and come again, with the same span ids");
});

test("a collector that closes in the middle of requests", behave({ kind: "cut", when: "in the request" }), nothingLost);

test("a collector that closes before it answers", behave({ kind: "cut", when: "before the answer" }), (books) => {
  nothingLost(books);
  assert.ok(books.repeated > 0, "requests without an answer have arrived and come again, with the same span ids");
});

for (const status of [429, 503] as const) {
  const retryAfterSeconds = 2;
  test(
    `a collector that answers ${status} with Retry-After`,
    behave({ kind: "status", status, retryAfterSeconds }),
    (books, { stats: { times } }) => {
      nothingLost(books);
      const pauses = times.map((time, i) => time - times[i - 1]).filter((pause) =>
        pause > retryAfterSeconds * 1000 - 5
      );
      assert.ok(pauses.length > 0, "no pause as long as the collector wished");
    },
  );
}

test("a collector that answers 400", behave({ kind: "status", status: 400 }), ({ flows, arrived, lost }) => {
  const refused = flows - arrived;
  assert.ok(refused > 0, "nothing was refused");
  assert.deepEqual(lost, { refused });
});

test("a collector that takes half of each request", behave({ kind: "partial" }), (books, { stats: { rejected } }) => {
  assert.ok(rejected > 0, "nothing was rejected");
  assert.deepEqual([books.flows - books.arrived, books.lost], [rejected, { rejected }]);
});

/** Spans were dropped from the queue, and for no other reason; what was given up on its way may have arrived nevertheless. */
function onlyFullQueue({ flows, arrived, lost: { queue_full: dropped = 0, ...others } }: Books): void {
  assert.deepEqual(others, {});
  assert.ok(dropped > 0 && dropped >= flows - arrived, `${dropped} dropped, ${flows - arrived} missing`);
}

const SMALL_QUEUE = { ...SMALL_BATCHES, max_queue_size: 500, max_concurrent_exports: 1 };

test(
  "a full queue while the collector refuses connections",
  (trial) =>
    during(trial, 6, () => trial.gateway.refuse(), async () => {
      await untilDropped(trial);
      await trial.gateway.open();
    }),
  onlyFullQueue,
  SMALL_QUEUE,
);

test(
  "a full queue while the collector takes spans but does not answer",
  behave({ kind: "hang", passes: true }),
  onlyFullQueue,
  SMALL_QUEUE,
);

for (const protocol of PROTOCOLS) {
  Deno.test(`a collector that shows a wrong certificate, ${protocol}`, async () => {
    await using authority = await Authority.create();
    await using stranger = await Authority.create();
    const certificate = await authority.issue("collector", "IP:127.0.0.1");
    const wrong = await stranger.issue("collector", "IP:127.0.0.1");
    const books = await underFault({ protocol, tls: { certificate, authority: authority.cert } }, async (trial) => {
      const { gateway } = trial;
      const show = async (shown: typeof certificate) => {
        await gateway.refuse();
        gateway.certificate = shown;
        await gateway.open();
      };
      let requests = 0;
      await during(
        trial,
        5,
        async () => {
          await show(wrong);
          requests = gateway.stats.requests;
        },
        async () => {
          await trial.agent.process.waitForLine(/export_failing.*not trusted/);
          assert.equal(gateway.stats.requests, requests, "nothing is sent to a stranger");
          await show(certificate);
        },
      );
    });
    report(`a collector that shows a wrong certificate, ${protocol}`, books);
    assertBalanced(books);
    nothingLost(books);
  });
}

test("a collector that refuses connections for 60 s", async (trial) => {
  const load = trial.load(200, 70);
  await sleep(1000);
  await trial.gateway.refuse();
  await sleep(60_000);
  await trial.gateway.open();
  await until(
    "a delivery after the collector is back",
    async () => (await trial.agent.metrics()).sum(/^mermin_export_queue_spans/) < 100,
  );
  await load;
}, nothingLost);
