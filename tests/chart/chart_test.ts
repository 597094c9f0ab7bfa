/** The chart as the real Helm renders it. */

import assert from "node:assert/strict";
import { parse } from "yaml";
import { helm, type KubernetesObject, partsOf, render, TextFile } from "./helm.ts";

const GUIDE_FOLDER = "tests/chart/guide";
const GUIDE_VALUES = `${GUIDE_FOLDER}/values.yaml`;
const GUIDE_CONFIG = "tests/config/guide/config.hcl";
const GUIDE = ["-f", GUIDE_VALUES, "--set-file", `config.content=${GUIDE_CONFIG}`];

Deno.test("helm lint finds nothing", async () => {
  for (const args of [[], GUIDE]) {
    const { code, stdout } = await helm("lint", "--strict", "charts/mermin", ...args);
    assert.equal(code, 0, stdout);
  }
});

Deno.test("the guide's files render, and their configuration is one that the agent takes", async () => {
  for (const args of [[], ["-f", GUIDE_VALUES], GUIDE]) {
    const rendered = await render(...args);
    const contents = ["mermin", "mermin-validate"].map((name) => rendered.only("ConfigMap", name).data["config.hcl"]);
    assert.equal(contents[0], contents[1], "what is validated is what runs");
    using file = new TextFile(contents[0], ".hcl");
    const { code, stdout, stderr } = await new Deno.Command("bin/mermin", { args: ["validate", file.path] }).output();
    const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
    assert.equal(code, 0, said);
  }
  const rendered = await render(...GUIDE);
  assert.equal(rendered.only("ConfigMap").data["config.hcl"], await Deno.readTextFile(GUIDE_CONFIG));
  const { spec, container } = partsOf(rendered.only("DaemonSet"));
  assert.equal(container.image, "ghcr.io/elastiflow/mermin:latest");
  assert.equal(spec.hostPID, true);
  assert.deepEqual(container.resources.limits, { cpu: 1, memory: "512Mi" });
  assert.deepEqual(spec.tolerations, [{ effect: "NoSchedule", operator: "Exists" }]);
});

Deno.test("the guide's other values arrive word for word", async () => {
  const names = ["low_traffic", "medium_traffic", "high_traffic", "private_image", "affinity", "priority", "host_pid"];
  const found = [...Deno.readDirSync(GUIDE_FOLDER)].map(({ name }) => name).sort();
  assert.deepEqual(found, [...names, "values"].map((name) => `${name}.yaml`).sort());
  for (const name of names) {
    const path = `${GUIDE_FOLDER}/${name}.yaml`;
    const { image, config, imagePullSecrets, ...rest } = parse(await Deno.readTextFile(path));
    const { spec, container } = partsOf((await render(...GUIDE, "-f", path)).only("DaemonSet"));
    const given = { ...spec, resources: container.resources };
    for (const [key, value] of Object.entries(rest)) assert.deepEqual(given[key], value, `${name}: ${key}`);
    if (config) assert.equal(spec.hostPID, config.hostPidEnrichment);
    if (image) {
      assert.equal(container.image, `${image.repository}:${image.tag}`);
      assert.deepEqual([container.imagePullPolicy, spec.imagePullSecrets], [image.pullPolicy, imagePullSecrets]);
    }
  }
});

Deno.test("the chart takes the values of the documentation", async () => {
  const pages = [...Deno.readDirSync("docs")].filter(({ name }) => name.endsWith(".md"));
  const blocks = pages.flatMap(({ name }) => [
    ...Deno.readTextFileSync(`docs/${name}`).matchAll(/^```yaml values\n(.*?)^```$/gms),
  ]);
  assert.ok(blocks.length > 0, "the examples are missing");
  for (const [, text] of blocks) {
    using file = new TextFile(text, ".yaml");
    (await render("-f", file.path)).only("DaemonSet");
  }
});

Deno.test("names and labels are those of the guide's commands", async () => {
  const rendered = await render();
  for (const kind of ["DaemonSet", "ServiceAccount", "ClusterRole", "ClusterRoleBinding"]) {
    assert.equal(rendered.only(kind).metadata.name, "mermin", kind);
    assert.equal(rendered.only(kind).metadata.labels["app.kubernetes.io/name"], "mermin", kind);
  }
  const daemonSet = rendered.only("DaemonSet");
  const { metadata, spec, container } = partsOf(daemonSet);
  assert.deepEqual(daemonSet.spec.selector.matchLabels, {
    "app.kubernetes.io/name": "mermin",
    "app.kubernetes.io/instance": "mermin",
  });
  assert.equal(metadata.labels["app.kubernetes.io/name"], "mermin");
  assert.deepEqual(daemonSet.spec.updateStrategy, {
    type: "RollingUpdate",
    rollingUpdate: { maxUnavailable: 1, maxSurge: 0 },
  });
  assert.equal(container.securityContext.privileged, true);
  assert.equal(container.securityContext.readOnlyRootFilesystem, true);
  assert.equal(spec.hostPID, false);
  const path = (name: string) => container[name].httpGet.path;
  assert.deepEqual(["startupProbe", "livenessProbe", "readinessProbe"].map(path), ["/startup", "/livez", "/readyz"]);
  for (const other of rendered.objects.filter(({ kind }) => kind === "Job" || kind === "Pod")) {
    const labels = other.kind === "Job" ? other.spec.template.metadata.labels : other.metadata.labels;
    assert.notEqual(labels["app.kubernetes.io/name"], "mermin", "the guide lists one pod a node");
  }
});

Deno.test("a label stands once: the selector's stay, a pod's own win over the common ones, and these over the chart's", async () => {
  const labels = (name: string, value: string) => ["--set-string", `${name}.team=${value}`];
  const selector = "commonLabels.app\\.kubernetes\\.io/instance=other,commonLabels.app\\.kubernetes\\.io/version=2";
  const args = [...labels("commonLabels", "all"), ...labels("podLabels", "pod"), "--set-string", selector];
  const { metadata, spec } = (await render(...args)).only("DaemonSet");
  assert.deepEqual([metadata.labels.team, spec.template.metadata.labels.team], ["all", "pod"]);
  for (const labels of [metadata.labels, spec.template.metadata.labels]) {
    assert.equal(labels["app.kubernetes.io/instance"], "mermin");
    assert.equal(labels["app.kubernetes.io/version"], "2");
  }
});

Deno.test("Kubernetes 1.20 is not told what it does not know", async () => {
  const strategy = async (version: string) =>
    (await render("--kube-version", version)).only("DaemonSet").spec.updateStrategy.rollingUpdate;
  assert.deepEqual(await strategy("v1.20.15"), { maxUnavailable: 1 });
  assert.deepEqual(await strategy("v1.21.0"), { maxUnavailable: 1, maxSurge: 0 });
});

Deno.test("the node's network is reached without its processes", async () => {
  const { spec, container } = partsOf((await render("--set", "config.hostPidEnrichment=false")).only("DaemonSet"));
  assert.equal(spec.hostPID, false);
  const [volume] = spec.volumes.filter((volume: KubernetesObject) => volume.hostPath?.path === "/proc/1/ns");
  const [mount] = container.volumeMounts.filter(({ name }: KubernetesObject) => name === volume.name);
  const [variable] = container.env.filter(({ name }: KubernetesObject) => name === "MERMIN_HOST_NETNS");
  assert.deepEqual([variable.value, mount.readOnly], [`${mount.mountPath}/net`, true]);
});

Deno.test("the restricted profile has the capabilities that it needs, or those that are named", async () => {
  const core = ["BPF", "NET_ADMIN", "PERFMON"];
  const cases: [values: string, add: string[]][] = [
    ["hostNetwork=false", [...core, "SYS_ADMIN", "SYS_PTRACE"]],
    ["hostNetwork=true,ports.metrics=9090", core],
    ["security.capabilities={BPF}", ["BPF"]],
  ];
  for (const [values, add] of cases) {
    const rendered = await render("--set", `security.profile=restricted,${values}`);
    assert.deepEqual(partsOf(rendered.only("DaemonSet")).container.securityContext, {
      readOnlyRootFilesystem: true,
      privileged: false,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"], add },
    });
  }
});

Deno.test("in the node's network the agent enters no other", async () => {
  const { spec, container } = partsOf((await render("--set", "hostNetwork=true,ports.metrics=9090")).only("DaemonSet"));
  const [variable] = container.env.filter(({ name }: KubernetesObject) => name === "MERMIN_HOST_NETNS");
  assert.equal(variable.value, "/proc/self/ns/net");
  assert.equal(spec.volumes.some(({ name }: KubernetesObject) => name === "host-ns"), false);
});

Deno.test("pods restart when the content of the configuration changes, and only if wanted", async () => {
  const checksum = async (...args: string[]) =>
    partsOf((await render(...args)).only("DaemonSet")).metadata.annotations?.["checksum/config"];
  const first = await checksum("--set", "config.content=a");
  assert.equal(await checksum("--set", "config.content=a", "--set", "podLabels.x=y"), first);
  assert.notEqual(await checksum("--set", "config.content=b"), first);
  assert.equal(await checksum("--set", "config.restartOnConfigChange=false"), undefined);
});

Deno.test("another chart may depend on this one and switch it by a condition", async () => {
  (await render("--set", "enabled=true,global.any=thing")).only("DaemonSet");
});

Deno.test("the dashboard is a ConfigMap that Grafana's sidecar finds", async () => {
  const dashboard = async (...args: string[]) =>
    (await render("--set", "dashboard.enabled=true", ...args)).only("ConfigMap", "mermin-dashboard");
  const { metadata, data } = await dashboard();
  assert.equal(metadata.labels.grafana_dashboard, "1");
  assert.equal(JSON.parse(data["mermin.json"]).uid, "mermin");
  const other = await dashboard(
    "--set-string",
    "dashboard.labels.grafana_dashboard=mine,dashboard.annotations.folder=Net",
  );
  assert.deepEqual([other.metadata.labels.grafana_dashboard, other.metadata.annotations.folder], ["mine", "Net"]);
  const isDashboard = ({ kind, metadata }: KubernetesObject) =>
    kind === "ConfigMap" && metadata.name === "mermin-dashboard";
  assert.equal((await render()).objects.some(isDashboard), false);
});

Deno.test("RBAC reads what it names and writes nothing", async () => {
  const role = async (...args: string[]) => (await render(...args)).only("ClusterRole").rules;
  for (const { verbs } of await role()) assert.deepEqual(verbs, ["get", "list", "watch"]);
  assert.deepEqual(await role("--set", "rbac.kinds={Pod,Service,EndpointSlice}"), [
    { apiGroups: [""], resources: ["pods", "services"], verbs: ["get", "list", "watch"] },
    { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["get", "list", "watch"] },
  ]);
  const own = (await render("--set", "rbac.kinds={Pod}")).only("Role").rules;
  assert.deepEqual(own, [
    { apiGroups: [""], resources: ["pods"], verbs: ["get", "list"] },
    { apiGroups: ["apps"], resources: ["daemonsets"], resourceNames: ["mermin"], verbs: ["get"] },
  ], "on_exit = auto asks for its own DaemonSet, helm test for all agents");
  const without = await render("--set", "rbac.create=false");
  assert.equal(without.objects.some(({ kind }) => kind.includes("Role")), false);
});

Deno.test("switches and lists for more arrive where they belong", async () => {
  const values = `
fullnameOverride: flows
image: { repository: registry.example/mermin, digest: "sha256:${"a".repeat(64)}", pullPolicy: Always }
imagePullSecrets: [{ name: secret }]
serviceAccount: { create: false, name: mine }
ports: { api: 18080, metrics: 19090 }
commonLabels: { team: net }
podLabels: { pod: "yes" }
podAnnotations: { note: "1" }
nodeSelector: { disk: ssd }
affinity: { nodeAffinity: {} }
priorityClassName: system-node-critical
hostNetwork: true
dnsConfig: { nameservers: [10.0.0.10] }
env: [{ name: A, value: b }]
envFrom: [{ secretRef: { name: token } }]
extraArgs: [--log-level=debug]
extraVolumes: [{ name: ca, secret: { secretName: ca } }]
extraVolumeMounts: [{ name: ca, mountPath: /ca }]
podMonitor: { enabled: true, labels: { release: prometheus } }
networkPolicy: { enabled: true, from: [{ namespaceSelector: {} }] }
extraObjects:
  - { apiVersion: v1, kind: ConfigMap, metadata: { name: "{{ .Release.Name }}-more" } }
`;
  using file = new TextFile(values, ".yaml");
  const rendered = await render("-f", file.path);
  const { metadata, spec, container } = partsOf(rendered.only("DaemonSet", "flows"));
  assert.equal(container.image, `registry.example/mermin@sha256:${"a".repeat(64)}`);
  assert.deepEqual(container.ports.map(({ containerPort }: KubernetesObject) => containerPort), [18080, 19090]);
  assert.deepEqual([spec.imagePullSecrets, spec.serviceAccountName], [[{ name: "secret" }], "mine"]);
  assert.deepEqual([metadata.labels.team, metadata.labels.pod, metadata.annotations.note], ["net", "yes", "1"]);
  assert.deepEqual([spec.nodeSelector, spec.priorityClassName], [{ disk: "ssd" }, "system-node-critical"]);
  assert.deepEqual([spec.hostNetwork, spec.dnsPolicy], [true, "ClusterFirstWithHostNet"]);
  assert.deepEqual(spec.dnsConfig, { nameservers: ["10.0.0.10"] });
  assert.deepEqual(container.args, ["--config=/etc/mermin/config.hcl", "--log-level=debug"]);
  assert.equal(container.env.some(({ name }: KubernetesObject) => name === "A"), true);
  assert.deepEqual(container.envFrom, [{ secretRef: { name: "token" } }]);
  assert.equal(container.volumeMounts.some(({ mountPath }: KubernetesObject) => mountPath === "/ca"), true);
  assert.equal(rendered.objects.some(({ kind }) => kind === "ServiceAccount"), false);
  assert.equal(rendered.only("PodMonitor", "flows").metadata.labels.release, "prometheus");
  const test = rendered.only("Pod", "flows-test");
  const { from } = rendered.only("NetworkPolicy", "flows").spec.ingress[0];
  const [, { podSelector: { matchLabels } }] = from;
  assert.deepEqual([from.length, from[0]], [2, { namespaceSelector: {} }]);
  for (const [name, value] of Object.entries(matchLabels)) assert.equal(test.metadata.labels[name], value, name);
  assert.deepEqual(test.spec.containers[0].args.slice(-5), [
    "default",
    "flows",
    "app.kubernetes.io/name=mermin,app.kubernetes.io/instance=mermin",
    "18080",
    "60",
  ]);
  assert.equal(test.spec.serviceAccountName, "mine");
  rendered.only("ConfigMap", "mermin-more");
});

Deno.test("templates bear every value that an older chart lacked", async () => {
  const names = Object.keys(parse(await Deno.readTextFile("charts/mermin/values.yaml")));
  const gone = names.filter((name) => name !== "config");
  const nested = ["format", "validate", "hostPidEnrichment", "restartOnConfigChange"].map((name) => `config.${name}`);
  const { only } = await render("--set", [...gone, ...nested].map((name) => `${name}=null`).join(","));
  const { container } = partsOf(only("DaemonSet"));
  assert.equal(container.image, "ghcr.io/elastiflow/mermin:0.1.0");
  assert.deepEqual(container.ports.map(({ containerPort }: KubernetesObject) => containerPort), [8080, 10250]);
  assert.equal(only("ClusterRole").rules.length, 6);
});
