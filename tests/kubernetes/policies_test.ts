/** Flows get the policies of the time when they began, whatever has changed since at a real API server. */

import assert from "node:assert/strict";
import { sleep, until } from "../harness/wait.ts";
import { ApiServer } from "./api_server.ts";
import { Informers, readAccess, selector } from "./informers.ts";
import { createPod, PODS } from "./objects.ts";

const POLICIES = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies";
const NAMESPACE = "/api/v1/namespaces/default";
const CLIENT = "10.244.0.5";
const SERVER = "10.244.0.6";

Deno.test("policies are those of the time when a flow began", async () => {
  await using server = await ApiServer.start();
  await createPod(server, { name: "client", ips: [CLIENT], labels: { app: "client" } });
  await createPod(server, { name: "server", ips: [SERVER], labels: { app: "server" } });
  const pods = (app: string) => ({ podSelector: { matchLabels: { app } } });
  const before = { metadata: { name: "before" }, spec: { ...pods("server"), ingress: [{}] } };
  await server.create(POLICIES, before);
  await using informers = await Informers.start(readAccess(await server.kubeconfig()), {
    selectors: [selector("Pod"), selector("Namespace"), selector("NetworkPolicy")],
  });
  const team = { namespaceSelector: { matchLabels: { team: "red" } } };
  const egress = { policyTypes: ["Egress"], egress: [{ to: [team], ports: [{ port: 8000, endPort: 9000 }] }] };
  // What happens, and the policies from then on, of who calls and of who is called.
  const steps: [what: string, happens: () => Promise<unknown>, egress: string[], ingress: string[]][] = [
    ["nothing", () => sleep(0), [], ["before"]],
    [
      "a policy comes",
      () =>
        server.create(POLICIES, {
          metadata: { name: "clients" },
          spec: { ...pods("server"), ingress: [{ from: [pods("client")] }] },
        }),
      [],
      ["before", "clients"],
    ],
    ["one goes", () => server.delete(`${POLICIES}/before`), [], ["clients"]],
    [
      "the client has another label",
      () => server.patch(`${PODS}/client`, { metadata: { labels: { app: "x" } } }),
      [],
      [],
    ],
    ["one changes", () => server.patch(`${POLICIES}/clients`, { spec: { ingress: [{ from: [pods("x")] }] } }), [], [
      "clients",
    ]],
    [
      "the next comes",
      () => server.create(POLICIES, { metadata: { name: "out" }, spec: { ...pods("x"), ...egress } }),
      [],
      ["clients"],
    ],
    ["the namespace has a label", () => server.patch(NAMESPACE, { metadata: { labels: { team: "red" } } }), ["out"], [
      "clients",
    ]],
    ["the last goes", () => server.delete(`${POLICIES}/clients`), ["out"], []],
  ];
  const seen: { what: string; atMs: number; policies: ReturnType<Informers["policiesAt"]> }[] = [];
  // The pods' addresses count from a moment before their start, a policy from the end of the second in which it was made.
  await until("the first policy", () => informers.policiesAt(CLIENT, SERVER, Date.now()).ingress.length === 1);
  for (const [what, happens, egress, ingress] of steps) {
    await sleep(50);
    await happens();
    const policies = { egress, ingress };
    // Where nothing is to be seen, nothing may have come yet: the next step finds that out.
    const isSame = () => JSON.stringify(informers.policiesAt(CLIENT, SERVER, Date.now())) === JSON.stringify(policies);
    await until(what, isSame);
    seen.push({ what, atMs: Date.now(), policies });
  }
  for (const { what, atMs, policies } of [...seen, ...seen.toReversed()]) {
    assert.deepEqual(informers.policiesAt(CLIENT, SERVER, atMs), policies, what);
  }
});
