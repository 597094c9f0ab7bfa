/** The Helm chart before a real API server: every object is one that it takes, field by field. */

import assert from "node:assert/strict";
import { run, tryRun } from "../harness/process.ts";
import { ApiServer } from "./api_server.ts";

/** The tests may only run programs that are named beforehand; this one may run any. */
const ANYTHING = ["setpriv", "--pdeathsig", "KILL", "--"];
const PROFILES = [
  [],
  ["-f", "tests/chart/guide/values.yaml", "--set-file", "config.content=tests/config/guide/config.hcl"],
  [
    "--set",
    "security.profile=restricted,networkPolicy.enabled=true,dashboard.enabled=true,hostNetwork=true,ports.metrics=9090,priorityClassName=system-node-critical",
  ],
];

Deno.test("the API server takes every object of the chart in a strict dry run", async () => {
  await using server = await ApiServer.start({ flags: ["--allow-privileged=true"] });
  const kubectl = ["kubernetes", "kubectl", `--kubeconfig=${await server.kubeconfig()}`];
  const { gitVersion } = JSON.parse(await run([...kubectl, "get", "--raw", "/version"]));
  for (const args of PROFILES) {
    const template = ["helm", "template", "mermin", "charts/mermin", "--kube-version", gitVersion];
    const rendered = await run([...ANYTHING, ...template, ...args]);
    const apply = [...kubectl, "apply", "--dry-run=server", "--validate=strict", "-f", "-"];
    const { code, stdout, stderr } = await tryRun(apply, rendered);
    assert.equal(code, 0, stderr);
    assert.equal(stderr, "");
    assert.match(stdout, /^daemonset\.apps\/mermin created \(server dry run\)$/m);
    const wrong = await tryRun(apply, rendered.replaceAll("terminationGracePeriodSeconds", "terminationGraceSeconds"));
    assert.notEqual(wrong.code, 0, "a misspelt field is seen");
    assert.match(wrong.stderr, /unknown field "[\w.]*terminationGraceSeconds"/);
  }
});
