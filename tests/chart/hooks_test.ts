/** What Helm runs beside the agents: the validation before a change, and `helm test`. */

import assert from "node:assert/strict";
import { type KubernetesObject, partsOf, render, TextFile } from "./helm.ts";

/** Variables in which the chart tells the agent what it has promised. */
const PROMISES = ["API_PORT", "METRICS_PORT", "HOST_NETWORK", "GRACE_SECONDS"].map((name) => `MERMIN_EXPECTED_${name}`);

/** `--timeout` of helm when it is not given. */
const HELM_TIMEOUT_SECONDS = 300;

Deno.test("jobs and tests run where and as the agents may", async () => {
  const rendered = await render(
    "--set-json",
    'imagePullSecrets=[{"name":"a"}]',
    "--set",
    "nodeSelector.disk=ssd,affinity.nodeAffinity.x=y,tolerations[0].key=k,priorityClassName=high",
    "--set-string",
    "commonLabels.team=net,podLabels.mesh=no,podAnnotations.mesh=no",
  );
  const pods = [rendered.only("DaemonSet").spec.template, rendered.only("Job", "validate").spec.template];
  pods.push(rendered.only("Pod", "test"));
  for (const { metadata, spec } of pods) {
    const { imagePullSecrets, nodeSelector, affinity, tolerations, priorityClassName } = spec;
    assert.deepEqual({ imagePullSecrets, nodeSelector, affinity, tolerations, priorityClassName }, {
      imagePullSecrets: [{ name: "a" }],
      nodeSelector: { disk: "ssd" },
      affinity: { nodeAffinity: { x: "y" } },
      tolerations: [{ key: "k" }],
      priorityClassName: "high",
    });
    assert.deepEqual([metadata.labels.team, metadata.labels.mesh, metadata.annotations.mesh], ["net", "no", "no"]);
  }
});

Deno.test("a namespace with a quota takes the validation and the test, and the job ends before Helm gives up", async () => {
  const rendered = await render();
  const job = rendered.only("Job", "mermin-validate");
  for (const { containers: [container] } of [job.spec.template.spec, rendered.only("Pod", "mermin-test").spec]) {
    for (const kind of ["requests", "limits"]) {
      assert.deepEqual(Object.keys(container.resources[kind]).sort(), ["cpu", "memory"]);
    }
  }
  assert.ok(job.spec.activeDeadlineSeconds < HELM_TIMEOUT_SECONDS);
  const args = ["--set", "hooks.deadlineSeconds=30,hooks.resources.limits.memory=200Mi"];
  const other = (await render(...args)).only("Job", "mermin-validate");
  assert.equal(other.spec.activeDeadlineSeconds, 30);
  const [{ resources }] = other.spec.template.spec.containers;
  assert.deepEqual([resources.limits.memory, resources.requests.memory], ["200Mi", "128Mi"]);
});

Deno.test("a broken configuration stops an upgrade before a pod is touched", async () => {
  const rendered = await render("--set", "env[0].name=A,env[0].value=b,envFrom[0].secretRef.name=token");
  const job = rendered.only("Job", "mermin-validate");
  assert.equal(job.metadata.annotations["helm.sh/hook"], "pre-install,pre-upgrade");
  const [container] = job.spec.template.spec.containers;
  assert.deepEqual(container.args, ["validate", "/etc/mermin/config.hcl"]);
  const agent = partsOf(rendered.only("DaemonSet")).container;
  const env = agent.env.filter(({ name }: KubernetesObject) => name !== "MERMIN_HOST_NETNS");
  const names = env.map(({ name }: KubernetesObject) => name);
  assert.deepEqual(names, ["NODE_NAME", "POD_NAME", "POD_NAMESPACE", ...PROMISES, "A"]);
  assert.deepEqual([container.env, container.envFrom], [env, agent.envFrom], "what env() may ask for is the agent's");
  assert.deepEqual(agent.envFrom, [{ secretRef: { name: "token" } }]);
  assert.equal((await render("--set", "config.validate=false")).objects.some(({ kind }) => kind === "Job"), false);
});

Deno.test("the agent and the validation refuse a configuration that does not fit what the chart has promised", async () => {
  const otherPort = "api {\n  port = 9090\n}\n";
  const slow = 'shutdown_timeout = "60s"\n';
  const cases: { text: string; args: string[]; refused?: RegExp }[] = [
    { text: otherPort, args: [], refused: /:2:10: api\.port = 9090: .*ports\.api is 8080; .*--set ports\.api=9090/ },
    { text: otherPort, args: ["--set", "ports.api=9090"] },
    {
      text: slow,
      args: [],
      refused: /:1:20: shutdown_timeout = "60s": .*after 40 s.*--set terminationGracePeriodSeconds=72/,
    },
    { text: slow, args: ["--set", "terminationGracePeriodSeconds=72"] },
    { text: "", args: ["--set", "terminationGracePeriodSeconds=28"], refused: /shutdown_timeout: .*after 28 s/ },
    { text: "", args: ["--set", "hostNetwork=true"], refused: /metrics\.port: with hostNetwork .*kubelet/ },
    { text: "metrics {\n  enabled = false\n}\n", args: ["--set", "hostNetwork=true"] },
  ];
  for (const { text, args, refused } of cases) {
    using config = new TextFile(text || 'log_level = "info"\n', ".hcl");
    const rendered = await render("--set-file", `config.content=${config.path}`, ...args);
    const validation = rendered.only("Job", "mermin-validate").spec.template.spec.containers[0];
    for (const { env } of [validation, partsOf(rendered.only("DaemonSet")).container]) {
      const ports = env.filter(({ name }: KubernetesObject) => name.startsWith("MERMIN_EXPECTED_"));
      const variables = Object.fromEntries(ports.map(({ name, value }: KubernetesObject) => [name, value]));
      const command = new Deno.Command("bin/mermin", { args: ["validate", config.path], env: variables });
      const output = await command.output();
      const stderr = new TextDecoder().decode(output.stderr);
      assert.equal(output.code, refused ? 2 : 0, stderr);
      if (refused) assert.match(stderr, refused);
    }
  }
});
