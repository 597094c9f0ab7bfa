/** `values.schema.json` as Helm holds values against it. */

import assert from "node:assert/strict";
import { parse } from "yaml";
import { tryRender } from "./helm.ts";

const refusals: [argument: string, says: RegExp][] = [
  ["imagee.tag=x", /additional properties 'imagee' not allowed/],
  ["image.tags=x", /at '\/image': additional properties 'tags' not allowed/],
  ["config.hostPidEnrichment=maybe", /at '\/config\/hostPidEnrichment': got string, want boolean/],
  ["config.content=", /at '\/config\/content': minLength/],
  ["rbac.kinds={Pods}", /at '\/rbac\/kinds\/0': value must be one of 'Pod', 'Node'/],
  ["security.profile=root", /at '\/security\/profile': value must be one of 'privileged', 'restricted'/],
  ["ports.api=80800", /at '\/ports\/api': maximum/],
  ["security.capabilities={CAP_BPF}", /at '\/security\/capabilities\/0': value must be one of 'BPF', 'NET_ADMIN'/],
  ["hooks.deadlineSeconds=0", /at '\/hooks\/deadlineSeconds': minimum/],
  ["image.digest=sha256:1", /at '\/image\/digest': '?sha256:1'? does not match/],
];
for (const [argument, says] of refusals) {
  Deno.test(`${argument} is refused with its place`, async () => {
    const { code, stderr } = await tryRender("--set", argument);
    assert.equal(code, 1);
    assert.match(stderr, says);
  });
}

Deno.test("every value has its type in the schema, and the schema knows no other", async () => {
  const values = parse(await Deno.readTextFile("charts/mermin/values.yaml"));
  const schema = JSON.parse(await Deno.readTextFile("charts/mermin/values.schema.json"));
  // Helm gives these to a chart that another one depends on.
  const known = Object.keys(schema.properties).filter((name) => name !== "global" && name !== "enabled");
  assert.deepEqual(known.sort(), Object.keys(values).sort());
  for (
    const name of [
      "image",
      "config",
      "ports",
      "security",
      "serviceAccount",
      "rbac",
      "podMonitor",
      "networkPolicy",
      "dashboard",
      "hooks",
    ]
  ) {
    assert.deepEqual(Object.keys(schema.properties[name].properties).sort(), Object.keys(values[name]).sort(), name);
  }
});
