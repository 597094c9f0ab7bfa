import { deepStrictEqual } from "node:assert/strict";
import { loadPlain, type Plain } from "../config/testing.ts";
import { attributesSettings } from "./config.ts";
import { defaultAttributes } from "./defaults.ts";

Deno.test("attributesSettings without a block find objects by addresses, ports and protocols", () => {
  const { source, destination } = loadPlain(attributesSettings, {}).value;
  deepStrictEqual([source.k8s, destination.k8s], [defaultAttributes("source"), defaultAttributes("destination")]);
  const { pod, node } = destination.k8s.association;
  deepStrictEqual(pod.sources.map(({ from }) => from), ["destination.ip", "destination.port", "network.transport"]);
  deepStrictEqual(node.sources, [{ from: "destination.ip", name: "", to: ["status.addresses[*].address"] }]);
});

Deno.test("attributesSettings reads both spellings of an association alike", () => {
  const read = (source: { [name: string]: Plain }) => {
    const association = { pod: { sources: [{ ...source, to: ["status.podIP"] }] } };
    return loadPlain(attributesSettings, { source: { k8s: { association } } }).value;
  };
  deepStrictEqual(read({ from: "flow", name: "source.ip" }), read({ from: "source.ip" }));
});

Deno.test("attributesSettings with a block take nothing of the default over, and leave the other direction alone", () => {
  const sources = [{ from: "source.ip", to: ["status.podIP"] }];
  const given = loadPlain(attributesSettings, { source: { k8s: { association: { pod: { sources } } } } }).value;
  const { pod, node } = given.source.k8s.association;
  deepStrictEqual([pod.sources.length, node.sources], [1, []]);
  deepStrictEqual(given.destination.k8s, defaultAttributes("destination"));
  const empty = loadPlain(attributesSettings, { source: { k8s: {} } }).value.source.k8s.association;
  deepStrictEqual(Object.values(empty).flatMap(({ sources }) => sources), []);
});
