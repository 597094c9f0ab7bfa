import { deepStrictEqual, throws } from "node:assert/strict";
import { cut, type JsonObject, maskOf, parsePath, valuesAt } from "./object.ts";

const POD: JsonObject = {
  metadata: { name: "a", labels: { x: "1" }, annotations: { big: "…", small: "s" } },
  spec: { containers: [{ name: "c", image: "i", ports: [{ port: 1 }, { port: 2 }] }, { name: "d" }] },
};

Deno.test("valuesAt() gives all values of a path", () => {
  const at = (text: string) => valuesAt(POD, parsePath(text));
  deepStrictEqual(at("metadata.name"), ["a"]);
  deepStrictEqual(at("spec.containers[*].name"), ["c", "d"]);
  deepStrictEqual(at("spec.containers[*].ports[*].port"), [1, 2]);
  deepStrictEqual(at("spec.containers.name"), []);
  deepStrictEqual(at("spec.nothing[*].name"), []);
  deepStrictEqual(at("metadata"), []);
});

Deno.test("parsePath() refuses what is no path", () => {
  for (const text of ["", "a..b", "a b", "a[1]", "[*]"]) throws(() => parsePath(text), TypeError, text);
});

Deno.test("cut() keeps what the paths name, through lists", () => {
  const mask = maskOf(
    ["metadata.name", "metadata.annotations.small", "spec.containers[*].ports[*].port"].map(parsePath),
  );
  deepStrictEqual(cut(POD, mask), {
    metadata: { name: "a", annotations: { small: "s" } },
    spec: { containers: [{ ports: [{ port: 1 }, { port: 2 }] }, {}] },
  });
  const withNull = { metadata: { ownerReferences: [null, { uid: "u" }], labels: null } };
  deepStrictEqual(cut(withNull, maskOf(["metadata.ownerReferences[*].uid", "metadata.labels"].map(parsePath))), {
    metadata: { ownerReferences: [{ uid: "u" }] },
  });
  deepStrictEqual(cut(POD, maskOf([parsePath("metadata.labels"), parsePath("metadata.labels.x")])), {
    metadata: { labels: { x: "1" } },
  });
});
