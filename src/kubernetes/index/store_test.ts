import { ok, strictEqual, throws } from "node:assert/strict";
import { AddressIndex } from "./address_index.ts";
import { defaultAttributes } from "../defaults.ts";
import type { Kind } from "../model/kinds.ts";
import { maskOf, parsePath } from "../model/object.ts";
import { Policies } from "../policies/policies.ts";
import { compileRules } from "./rules.ts";
import { Store } from "./store.ts";
import { object } from "../testing.ts";

const RETAIN_MS = 1000;

function storeAt(clock: { nowMs: number }, policies = new Policies()): Store {
  const kinds: Kind[] = ["Pod", "Service", "Node", "NetworkPolicy"];
  return new Store({
    masks: new Map(kinds.map((kind) => [kind, { metadata: true, spec: true }])),
    index: new AddressIndex([]),
    policies,
    selecting: new Set(["Service"]),
    ...{ retainMs: RETAIN_MS, now: () => clock.nowMs },
  });
}

Deno.test("Store has everything said anew when what selected others has been gone for long enough", () => {
  const clock = { nowMs: 5000 };
  const store = storeAt(clock);
  const service = object({ name: "web" });
  store.put("Service", service);
  const { epoch } = store;
  store.remove(service.metadata.uid, service, clock.nowMs);
  store.purge();
  strictEqual(store.epoch, epoch, "flows of its time are still to come");
  clock.nowMs += RETAIN_MS + 1;
  store.purge();
  ok(store.epoch > epoch);
});

Deno.test("Store has everything said anew when a node comes that has the name of another", () => {
  const node = (uid: string) => object({ name: "a", uid });
  for (const isRemovedFirst of [true, false]) {
    const store = storeAt({ nowMs: 5000 });
    store.put("Node", node("first"));
    const { epoch } = store;
    if (isRemovedFirst) store.remove("first", undefined, 5000);
    store.put("Node", node("second"));
    ok(store.epoch > epoch);
    store.remove("first", undefined, 5000);
    strictEqual(store.named("Node", "a")?.uid, "second");
  }
});

Deno.test("Store has everything said anew when an object changes of which others may speak", () => {
  const store = storeAt({ nowMs: 5000 });
  const put = (kind: Kind, status: unknown, labels: Record<string, string> = {}) => {
    const { epoch } = store;
    store.put(kind, object({ name: kind, uid: kind, labels, status }));
    return store.epoch > epoch;
  };
  for (const kind of ["Pod", "Node", "NetworkPolicy"] as const) {
    strictEqual(put(kind, { a: 1 }), false, `${kind} is new`);
    strictEqual(put(kind, { a: 2 }), false, `nothing of ${kind} has changed that is kept`);
    strictEqual(put(kind, { a: 2 }, { x: "y" }), kind !== "Pod", `${kind} has changed`);
  }
});

Deno.test("Store has everything said anew when a missed owner comes, however many others were missed since", () => {
  const store = storeAt({ nowMs: 5000 });
  const said = store.epoch;
  for (let i = 0; i < 15_000; i++) store.ownerByUid(`owner-${i}`);
  ok(store.epoch > said, "what is forgotten would not be noticed when it comes");
  const { epoch } = store;
  store.ownerByUid("owner-0");
  store.put("Node", object({ name: "owner", uid: "owner-0" }));
  ok(store.epoch > epoch);
});

Deno.test("Store.put() leaves an object as it was when it cannot read what came", () => {
  const rules = compileRules("destination", defaultAttributes("destination").association);
  const index = new AddressIndex(rules);
  const masks = new Map([["Pod", maskOf([parsePath("metadata.name"), parsePath("metadata.uid")])]] as const);
  const store = new Store({
    masks,
    index,
    policies: new Policies(),
    selecting: new Set(),
    retainMs: RETAIN_MS,
    now: () => 5000,
  });
  const pod = (containers: unknown) =>
    object({ name: "a", uid: "a", spec: { containers }, status: { podIP: "10.0.0.1", hostIP: "10.1.0.1" } });
  throws(() => store.put("Pod", pod([null])), TypeError);
  strictEqual(store.count("Pod"), 0);
  store.put("Pod", pod([]));
  throws(() => store.put("Pod", pod([null])), TypeError);
  strictEqual(index.size, 1);
  store.remove("a", undefined, 5000);
  strictEqual(index.podAt("10.0.0.1", 5001), undefined);
});

Deno.test("Store lets policies forget those that have been gone for long enough", () => {
  const clock = { nowMs: 5000 };
  const policies = new Policies();
  const store = storeAt(clock, policies);
  const policy = object({ name: "in" });
  store.put("NetworkPolicy", policy);
  store.remove(policy.metadata.uid, policy, clock.nowMs);
  store.purge();
  strictEqual(policies.isEmpty, false, "flows of its time are still to come");
  clock.nowMs += RETAIN_MS;
  store.purge();
  strictEqual(policies.isEmpty, true);
});

Deno.test("Store.put() leaves policies as they were when it cannot read one", () => {
  const policies = new Policies();
  const store = storeAt({ nowMs: 5000 }, policies);
  throws(() => store.put("NetworkPolicy", object({ name: "in", spec: { ingress: [null] } })), TypeError);
  strictEqual(policies.isEmpty, true);
  strictEqual(store.count("NetworkPolicy"), 0);
});
