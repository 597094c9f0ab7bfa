/** `dist/mermin` as a user gets it, in a root file system that holds nothing but the C library. */

import assert from "node:assert/strict";
import { Agent, Instance, prepareBpffs } from "../harness/agent.ts";
import { watch } from "../harness/agent_config.ts";
import { Network } from "../harness/netns.ts";
import { run, tryRun } from "../harness/process.ts";
import { temporary } from "../harness/temporary.ts";
import { ANYTHING, executablePath } from "./executables.ts";

/**
 * Covers the directory $1 with a file system of its own, puts the libraries $2 and the executable $3 there, and what the
 * kernel offers; then the rest of the arguments run with that as their root. Everything goes away with the last process.
 */
const IN_EMPTY_ROOT = `
set -eu
root=$1 libraries=$2 executable=$3
shift 3
mount -t tmpfs -o mode=755 tmpfs "$root"
for library in $libraries; do install -D "$library" "$root$library"; done
install "$executable" "$root/mermin"
for directory in /proc /sys /run/netns "$(dirname "$3")"; do
  mkdir -p "$root$directory"
  mount --rbind "$directory" "$root$directory"
done
cd "$root"
exec env -i "$(command -v chroot)" . "$@"
`;

/** Paths of the libraries that a program loads, from `ldd`. */
async function librariesOf(...files: string[]): Promise<string[]> {
  const listed = await run([...ANYTHING, "ldd", ...files]);
  return [...new Set([...listed.matchAll(/(?:=> |^\s+)(\/\S+) \(0x/gm)].map(([, path]) => path))];
}

Deno.test("the executable needs nothing but glibc, and sees what passes", async () => {
  await prepareBpffs();
  const executable = await executablePath();
  await using root = await temporary("executable");
  await using network = await Network.create();
  const { left, right } = network;
  const libraries = await librariesOf("bin/deno", "bin/mermin", "bin/libmermin_loader.so");
  const names = libraries.map((path) => path.slice(path.lastIndexOf("/") + 1).replace(/^ld-linux.*/, "ld-linux"))
    .sort();
  // docs/plain-hosts.md names them.
  assert.deepEqual(names, [
    "ld-linux",
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
  ]);

  await using instance = new Instance();
  const settings = { watch: watch(left), extra: `export "traces" { stdout = "json" }` };
  const wrap = (command: string[]) => [
    ...["unshare", "-m", "sh", "-c", IN_EMPTY_ROOT, "sh", root.path, libraries.join(" "), executable],
    ...command,
  ];
  const options = { instance: instance.name, program: "/mermin", wrap };
  await using agent = await Agent.start(settings, options);
  const commandLine = (await run(["cat", `/proc/${agent.process.pid}/cmdline`])).split("\0");
  assert.match(commandLine[0], /^\/var\/cache\/mermin\/[0-9a-f]{16}\/deno$/, "it became the agent");
  const net = commandLine.find((argument) => argument.startsWith("--allow-net"));
  assert.equal(net, `--allow-net=127.0.0.1:${agent.apiPort},127.0.0.1:${agent.metricsPort}`);
  assert.equal(commandLine.some((argument) => /^(-A|--allow-all|--allow-run)/.test(argument)), false);

  await left.namespace.run(["ping", "-c", "3", "-i", "0.1", right.ipv4]);
  assert.equal(await agent.stop(), 0, agent.process.output);
  const flows = agent.process.stdout.map((line) => JSON.parse(line).attributes);
  const ping = flows.find((attributes) => attributes["destination.address"] === right.ipv4);
  assert.equal(ping["flow.packets.total"], 3);
  assert.equal(ping["flow.reverse.packets.total"], 3);
  assert.equal(agent.process.stderr.some((line) => /\bERROR\b|level=error/i.test(line)), false, agent.process.output);
});

Deno.test("the executable runs from any directory and passes exit codes on", async () => {
  const executable = await executablePath();
  await using directory = await temporary("executable");
  await Deno.writeTextFile(`${directory.path}/good.hcl`, 'log_level = "info"\n');
  await Deno.writeTextFile(`${directory.path}/bad.hcl`, 'log_levle = "info"\n');
  await run(["ln", "-s", executable, `${directory.path}/linked`]);
  const mermin = (...args: string[]) =>
    tryRun(
      [...ANYTHING, "env", "-C", directory.path, "./linked", ...args],
      "",
      { MERMIN_CACHE_DIR: `${directory.path}/cache` },
    );
  const good = await mermin("validate", "good.hcl");
  assert.deepEqual(good, { code: 0, stdout: "good.hcl: can be used\n", stderr: "" });
  const bad = await mermin("validate", "bad.hcl");
  assert.equal(bad.code, 2);
  assert.match(bad.stderr, /bad\.hcl:1:1.*log_level/);
  const usage = await mermin("--wibble");
  assert.deepEqual([usage.code, usage.stdout], [2, ""]);
});
