import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { Histogram } from "../metrics/histogram.ts";
import { AddressIndex } from "./index/address_index.ts";
import { defaultAttributes } from "./defaults.ts";
import { intakeOf } from "./intake.ts";
import { Policies } from "./policies/policies.ts";
import { compileRules } from "./index/rules.ts";
import { Store } from "./index/store.ts";
import { object } from "./testing.ts";

Deno.test("intakeOf() tells of an object that cannot be read, leaves it out, and goes on", () => {
  const index = new AddressIndex(compileRules("destination", defaultAttributes("destination").association));
  const store = new Store({
    masks: new Map([["Pod", true]]),
    index,
    policies: new Policies(),
    selecting: new Set(),
    retainMs: 1000,
  });
  const unreadable: string[] = [];
  const seconds = new Histogram([1]);
  const intake = intakeOf({
    ...{ kind: "Pod", store, seconds, wants: ({ metadata }) => metadata.name !== "unwanted" },
    onUnreadable: ({ metadata }, error) => unreadable.push(`${metadata.name}: ${error.name}`),
  });
  const pod = (name: string, podIP: string, containers: unknown) =>
    object({ name, uid: podIP, spec: { containers }, status: { podIP } });
  const at = (address: string) => index.podAt(address, Date.now())?.object.metadata.name;

  intake.put(pod("good", "10.0.0.1", []));
  intake.put(pod("bad", "10.0.0.2", [null]));
  intake.put(pod("better", "10.0.0.3", [{ name: "c" }]));
  deepStrictEqual([at("10.0.0.1"), at("10.0.0.2"), at("10.0.0.3")], ["good", undefined, "better"]);
  strictEqual(store.count("Pod"), 2);

  intake.put(pod("good", "10.0.0.1", 5));
  intake.put(pod("unwanted", "10.0.0.3", []));
  deepStrictEqual([at("10.0.0.1"), at("10.0.0.3")], [undefined, undefined]);
  deepStrictEqual(unreadable, ["bad: TypeError", "good: TypeError"]);
  strictEqual(seconds.count, 5);
});
