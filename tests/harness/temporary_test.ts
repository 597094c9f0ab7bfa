/** A run of tests leaves no files behind, also when it is killed in the middle. */

import assert from "node:assert/strict";
import { Process } from "./process.ts";

/** As the suites run their tests; the test is a shell. */
const SUITE = '. tools/lib.sh; in_tmpdir sh -c "$0"; exit "$code"';
const TEST = 'touch "$TMPDIR/file"; ls -d "$TMPDIR"/*; ';

const isGone = (file: string) => assert.rejects(Deno.stat(file.replace(/\/file$/, "")), Deno.errors.NotFound);

const ENDS = [["sh", "SIGTERM"], ["sh", "SIGINT"], ["bash", "SIGTERM"], ["bash", "SIGHUP"]] as const;
for (const [shell, signal] of ENDS) {
  Deno.test(`in_tmpdir removes the temporary files of tests that ${signal} ends, in ${shell}`, async () => {
    await using suite = Process.start([shell, "-c", SUITE, `${TEST} exec sleep 60`]);
    const file = await suite.waitForLine(/^\/tmp\/mermin-test\..*file$/);
    suite.signal(signal);
    assert.ok((await suite.exited).code > 128);
    await isGone(file);
  });
}

Deno.test("in_tmpdir passes the exit code of tests on, and removes their temporary files", async () => {
  await using suite = Process.start(["sh", "-c", SUITE, `${TEST} exit 3`]);
  assert.equal((await suite.exited).code, 3);
  const [file] = suite.stdout;
  assert.match(file, /^\/tmp\/mermin-test\..*\/file$/);
  await isGone(file);
});
