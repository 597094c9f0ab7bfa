/** What goes wrong on a user's machine: each message says what to do, each exit code is the documented one. */

import assert from "node:assert/strict";
import { Agent, agentPath, Instance, prepareBpffs, PublicCopy } from "../harness/agent.ts";
import { type AgentSettings, watch } from "../harness/agent_config.ts";
import { Network } from "../harness/netns.ts";
import { run, tryRun } from "../harness/process.ts";
import { attachedPrograms, pins } from "../harness/programs.ts";
import { Traffic } from "../harness/traffic.ts";
import { until } from "../harness/wait.ts";

/** A shell that covers bpffs in a mount namespace of its own before it becomes the agent. */
const WITHOUT_BPFFS = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o ro tmpfs /sys/fs/bpf && exec "$0" "$@"'];
const AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
/** The tests may only run programs whose path is known beforehand; this one may run any. */
const ANYTHING = ["setpriv", "--pdeathsig", "KILL", "--"];
/** As most containers are, which on 5.10 also means that the limit of locked memory cannot be raised. */
const WITHOUT_SYS_RESOURCE = ["setpriv", "--bounding-set=-sys_resource"];
/** Number of that capability (linux/capability.h). */
const CAP_SYS_RESOURCE = 24n;

/** Which is no message. */
const STACK_TRACE = /^\s+at .*\.(ts|js):\d+/m;

const fatal: {
  name: string;
  settings: Partial<AgentSettings>;
  code: number;
  says: RegExp[];
}[] = [
  {
    name: "a misspelt setting",
    settings: { span: { tcp_timout: "5s" } as AgentSettings["span"] },
    code: 2,
    says: [/agent\.hcl:\d+:\d+/, /tcp_timout/, /tcp_timeout/],
  },
  {
    name: "a wrong value",
    settings: { pollInterval: "soon" },
    code: 2,
    says: [/agent\.hcl:\d+:\d+/, /pipeline\.flow_producer\.flow_store_poll_interval/, /soon/],
  },
  {
    name: "a file that is no HCL",
    settings: { extra: "span {" },
    code: 2,
    says: [/agent\.hcl:\d+:\d+/],
  },
];
for (const { name, settings, code, says } of fatal) {
  Deno.test(`${name} ends the agent with ${code} and a message that says what to do`, async () => {
    await prepareBpffs();
    const traffic = await Traffic.build();
    await using network = await Network.create();
    const { left } = network;
    await using instance = new Instance();
    await using agent = await Agent.launch({ watch: watch(left), ...settings }, { instance: instance.name });
    const result = await agent.result();
    assert.equal(result.code, code, result.stderr);
    for (const pattern of says) assert.match(result.stderr, pattern);
    assert.doesNotMatch(result.stderr, STACK_TRACE);
    assert.deepEqual(await attachedPrograms(traffic, left), { ingress: [], egress: [] });
    assert.deepEqual(await pins(instance.name), []);
  });
}

for (const server of ["api", "metrics"] as const) {
  Deno.test(`a taken ${server} port is told of, the agent goes on, and listens when the port is free`, async () => {
    await prepareBpffs();
    const traffic = await Traffic.build();
    await using network = await Network.create();
    const { left } = network;
    const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = taken.addr;
    await using instance = new Instance();
    const settings = { watch: watch(left), [`${server}Port`]: port };
    await using agent = await Agent.launch(settings, { instance: instance.name });
    try {
      const line = await agent.process.waitForLine(/event=cannot_listen/);
      assert.match(line, new RegExp(`port ${port} \\(${server}\\): another program has this port; .*${server}\\.port`));
      await agent.process.waitForLine(/event=started/);
      const { ingress, egress } = await attachedPrograms(traffic, left);
      assert.deepEqual([ingress.length, egress.length], [1, 1]);
    } finally {
      taken.close();
    }
    await agent.process.waitForLine(/event=listening/);
    const response = await fetch(`http://127.0.0.1:${port}${server === "api" ? "/livez" : "/metrics"}`);
    assert.equal(response.status, 200);
    await response.body?.cancel();
    assert.equal(await agent.stop(), 0, agent.process.output);
  });
}

Deno.test("a user without rights ends the agent with 1 and a message that names what is missing", async () => {
  await using copy = await PublicCopy.create();
  await using network = await Network.create();
  const { path, directory } = copy;
  const env = { HOME: directory, DENO_DIR: `${directory}/cache` };
  const wrap = (command: string[]) => [...AS_NOBODY, ...command];
  await using agent = await Agent.launch({ watch: watch(network.left) }, { program: path, env, wrap });
  const { code, stderr } = await agent.result();
  assert.equal(code, 1, stderr);
  assert.match(stderr, /root|CAP_BPF/);
  assert.doesNotMatch(stderr, STACK_TRACE);
});

Deno.test("a second agent of the same instance ends with 1 and a message that says what to do; the first goes on", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left } = network;
  await using instance = new Instance();
  await using agent = await Agent.start({ watch: watch(left) }, { instance: instance.name });
  const hooks = await attachedPrograms(traffic, left);
  await using second = await Agent.launch({ watch: watch(left) }, { instance: instance.name });
  const { code, stderr } = await second.result();
  assert.equal(code, 1, stderr);
  assert.match(
    stderr,
    /another agent runs as instance .*; stop it, or give this agent a name of its own with --instance/,
  );
  assert.doesNotMatch(stderr, STACK_TRACE);
  assert.deepEqual(await attachedPrograms(traffic, left), hooks);
  assert.equal(await agent.stop(), 0, agent.process.output);
});

Deno.test("a missing library ends the agent with 1 and a message that says how to build it", async () => {
  await using copy = await PublicCopy.create();
  await Deno.remove(`${copy.directory}/bin/libmermin_loader.so`);
  for (const args of [[], ["cleanup"]]) {
    const { code, stderr } = await tryRun([...ANYTHING, copy.path, ...args]);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /Cannot load .*libmermin_loader\.so: .*; run deno task build/);
    assert.doesNotMatch(stderr, STACK_TRACE);
  }
  const version = await tryRun([...ANYTHING, copy.path, "--version"]);
  assert.deepEqual([version.code, version.stderr], [0, ""], "which needs no library");
});

Deno.test("a configuration that can be read only once ends the agent with 2 and a message that says why", async () => {
  for (const path of ["/dev/stdin", "/dev/fd/63"]) {
    const { code, stderr } = await tryRun([agentPath(), "--config", path], 'log_level = "info"\n');
    assert.equal(code, 2, stderr);
    assert.match(stderr, new RegExp(`Cannot read "${path}": it must be a regular file`));
    assert.doesNotMatch(stderr, STACK_TRACE);
  }
});

Deno.test("SIGINT stops the agent in order, as SIGTERM does", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left } = network;
  await using instance = new Instance();
  await using agent = await Agent.start({ watch: watch(left) }, { instance: instance.name });
  agent.process.signal("SIGINT");
  assert.equal((await agent.process.exited).code, 0, agent.process.output);
  assert.match(agent.process.output, /flows_closed/);
  assert.deepEqual(await attachedPrograms(traffic, left), { ingress: [], egress: [] });
});

Deno.test("without CAP_SYS_RESOURCE the agent works", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left, right } = network;
  await using instance = new Instance();
  const wrap = (command: string[]) => [...WITHOUT_SYS_RESOURCE, ...command];
  await using agent = await Agent.start({ watch: watch(left) }, { instance: instance.name, wrap });
  const status = await run(["cat", `/proc/${agent.process.pid}/status`]);
  for (const set of ["CapBnd", "CapEff"]) {
    const bits = BigInt(`0x${new RegExp(`^${set}:\\s+([0-9a-f]+)$`, "m").exec(status)![1]}`);
    assert.equal(bits >> CAP_SYS_RESOURCE & 1n, 0n, set);
  }
  await left.namespace.run(["ping", "-c", "3", "-i", "0.2", right.ipv4]);
  await until(
    "the pings to be counted",
    async () => (await agent.metrics()).sum(/^mermin_capture_packets_total\{.*outcome="counted"/) >= 6,
  );
  const { ingress, egress } = await attachedPrograms(traffic, left);
  assert.deepEqual([ingress.length, egress.length], [1, 1]);
  assert.equal(await agent.stop(), 0, agent.process.output);
});

Deno.test("a missing interface is waited for, with a warning that lists those there are", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left } = network;
  const late = { ...left, interfaceName: "late0" };
  await using instance = new Instance();
  await using agent = await Agent.launch({ watch: watch(late) }, { instance: instance.name });
  const line = await agent.process.waitForLine(/late0/);
  assert.match(line, new RegExp(left.interfaceName));
  await left.namespace.run(["ip", "link", "add", "late0", "type", "veth", "peer", "name", "late1"]);
  await left.namespace.run(["ip", "link", "set", "late0", "up"]);
  await until("the agent to attach to late0", async () => {
    const { ingress, egress } = await attachedPrograms(traffic, late);
    return ingress.length === 1 && egress.length === 1;
  });
  assert.equal(await agent.stop(), 0, agent.process.output);
});

Deno.test("without a bpffs the agent warns, runs unpinned and leaves nothing attached", async () => {
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left } = network;
  const wrap = (command: string[]) => [...WITHOUT_BPFFS, ...command];
  await using agent = await Agent.start({ watch: watch(left), onExit: "keep" }, { wrap });
  await agent.process.waitForLine(/\/sys\/fs\/bpf/);
  assert.equal((await agent.metrics()).sum(/^mermin_ebpf_bpf_fs_writable/), 0);
  const { ingress, egress } = await attachedPrograms(traffic, left);
  assert.deepEqual([ingress.length, egress.length], [1, 1]);
  assert.equal(await agent.stop(), 0, agent.process.output);
  await until("the hooks to be empty", async () => {
    const left_ = await attachedPrograms(traffic, left);
    return left_.ingress.length + left_.egress.length === 0;
  });
});
