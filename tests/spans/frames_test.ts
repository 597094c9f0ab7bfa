/** Conversations that no real socket would hold on demand, frame by frame, as both ends of the link must report them. */

import assert from "node:assert/strict";
import { checkSpans, first } from "../harness/checks.ts";
import { Network } from "../harness/netns.ts";
import { checkFlow, Nearness } from "./compare.ts";
import { checkResource } from "./resource.ts";
import { framesOf, type Scenario, SCENARIOS, TIMEOUTS } from "./scenarios.ts";
import { type Observed, type Side, Stage } from "./stage.ts";

function packetsOf({ packets }: Observed, { clientPort, serverPort }: Scenario) {
  return packets.filter(({ sourcePort, destinationPort }) =>
    [sourcePort, destinationPort].sort().join() === [clientPort, serverPort].sort().join()
  );
}

Deno.test("spans of played frames have every field that they must have", async (t) => {
  await using network = await Network.create();
  const sides: Side[] = ["left", "right"];
  await using stage = await Stage.open(network, TIMEOUTS);
  await stage.traffic.play(network, framesOf(network));
  const observed = { left: await stage.observed("left"), right: await stage.observed("right") };
  const nearness = new Nearness();
  const traces = new Map<string, Set<string>>();
  for (const side of sides) {
    for (const scenario of SCENARIOS) {
      const expected = scenario[side];
      if (!expected) continue;
      await t.step(`${scenario.name}, seen from ${side === "left" ? "the client" : "the server"}`, () => {
        const packets = packetsOf(observed[side], scenario);
        const communityId = observed[side].communityId(packets);
        const source = observed[side].end[scenario.family];
        const server = network.right[scenario.family];
        checkFlow(observed[side], { packets, communityId, source, server }, expected, nearness);
        for (const { attributes, traceId } of observed[side].spans) {
          const id = String(attributes["flow.community_id"]);
          traces.set(id, (traces.get(id) ?? new Set()).add(traceId));
        }
      });
    }
    await t.step(`all spans of ${side} are sound`, () => {
      assert.deepEqual(first(checkSpans(observed[side].spans, observed[side].counting.name)), []);
    });
  }
  for (const side of sides) {
    await t.step(`resource and scope of ${side}`, () => checkResource(observed[side].spans, network[side].namespace));
  }
  await t.step("every connection has one trace, in all its spans and at both ends", () => {
    assert.deepEqual([...traces].filter(([, ids]) => ids.size !== 1), []);
  });
  console.log(nearness.summary);
});
