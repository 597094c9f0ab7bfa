/** `packaging/mermin.service`, as far as it can be tried without systemd as the first process. */

import assert from "node:assert/strict";
import { Instance, prepareBpffs } from "../harness/agent.ts";
import { Network } from "../harness/netns.ts";
import { Process, run, tryRun } from "../harness/process.ts";
import { temporary } from "../harness/temporary.ts";
import { ANYTHING, executablePath } from "./executables.ts";

const unit = Deno.readTextFileSync(new URL("../../packaging/mermin.service", import.meta.url));

/** What a unit without hardening has is 9.6; 3.0 is what systemd still calls OK. */
const MOST_EXPOSED = 3;

Deno.test("systemd understands every line of the service, and finds little that is exposed", async () => {
  await using directory = await temporary("executable");
  const path = `${directory.path}/mermin.service`;
  await Deno.writeTextFile(path, unit.replace("/usr/local/bin/mermin", await executablePath()));
  const verified = await tryRun([...ANYTHING, "systemd-analyze", "verify", "--man=no", path]);
  assert.deepEqual(verified, { code: 0, stdout: "", stderr: "" });
  const options = ["--no-pager", "--offline=yes", `--threshold=${MOST_EXPOSED * 10}`];
  const { code, stdout } = await tryRun([...ANYTHING, "systemd-analyze", "security", ...options, path]);
  assert.equal(code, 0, stdout);
});

Deno.test("the service's capabilities suffice, without a home directory", async () => {
  await prepareBpffs();
  const executable = await executablePath();
  const [, names] = /^CapabilityBoundingSet=(.*)$/m.exec(unit)!;
  const bounding = ["-all", ...names.split(" ").map((name) => name.replace("CAP_", "+").toLowerCase())].join(",");
  await using directory = await temporary("executable");
  await using network = await Network.create();
  const { left, right } = network;
  await using instance = new Instance();
  const config = `${directory.path}/mermin.hcl`;
  await Deno.writeTextFile(
    config,
    `on_exit = "detach"
discovery "instrument" { interfaces = ["${left.interfaceName}"] }
export "traces" { stdout = "json" }
`,
  );
  const as = ["setpriv", `--bounding-set=${bounding}`, "--no-new-privs", "env", "-i"];
  const command = [executable, "--config", config, "--instance", instance.name];
  await using agent = Process.start(
    left.namespace.command([...as, `MERMIN_CACHE_DIR=${directory.path}/cache`, ...command]),
  );
  await agent.waitForLine(/"started"/);
  const capabilities = await run(["cat", `/proc/${agent.pid}/status`]);
  // Bits 12 (NET_ADMIN), 38 (PERFMON) and 39 (BPF) of linux/capability.h.
  assert.match(capabilities, /^CapEff:\t000000c000001000$/m);
  await left.namespace.run(["ping", "-c", "1", right.ipv4]);
  agent.signal("SIGTERM");
  assert.equal((await agent.exited).code, 0, agent.output);
  assert.equal(agent.stdout.some((line) => line.includes(right.ipv4)), true, agent.output);
});
