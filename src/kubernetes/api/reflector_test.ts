import { deepStrictEqual } from "node:assert/strict";
import { Connection } from "./access.ts";
import { Reflector } from "./reflector.ts";

Deno.test("Reflector asks less and less often for lists that are too old as soon as they are there", async () => {
  await using http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    if (new URL(request.url).searchParams.has("watch")) return new Response("{}", { status: 410 });
    return Response.json({ metadata: { resourceVersion: "1" }, items: [] });
  });
  const ended = new AbortController();
  const pauses: number[] = [];
  const connection = new Connection({ origin: "test", server: `http://127.0.0.1:${http.addr.port}` });
  const reflector = new Reflector({
    connection,
    resource: () => ({ kind: "Pod", base: "/api/v1", plural: "pods" }),
    scope: { namespace: "", query: {} },
    sink: { put: () => {}, remove: () => {} },
    onSynced: () => {},
    onState: () => {},
    random: () => 1,
    sleep: (ms) => {
      if (pauses.push(ms) === 7) ended.abort();
      return Promise.resolve();
    },
  });
  await reflector.run(ended.signal);
  deepStrictEqual(pauses, [800, 1600, 3200, 6400, 12_800, 25_600, 30_000]);
});
