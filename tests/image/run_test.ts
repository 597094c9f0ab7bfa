/** Containers that see real traffic, with the rights that docs/containers.md and the chart give them. */

import assert from "node:assert/strict";
import { Instance, prepareBpffs } from "../harness/agent.ts";
import { Collector } from "../harness/collector.ts";
import { type End, Network } from "../harness/netns.ts";
import type { SpanRecord } from "../harness/otlp_json.ts";
import { run } from "../harness/process.ts";
import { pins } from "../harness/programs.ts";
import { Container, loadImage } from "./container.ts";

const PINGS = 5;
/** The filter of system calls of older podmans knows no bpf(2) without CAP_SYS_ADMIN. */
const HARDENED = [
  ...["--cap-drop=ALL", "--read-only", "--read-only-tmpfs=false"],
  ...["--security-opt=no-new-privileges", "--security-opt=seccomp=unconfined"],
];

interface Wishes {
  watched: End;
  endpoint: string;
  onExit: "keep" | "detach";
  /** Where the interface is. */
  network?: "auto" | "host";
}

function config({ watched, endpoint, onExit, network = "auto" }: Wishes): string {
  return `
log_format = "text"
on_exit = "${onExit}"
discovery "instrument" {
  interfaces = ["${watched.interfaceName}"]
  network_namespace = "${network}"
}
export "traces" {
  otlp = {
    endpoint = "${endpoint}"
    protocol = "grpc"
    max_batch_interval = "200ms"
  }
}
`;
}

async function ping(from: End, to: End, count: number): Promise<void> {
  await from.namespace.run(["ping", "-c", `${count}`, "-i", "0.1", to.ipv4]);
}

/** The spans of the pings to `to`, in their order. */
function pinged(spans: SpanRecord[], to: End): SpanRecord[] {
  const ours = spans.filter(({ attributes }) => attributes["destination.address"] === to.ipv4);
  return ours.sort((a, b) => Number(a.startNs - b.startNs));
}

/** Regular files that a container has written into its root, but for those that podman writes. */
async function writtenBy(container: Container): Promise<string[]> {
  const layer = await container.inspect("{{.GraphDriver.Data.UpperDir}}");
  const found = await run(["find", layer, "-type", "f", "-printf", "%P\n"]);
  const podmans = /^(etc\/(hosts|hostname|resolv\.conf|mermin\/config\.hcl)|run\/\.containerenv|)$/;
  return found.split("\n").filter((path) => !podmans.test(path));
}

const cases: { name: string; rights: string[]; isPod: boolean }[] = [
  { name: "privileged, in the host's network", rights: ["--privileged"], isPod: false },
  {
    name: "with three capabilities and a read-only root",
    rights: [...HARDENED, "--cap-add=BPF,NET_ADMIN,PERFMON"],
    isPod: false,
  },
  { name: "as the chart has it", rights: ["--privileged", "--read-only", "--read-only-tmpfs=false"], isPod: true },
  {
    name: "as the chart's restricted profile has it",
    rights: [...HARDENED, "--cap-add=BPF,NET_ADMIN,PERFMON,SYS_ADMIN,SYS_PTRACE"],
    isPod: true,
  },
];
for (const { name, rights, isPod } of cases) {
  Deno.test(`a container sees what passes, is healthy and stops in order: ${name}`, async () => {
    await prepareBpffs();
    const image = await loadImage();
    await using network = await Network.create();
    const { left, right } = network;
    // A pod has a network of its own, and reaches the host's through the namespaces of the host's first process.
    await using first = left.namespace.start(["cat"]);
    const pod = ["-v", `/proc/${first.pid}/ns:/host/ns:ro`, "--env=MERMIN_HOST_NETNS=/host/ns/net"];
    const own = isPod ? right : left;
    await using collector = await Collector.start("file", {}, own.namespace);
    await using instance = new Instance();
    const endpoint = collector.grpcEndpoint;
    await using container = await Container.start({
      image,
      network: own.namespace,
      config: config({ watched: left, endpoint, onExit: "detach", network: isPod ? "host" : "auto" }),
      rights: isPod ? [...rights, ...pod] : rights,
      instance: instance.name,
    });
    await run(["podman", "healthcheck", "run", container.name]);
    assert.equal(await container.inspect("{{.State.Health.Status}}"), "healthy");
    const livez = await container.exec(["wget", "-q", "-O-", "http://localhost:8080/livez"]);
    assert.deepEqual([livez.code, JSON.parse(livez.stdout).status], [0, "ok"]);
    assert.match((await container.exec(["ip", "link", "show"])).stdout, new RegExp(`: ${own.interfaceName}@`));

    await ping(left, right, PINGS);
    assert.equal(await container.stop(), 0, await container.logs());
    const [span, ...more] = pinged(await collector.stop(), right);
    assert.deepEqual(more, []);
    const { attributes } = span;
    assert.equal(attributes["network.interface.name"], left.interfaceName);
    assert.deepEqual([attributes["flow.packets.total"], attributes["flow.reverse.packets.total"]], [PINGS, PINGS]);
    assert.doesNotMatch(await container.logs(), /level=(warn|error)/);
    assert.deepEqual(await writtenBy(container), []);
    assert.deepEqual(await pins(instance.name), []);
  });
}

Deno.test("the next container goes on with what the last one left, and cleanup removes it", async () => {
  await prepareBpffs();
  const image = await loadImage();
  await using network = await Network.create();
  const { left, right } = network;
  await using collector = await Collector.start("file", {}, left.namespace);
  await using instance = new Instance();
  const options = {
    image,
    network: left.namespace,
    config: config({ watched: left, endpoint: collector.grpcEndpoint, onExit: "keep" }),
    rights: [...HARDENED, "--cap-add=BPF,NET_ADMIN,PERFMON"],
    instance: instance.name,
  };
  for (let round = 0; round < 2; round++) {
    {
      await using container = await Container.start(options);
      await ping(left, right, PINGS);
      assert.equal(await container.stop(), 0, await container.logs());
    }
    // Nobody is there, and the programs go on counting.
    if (round === 0) await ping(left, right, PINGS);
  }
  const spans = pinged(await collector.stop(), right);
  const packets = spans.map(({ attributes }) => Number(attributes["flow.packets.delta"]));
  assert.equal(packets.reduce((sum, count) => sum + count, 0), 3 * PINGS);
  assert.notDeepEqual(await pins(instance.name), []);

  const cleanup = ["cleanup", "--instance", instance.name];
  await run([
    ...[
      "podman",
      "run",
      "--rm",
      `--network=ns:${left.namespace.path}`,
      "--privileged",
      "-v",
      "/sys/fs/bpf:/sys/fs/bpf",
    ],
    ...[image, ...cleanup],
  ]);
  assert.deepEqual(await pins(instance.name), []);
});
