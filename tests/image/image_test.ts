/** The image as it lies there: what is in it, what it says of itself, and its commands that need no rights. */

import assert from "node:assert/strict";
import { run } from "../harness/process.ts";
import { temporary } from "../harness/temporary.ts";
import { IMAGE_TAR, loadImage, runImage } from "./container.ts";

const { version } = JSON.parse(Deno.readTextFileSync(new URL("../../deno.json", import.meta.url)));
const MOST_COMPRESSED_BYTES = 70e6;

/** Everything that is in the image, but for librt, which Deno needs on amd64 only; `ARCH` stands for names of an architecture. */
const FILES = `
bin/busybox
etc/group
etc/nsswitch.conf
etc/os-release
etc/passwd
etc/ssl/certs/ca-certificates.crt
lib/ARCH/libc.so.6
lib/ARCH/libdl.so.2
lib/ARCH/libgcc_s.so.1
lib/ARCH/libm.so.6
lib/ARCH/libpthread.so.0
lib/ARCH/libresolv.so.2
lib/ld-linux-ARCH
opt/mermin/deno
opt/mermin/libmermin_loader.so
opt/mermin/mermin
opt/mermin/mermin.js
usr/share/doc/busybox/copyright
usr/share/doc/libc6/copyright
usr/share/doc/libgcc-s1/copyright
var/lib/dpkg/status.d/busybox
var/lib/dpkg/status.d/libc6
var/lib/dpkg/status.d/libgcc-s1
`.trim().split("\n");

Deno.test("the image holds the agent and what it needs, and nothing else", async () => {
  const image = await loadImage();
  const root = (await run(["podman", "image", "mount", image])).trim();
  try {
    const found = await run(["find", root, "-type", "f", "-printf", "%P\n"]);
    const files = found.trim().split("\n").map((path) =>
      path.replace(/^lib\/\w+-linux-gnu\//, "lib/ARCH/").replace(/^lib(64)?\/ld-linux-.*/, "lib/ld-linux-ARCH")
    );
    assert.deepEqual(files.filter((path) => path !== "lib/ARCH/librt.so.1").sort(), FILES);

    const trusted = Deno.readTextFileSync(`${root}/etc/ssl/certs/ca-certificates.crt`);
    assert.ok(trusted.split("BEGIN CERTIFICATE").length > 100, "the authorities of Debian");
    const own = await run(["find", "/usr/local/share/ca-certificates", "-name", "*.crt"]);
    for (const path of own.trim().split("\n").filter((line) => line !== "")) {
      const [, body] = /-----BEGIN CERTIFICATE-----\s*([^-]{100})/.exec(Deno.readTextFileSync(path))!;
      assert.equal(trusted.includes(body), false, `${path} of this machine is in the image`);
    }
  } finally {
    await run(["podman", "image", "unmount", image]);
  }
});

Deno.test("a registry has less than 70 MB of it", async () => {
  const tar = await Deno.open(IMAGE_TAR);
  let bytes = 0;
  for await (const chunk of tar.readable.pipeThrough(new CompressionStream("gzip"))) bytes += chunk.length;
  assert.ok(bytes < MOST_COMPRESSED_BYTES, `${bytes} bytes`);
});

Deno.test("the image says what it is, how to run it and how to ask for its health", async () => {
  const image = await loadImage();
  const [{ Config, Healthcheck, Os, Architecture }] = JSON.parse(await run(["podman", "image", "inspect", image]));
  const { Env, Entrypoint, Cmd, ExposedPorts, Labels, User } = Config;
  const label = (name: string) => Labels[`org.opencontainers.image.${name}`];
  assert.deepEqual([Os, Architecture], ["linux", Deno.build.arch === "aarch64" ? "arm64" : "amd64"]);
  assert.deepEqual(Env.sort(), ["DENO_DIR=/dev/null", "PATH=/usr/bin:/bin"]);
  assert.deepEqual([Entrypoint, Cmd ?? [], User ?? ""], [["/usr/bin/mermin"], [], ""]);
  assert.deepEqual(Object.keys(ExposedPorts).sort(), ["10250/tcp", "8080/tcp"]);
  assert.deepEqual(Healthcheck.Test, ["CMD", "wget", "-q", "-O-", "http://localhost:8080/livez"]);
  assert.deepEqual([label("title"), label("version"), label("licenses")], ["mermin", version, "MIT OR GPL-2.0-only"]);
  assert.match(label("revision"), /^[0-9a-f]{40}$/);
  assert.match(label("description"), /OpenTelemetry/);
});

const GOOD = "/etc/mermin/good.hcl";
const BAD = "/etc/mermin/bad.hcl";
const commands: { args: string[]; code: number; stdout?: RegExp; stderr?: RegExp }[] = [
  { args: ["--version"], code: 0, stdout: new RegExp(`^mermin ${version.replaceAll(".", "\\.")}\n$`) },
  { args: ["--help"], code: 0, stdout: /^Usage: mermin/m },
  { args: ["validate", GOOD], code: 0, stdout: /^\/etc\/mermin\/good\.hcl: can be used\n$/ },
  { args: ["validate", BAD], code: 2, stderr: /^\/etc\/mermin\/bad\.hcl:1:1.*log_level/m },
  { args: ["--wibble"], code: 2, stderr: /--wibble/ },
];
for (const { args, code, stdout = /^$/, stderr } of commands) {
  Deno.test(`the image's arguments are those of mermin: ${args.join(" ")}`, async () => {
    const image = await loadImage();
    await using folder = await temporary("image");
    const directory = folder.path;
    await Deno.writeTextFile(`${directory}/good.hcl`, 'log_level = "info"\n');
    await Deno.writeTextFile(`${directory}/bad.hcl`, 'log_levle = "info"\n');
    const result = await runImage(image, args, ["--cap-drop=ALL", "-v", `${directory}:/etc/mermin:ro`]);
    assert.equal(result.code, code, result.stderr);
    assert.match(result.stdout, stdout);
    if (stderr) assert.match(result.stderr, stderr);
  });
}
