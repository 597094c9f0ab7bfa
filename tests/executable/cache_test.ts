/** Where the executable unpacks: what is found there is used only when it is what was packed. */

import assert from "node:assert/strict";
import { Process, run, tryRun } from "../harness/process.ts";
import { temporary } from "../harness/temporary.ts";
import { ANYTHING, listing, scripted } from "./executables.ts";

/** Says its version in the first stage, so there is no second one. */
const version = (name: string) => `echo ${name}`;
/** Runs in the second stage until its input ends. */
const RUNNING = 'case "$*" in *" permissions"*) echo run ;; *) echo started && read -r line ;; esac';
const NOBODY = 65534;

interface Stage extends AsyncDisposable {
  directory: string;
  cache: string;
  executable: string;
  /** Starts the executable to its end. */
  start(executable?: string): ReturnType<typeof tryRun>;
}

async function stage(script = version("one")): Promise<Stage> {
  const { path: directory, [Symbol.asyncDispose]: dispose } = await temporary("executable");
  const cache = `${directory}/cache`;
  const executable = `${directory}/mermin`;
  await scripted(executable, script);
  const start = (other = executable) => tryRun([...ANYTHING, other], "", { MERMIN_CACHE_DIR: cache });
  return { directory, cache, executable, start, [Symbol.asyncDispose]: dispose };
}

const SAID_ONE = { code: 0, stdout: "one\n", stderr: "" };

/** The one directory of a version in a cache. */
async function unpackedIn(cache: string): Promise<string> {
  const [directory, ...more] = (await run(["ls", cache])).trim().split("\n");
  assert.deepEqual(more, []);
  return `${cache}/${directory}`;
}

Deno.test("the cache belongs to its user alone and is filled once", async () => {
  await using one = await stage();
  assert.deepEqual(await one.start(), SAID_ONE);
  const directory = (await unpackedIn(one.cache)).slice(one.cache.length + 1);
  assert.deepEqual(await listing(one.directory), [
    `d 700 0 cache`,
    `d 700 0 cache/${directory}`,
    `f 500 0 cache/${directory}/deno`,
    `f 500 0 cache/${directory}/libmermin_loader.so`,
    `f 500 0 cache/${directory}/mermin.js`,
    `f 600 0 cache/.lock`,
    `f 755 0 mermin`,
  ]);
  const { ino } = await Deno.stat(`${one.cache}/${directory}/deno`);
  assert.deepEqual(await one.start(), SAID_ONE);
  assert.equal((await Deno.stat(`${one.cache}/${directory}/deno`)).ino, ino);
});

const tamperings: { name: string; by: (directory: string) => Promise<unknown> }[] = [
  { name: "other content", by: (directory) => Deno.writeTextFile(`${directory}/deno`, "#!/bin/sh\necho two\n") },
  { name: "a lost file", by: (directory) => Deno.remove(`${directory}/deno`) },
  { name: "a mode that lets others write", by: (directory) => Deno.chmod(`${directory}/mermin.js`, 0o777) },
  { name: "another owner", by: (directory) => Deno.chown(`${directory}/deno`, NOBODY, null) },
  {
    name: "a link to the same content",
    by: async (directory) => {
      await Deno.rename(`${directory}/deno`, `${directory}/../../deno`);
      await run(["ln", "-s", `${directory}/../../deno`, `${directory}/deno`]);
    },
  },
  { name: "a directory that others can enter", by: (directory) => Deno.chmod(directory, 0o755) },
  {
    name: "a link in the directory's place",
    by: async (directory) => {
      await Deno.rename(directory, `${directory}/../../moved`);
      await run(["ln", "-s", `../moved`, directory]);
    },
  },
];
for (const { name, by } of tamperings) {
  Deno.test(`${name} in the cache is replaced before anything runs`, async () => {
    await using one = await stage();
    assert.deepEqual(await one.start(), SAID_ONE);
    const directory = await unpackedIn(one.cache);
    const before = await listing(one.cache);
    await by(directory);
    assert.deepEqual(await one.start(), SAID_ONE);
    assert.deepEqual(await listing(one.cache), before);
    assert.equal(await Deno.readTextFile(`${directory}/deno`), "#!/bin/sh\necho one\n");
  });
}

const refusals: { name: string; by: (one: Stage) => Promise<unknown>; says: RegExp }[] = [
  {
    name: "a cache that others can read",
    by: ({ cache }) => Deno.mkdir(cache, { mode: 0o755 }),
    says: /cache must be a directory that belongs to user 0 with mode 0700; remove it/,
  },
  {
    name: "a cache of another user",
    by: async ({ cache }) => {
      await Deno.mkdir(cache, { mode: 0o700 });
      await Deno.chown(cache, NOBODY, null);
    },
    says: /must be a directory that belongs to user 0/,
  },
  {
    name: "a link to a cache",
    by: async ({ cache, directory }) => {
      await Deno.mkdir(`${directory}/elsewhere`, { mode: 0o700 });
      await run(["ln", "-s", "elsewhere", cache]);
    },
    says: /must be a directory that belongs to user 0/,
  },
  {
    name: "a cache where others can put another in its place",
    by: ({ directory }) => Deno.chmod(directory, 0o777),
    says: /is not safe, because other users can change \/tmp\/\S*mermin-executable-/,
  },
  {
    name: "an executable that is damaged",
    by: async ({ executable }) => {
      const content = await Deno.readFile(executable);
      const launcher = await Deno.stat(new URL("../../bin/mermin", import.meta.url));
      content[launcher.size + 20] ^= 1;
      await Deno.writeFile(executable, content);
    },
    says: /Cannot unpack into .*cache: /,
  },
];
for (const { name, by, says } of refusals) {
  Deno.test(`${name} is refused with a message`, async () => {
    await using one = await stage();
    await by(one);
    const { code, stdout, stderr } = await one.start();
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, says);
    assert.equal(stderr.split("\n").length, 2, stderr);
  });
}

Deno.test("many starts at once unpack once", async () => {
  await using one = await stage();
  const results = await Promise.all(Array.from({ length: 8 }, () => one.start()));
  for (const result of results) assert.deepEqual(result, SAID_ONE);
  await unpackedIn(one.cache);
});

Deno.test("what other versions unpacked goes away once they have ended, and nothing else does", async () => {
  await using old = await stage(RUNNING);
  await Deno.mkdir(old.cache, { mode: 0o700 });
  await Deno.mkdir(`${old.cache}/mine`);
  await Deno.mkdir(`${old.cache}/0123456789abcdef.unfinished`);
  await using running = Process.start([old.executable], { MERMIN_CACHE_DIR: old.cache });
  await running.waitForLine(/^started$/);
  const names = async () => (await run(["ls", old.cache])).trim().split("\n");
  const withOld = await names();
  assert.equal(withOld.length, 2, "what a killed start left is gone");

  const other = `${old.directory}/new`;
  await scripted(other, version("one"));
  assert.deepEqual(await old.start(other), SAID_ONE);
  assert.equal((await names()).length, 3, "the old one still runs");
  await running.finish();
  assert.deepEqual(await old.start(other), SAID_ONE);
  const withNew = await names();
  assert.deepEqual([withNew.length, withNew.includes("mine")], [2, true]);
  assert.notDeepEqual(withNew, withOld);
});

Deno.test("a signal reaches the second stage, and the death of the first one is told as by a shell", async () => {
  await using running = await stage(RUNNING);
  await using agent = Process.start([running.executable], { MERMIN_CACHE_DIR: running.cache });
  await agent.waitForLine(/^started$/);
  agent.signal("SIGTERM");
  assert.equal((await agent.exited).signal, "SIGTERM");
  await using dying = await stage("kill -KILL $$");
  assert.equal((await dying.start()).code, 128 + 9);
  await using failing = await stage("echo bad && exit 2");
  assert.deepEqual(await failing.start(), { code: 2, stdout: "bad\n", stderr: "" });
});
