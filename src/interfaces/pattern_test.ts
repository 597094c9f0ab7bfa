import assert from "node:assert/strict";
import { compilePatterns, describeNoMatch, selectInterfaces } from "./pattern.ts";

Deno.test("compilePatterns() matches names, globs and regular expressions", async (t) => {
  const cases: { patterns: string[]; yes: string[]; no: string[] }[] = [
    { patterns: ["eth0"], yes: ["eth0"], no: ["eth00", "veth0", "ETH0", ""] },
    { patterns: ["eth*"], yes: ["eth", "eth0", "eth0.100"], no: ["veth0", "et"] },
    { patterns: ["*eth*"], yes: ["veth0", "eth"], no: ["lo"] },
    { patterns: ["eth?"], yes: ["eth0", "ethx"], no: ["eth", "eth10"] },
    { patterns: ["*"], yes: ["lo", "eth0"], no: [] },
    { patterns: ["eth0.1"], yes: ["eth0.1"], no: ["eth0x1"] },
    { patterns: ["a+(b)[c]|^$"], yes: ["a+(b)[c]|^$"], no: ["aab", "c", ""] },
    { patterns: ["ovn-k8s*", "cilium_*"], yes: ["ovn-k8s-mp0", "cilium_host"], no: ["ovn", "ciliumhost"] },
    { patterns: ["/^(eth|ens)[0-9]+$/"], yes: ["eth0", "ens33"], no: ["veth0", "eth", "eth0.1"] },
    { patterns: ["/eth[0-9]/"], yes: ["eth0", "veth1"], no: ["eth"] },
    { patterns: ["/^a|b$/", "lo"], yes: ["ax", "xb", "lo"], no: ["xax", "xlo"] },
    { patterns: ["/a|b/", "c?"], yes: ["xax", "cd"], no: ["c", "xcd"] },
    { patterns: ["/(a|b)1/", "/(.)\\1/"], yes: ["a1", "xx"], no: ["a2", "xy"] },
    { patterns: [], yes: [], no: ["lo", ""] },
  ];
  for (const { patterns, yes, no } of cases) {
    await t.step(patterns.join(" ") || "none", () => {
      const matches = compilePatterns(patterns);
      assert.deepEqual(yes.filter((name) => !matches(name)), []);
      assert.deepEqual(no.filter(matches), []);
    });
  }
});

Deno.test("compilePatterns() refuses a regular expression that is none", () => {
  assert.throws(() => compilePatterns(["/(/"]), SyntaxError);
});

const HOST = [{ index: 7, name: "veth1" }, { index: 1, name: "lo" }, { index: 2, name: "eth0" }];

Deno.test("selectInterfaces() gives each interface once, by index, and changes nothing", () => {
  assert.deepEqual(selectInterfaces(HOST, ["*eth*", "veth1"]), [HOST[2], HOST[0]]);
  assert.deepEqual(selectInterfaces(HOST, ["cali*"]), []);
  assert.equal(HOST[0].name, "veth1");
});

Deno.test("describeNoMatch() names what was looked for, what there is and what to do", () => {
  assert.equal(
    describeNoMatch(["cali*", "lxc*"], HOST.slice(1)),
    "no interface matches cali*, lxc*; there are lo, eth0; waiting for one that matches, " +
      'or set discovery.instrument.interfaces, for example to ["eth0"]',
  );
  assert.equal(
    describeNoMatch(["cali*"], []),
    "no interface matches cali*; there are none at all; waiting for one that matches",
  );
});
