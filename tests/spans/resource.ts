/** Who sends the spans, as the machine itself says it. */

import assert from "node:assert/strict";
import { agentPath } from "../harness/agent.ts";
import type { Namespace } from "../harness/netns.ts";
import type { SpanRecord } from "../harness/otlp_json.ts";
import { run, tryRun } from "../harness/process.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Checks resource and scope of all spans of one agent, which watches an interface of `watched`. */
export async function checkResource(spans: SpanRecord[], watched: Namespace): Promise<void> {
  const version = (await run([agentPath(), "--version"])).trim().replace(/^\D*/, "").split(" ")[0];
  // A container may lack it, and then the resource does.
  const machine = await tryRun(["cat", "/etc/machine-id"]);
  const addresses: { ifname: string; addr_info: { local: string }[] }[] = JSON.parse(
    await watched.run(["ip", "-j", "address", "show"]),
  );
  const ips = addresses.filter(({ ifname }) => ifname !== "lo").flatMap(({ addr_info }) =>
    addr_info.map(({ local }) => local)
  );
  const [{ resource }] = spans;
  const { "service.instance.id": instance, "host.ip": found = [], ...rest } = resource;
  assert.match(String(instance), UUID);
  assert.ok(ips.length > 0);
  assert.deepEqual((found as string[]).toSorted(), ips.toSorted());
  assert.deepEqual(rest, {
    "service.name": "mermin",
    "service.version": version,
    "host.name": (await run(["cat", "/proc/sys/kernel/hostname"])).trim(),
    ...(machine.stdout.trim() !== "" && { "host.id": machine.stdout.trim() }),
    "os.type": "linux",
    "os.version": (await run(["cat", "/proc/sys/kernel/osrelease"])).trim(),
    "telemetry.distro.name": "mermin",
    "telemetry.distro.version": version,
  });
  for (const span of spans) {
    assert.deepEqual(span.resource, resource);
    assert.deepEqual([span.scopeName, span.scopeVersion], ["mermin", version]);
  }
}
