/** The network of the host, as a pod without its processes and privileges reaches it: through the host's `/proc/1/ns`. */

import assert from "node:assert/strict";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { Network } from "../harness/netns.ts";
import { run } from "../harness/process.ts";
import { temporary } from "../harness/temporary.ts";

/** As the chart's restricted profile. */
const RESTRICTED = ["setpriv", "--bounding-set=-all,+bpf,+net_admin,+perfmon,+sys_admin,+sys_ptrace", "--no-new-privs"];
/** Binds $1, a directory `/proc/PID/ns`, to $2, read-only, where only the rest of the arguments sees it. */
const WITH_NAMESPACES = 'mount --bind "$1" "$2" && mount -o remount,ro,bind "$2" && shift 2 && exec "$@"';

Deno.test("an agent enters the network that MERMIN_HOST_NETNS names, with the chart's capabilities", async () => {
  await prepareBpffs();
  await using network = await Network.create();
  const { left, right } = network;
  await using first = left.namespace.start(["cat"]);
  await using folder = await temporary("host");
  const directory = folder.path;
  await using instance = new Instance();
  const watch = { interfaceName: left.interfaceName, namespacePath: "host" };
  const settings = { watch, extra: `export "traces" { stdout = "json" }` };
  const wrap = (command: string[]) => [
    ...["unshare", "-m", "sh", "-c", WITH_NAMESPACES, "sh", `/proc/${first.pid}/ns`, directory],
    ...[...RESTRICTED, ...command],
  ];
  const env = { MERMIN_HOST_NETNS: `${directory}/net` };
  await using agent = await Agent.start(settings, { instance: instance.name, env, wrap });
  assert.match(await run(["cat", `/proc/${agent.process.pid}/status`]), /^CapEff:\t000000c000281000$/m);
  await left.namespace.run(["ping", "-c", "1", right.ipv4]);
  assert.equal(await agent.stop(), 0, agent.process.output);
  assert.equal(agent.process.stdout.some((line) => line.includes(right.ipv4)), true, agent.process.output);
});
