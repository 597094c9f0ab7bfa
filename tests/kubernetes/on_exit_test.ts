/** What a stop leaves in the kernel (`on_exit = "auto"`) when the agent runs in a pod, by what the API server has of it then. */

import assert from "node:assert/strict";
import { Connection } from "../../src/kubernetes/api/access.ts";
import type { Kind } from "../../src/kubernetes/model/kinds.ts";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { watch } from "../harness/agent_config.ts";
import { Network } from "../harness/netns.ts";
import { attachedPrograms } from "../harness/programs.ts";
import { Traffic } from "../harness/traffic.ts";
import { until } from "../harness/wait.ts";
import { type Any, ApiServer } from "./api_server.ts";
import { readAccess } from "./informers.ts";
import { createPod, PODS } from "./objects.ts";

const ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts";
const DAEMON_SETS = "/apis/apps/v1/namespaces/default/daemonsets";
/** Every account is in it. */
const GROUP = "system:serviceaccounts";
const RBAC = "/apis/rbac.authorization.k8s.io/v1";

/** Paths in the API, and that of the agent's kubeconfig. */
interface Installed {
  readonly daemonSet: string;
  readonly pod: string;
  readonly account: string;
  readonly kubeconfig: string;
}

interface Case {
  readonly name: string;
  /** What the agent may read; all kinds without. */
  readonly allowed?: readonly string[];
  readonly owner?: "DaemonSet" | "none";
  /** What it watches; pods without. */
  readonly watches?: readonly Kind[];
  /** What happens while it runs. */
  readonly happens: (server: ApiServer, installed: Installed) => Promise<unknown> | void;
  readonly stays: boolean;
  /** In its log. */
  readonly says?: RegExp;
}

const deleteInTime = (path: string, server: ApiServer, options: Any) =>
  server.request("DELETE", path, { kind: "DeleteOptions", apiVersion: "v1", ...options });
const deletePod = (server: ApiServer, { pod }: Installed) => deleteInTime(pod, server, { gracePeriodSeconds: 40 });
const deleteRights = async (server: ApiServer) => {
  await server.delete(`${RBAC}/clusterrolebindings/${GROUP}`);
  await server.delete(`${RBAC}/clusterroles/${GROUP}`);
};

/** Resolves when the agent's question would be answered so; the server remembers tokens for ten seconds. */
async function untilAnswered(status: number, { daemonSet, kubeconfig }: Installed): Promise<void> {
  const connection = new Connection(readAccess(kubeconfig));
  const answer = async () => {
    const response = await connection.get(daemonSet, new AbortController().signal);
    await response.body?.cancel();
    return response.status;
  };
  await until(`answer ${status}`, async () => await answer() === status).finally(() => connection.close());
}

const cases: Case[] = [
  { name: "the pod is deleted by hand, or its node drained", happens: deletePod, stays: true },
  {
    name: "a rolling update",
    happens: async (server, installed) => {
      const spec = { template: { metadata: { annotations: { "checksum/config": "2" } } } };
      await server.patch(installed.daemonSet, { spec });
      await deletePod(server, installed);
    },
    stays: true,
  },
  {
    name: "the pod is deleted by force, and its token ends with it",
    watches: ["Pod", "DaemonSet"],
    happens: async (server, installed) => {
      await server.delete(installed.pod);
      await untilAnswered(401, installed);
    },
    stays: true,
  },
  {
    name: "its rights are taken, and the DaemonSet stays",
    watches: ["Pod", "DaemonSet"],
    happens: async (server, installed) => {
      await deleteRights(server);
      await untilAnswered(403, installed);
    },
    stays: true,
  },
  {
    name: "an uninstallation: first the DaemonSet goes, and the pod when it is found without one",
    happens: (server, { daemonSet }) => server.delete(daemonSet),
    stays: false,
    says: /leaves nothing: its DaemonSet is gone \(404\) {2}event=no_successor/,
  },
  {
    name: "an uninstallation that has come to the rights",
    happens: async (server, { daemonSet }) => {
      await server.delete(daemonSet);
      await deleteRights(server);
    },
    stays: false,
    says: /leaves nothing: its DaemonSet is gone \(40[34]\) {2}event=no_successor/,
  },
  ...([["Pod"], ["Pod", "DaemonSet"]] as const).map((watches): Case => ({
    name: `an uninstallation that has come to the account, seen by watches of ${watches.join(" and ")}`,
    watches,
    happens: async (server, installed) => {
      await server.delete(installed.daemonSet);
      await server.delete(installed.account);
      await untilAnswered(401, installed);
    },
    stays: false,
    says: /leaves nothing: its DaemonSet is gone \(401\) {2}event=no_successor/,
  })),
  {
    name: "a deletion in the foreground, which keeps the DaemonSet until the pods have ended",
    happens: (server, { daemonSet }) => deleteInTime(daemonSet, server, { propagationPolicy: "Foreground" }),
    stays: false,
    says: /leaves nothing: its DaemonSet is being deleted {2}event=no_successor/,
  },
  {
    name: "the rights were never there: nobody can tell",
    allowed: ["pods", "namespaces"],
    happens: (server, { daemonSet }) => server.delete(daemonSet),
    stays: true,
    says: /allow to get both.* event=k8s_daemon_set_unknown/,
  },
  { name: "a pod of no DaemonSet", owner: "none", happens: deleteRights, stays: true },
  { name: "the API server is away", happens: (server) => server.kill(), stays: true },
  { name: "the API server does not answer", happens: (server) => server.freeze(), stays: true },
];

/** A DaemonSet called `name` with the agent's pod and account, as they are on a node. */
async function install(server: ApiServer, name: string, one: Case): Promise<Installed> {
  const labels = { app: name };
  const template = { metadata: { labels }, spec: { containers: [{ name: "main", image: "example.org/mermin" }] } };
  const spec = { selector: { matchLabels: labels }, template };
  const { metadata: { uid } } = await server.create(DAEMON_SETS, { metadata: { name }, spec });
  const owner = one.owner === "none" ? undefined : { kind: "DaemonSet", name, uid };
  await server.create(ACCOUNTS, { metadata: { name } });
  const pod = await createPod(server, { name, ips: ["10.0.0.9"], owner, labels, account: name });
  const boundObjectRef = { apiVersion: "v1", kind: "Pod", name, uid: pod.metadata.uid };
  const audiences = ["https://kubernetes.default.svc"];
  const { status: { token } } = await server.request("POST", `${ACCOUNTS}/${name}/token`, {
    spec: { audiences, boundObjectRef },
  });
  await server.allow(GROUP, one.allowed ?? ["pods", "daemonsets", "namespaces"]);
  const kubeconfig = await server.kubeconfigOf(name, token);
  return { daemonSet: `${DAEMON_SETS}/${name}`, pod: `${PODS}/${name}`, account: `${ACCOUNTS}/${name}`, kubeconfig };
}

Deno.test("on_exit = auto keeps for a successor, and leaves nothing when there will be none", async (t) => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using server = await ApiServer.start();
  await using network = await Network.create();
  const { left } = network;
  for (const [i, one] of cases.entries()) {
    await t.step(one.name, async () => {
      const name = `mermin-${i}`;
      const installed = await install(server, name, one);
      const selectors = (one.watches ?? ["Pod"]).map((kind) => `{ kind = "${kind}" }`).join(", ");
      const extra = `discovery "informer" "k8s" {
  kubeconfig_path = "${installed.kubeconfig}"
  selectors = [${selectors}]
}`;
      const env = { POD_NAME: name, POD_NAMESPACE: "default" };
      await using instance = new Instance();
      const settings = { watch: watch(left), onExit: "auto", extra } as const;
      await using agent = await Agent.start(settings, { instance: instance.name, env });
      await one.happens(server, installed);
      assert.equal(await agent.stop(), 0, agent.process.output);
      const { ingress, egress } = await attachedPrograms(traffic, left);
      const expected = one.stays ? [1, 1] : [0, 0];
      assert.deepEqual([ingress.length, egress.length], expected, agent.process.output);
      if (one.says) assert.match(agent.process.output, one.says);
      assert.doesNotMatch(agent.process.output, one.stays ? /event=no_successor/ : /event=k8s_daemon_set_unknown/);
      server.thaw();
      if (!server.running) await server.restart();
    });
  }
});
