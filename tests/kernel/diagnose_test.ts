/** `mermin diagnose bpf` on a real interface, and where something is missing. */

import assert from "node:assert/strict";
import { agentPath, PublicCopy } from "../harness/agent.ts";
import { Network } from "../harness/netns.ts";
import { tryRun } from "../harness/process.ts";
import { attachedPrograms } from "../harness/programs.ts";
import { Traffic } from "../harness/traffic.ts";

interface Check {
  check: string;
  status: string;
  detail: string;
  advice?: string;
}

/** Without any capability, as any user. */
const AS_NOBODY = ["--reuid=65534", "--regid=65534", "--clear-groups"];

Deno.test("diagnose bpf attaches to the interfaces asked for by TCX and clsact, and leaves no program", async () => {
  const traffic = await Traffic.build();
  await using network = await Network.create();
  const { left } = network;
  const { namespace, interfaceName } = left;
  const { code, stdout, stderr } = await namespace.tryRun([agentPath(), "diagnose", "bpf", "--pattern", "mm*"]);
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, new RegExp(`attached to both directions of ${interfaceName} for a moment`));
  assert.match(stdout, new RegExp(`^${interfaceName} +ok +attached and detached: TCX, clsact$`, "m"));
  assert.match(stdout, /All 7 checks are well\.\n$/);
  assert.deepEqual(await attachedPrograms(traffic, left), { ingress: [], egress: [] });

  const json = await namespace.tryRun([agentPath(), "diagnose", "bpf", "--json", "--interface", interfaceName]);
  assert.equal(json.code, 0, json.stderr);
  const { ok, checks }: { ok: boolean; checks: Check[] } = JSON.parse(json.stdout);
  assert.equal(ok, true);
  assert.deepEqual(checks.map(({ check, status }) => `${check} ${status}`), [
    ...["kernel ok", "capabilities ok", "BPF file system ok", "BTF ok", "maps, programs ok", "interfaces ok"],
    `${interfaceName} ok`,
  ]);
});

Deno.test("diagnose bpf tries what a configuration says, in the namespace that it names", async () => {
  await using network = await Network.create();
  const { namespace, interfaceName } = network.left;
  const config = await Deno.makeTempFile({ suffix: ".hcl" });
  try {
    for (
      const [pattern, code, says] of [["mm*", 0, "match the patterns of the configuration"], ["eth77", 1, "set disc"]]
    ) {
      const text = `discovery "instrument" {
  interfaces = ["${pattern}"]
  network_namespace = "${namespace.path}"
}
`;
      await Deno.writeTextFile(config, text);
      const result = await tryRun([agentPath(), "diagnose", "bpf", "--config", config]);
      assert.equal(result.code, code, result.stdout + result.stderr);
      assert.ok(result.stdout.includes(String(says)), result.stdout);
      assert.equal(result.stdout.includes(`directions of ${interfaceName}`), code === 0);
    }
  } finally {
    await Deno.remove(config);
  }
});

Deno.test("diagnose bpf fails for an interface that is not there, and lists those there are", async () => {
  await using network = await Network.create();
  const { namespace, interfaceName } = network.left;
  const { code, stdout } = await namespace.tryRun([agentPath(), "diagnose", "bpf", "--interface", "eth77"]);
  assert.equal(code, 1);
  assert.match(stdout, new RegExp(`no interface eth77; there are lo, ${interfaceName}\n +→ name one`));
});

Deno.test("diagnose bpf without rights says of each check that fails what to do", async () => {
  await using copy = await PublicCopy.create();
  const { path, directory } = copy;
  const env = { HOME: directory, DENO_DIR: `${directory}/cache` };
  const { code, stdout, stderr } = await tryRun(
    ["setpriv", ...AS_NOBODY, path, "diagnose", "bpf", "--json"],
    "",
    env,
  );
  assert.equal(code, 1, stdout + stderr);
  const { ok, checks }: { ok: boolean; checks: Check[] } = JSON.parse(stdout);
  assert.equal(ok, false);
  const bad = checks.filter(({ status }) => status !== "ok");
  assert.deepEqual(bad.map(({ check, status }) => `${check} ${status}`), [
    ...["capabilities failed", "maps, programs failed", "interfaces skipped"],
  ]);
  for (const { check, advice } of bad) assert.ok(advice, check);
  assert.match(bad[0].detail, /user 65534 lacks CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON/);
});

Deno.test("diagnose bpf without CAP_NET_ADMIN loads, and says that it may not attach", async () => {
  await using network = await Network.create();
  const { namespace, interfaceName } = network.left;
  const command = [
    "setpriv",
    "--bounding-set=-net_admin",
    agentPath(),
    "diagnose",
    "bpf",
    "--json",
    "--pattern",
    "mm*",
  ];
  const { code, stdout, stderr } = await namespace.tryRun(command);
  assert.equal(code, 1, stdout + stderr);
  const { checks }: { checks: Check[] } = JSON.parse(stdout);
  const bad = checks.filter(({ status }) => status !== "ok");
  assert.ok(bad.some(({ check, detail }) => check === "capabilities" && /CAP_NET_ADMIN/.test(detail)), stdout);
  assert.ok(bad.some(({ check }) => check === interfaceName || check === "maps, programs"), stdout);
  for (const { check, advice } of bad) assert.ok(advice, check);
});
