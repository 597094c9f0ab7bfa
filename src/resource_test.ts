import assert from "node:assert/strict";
import { readHostFacts, resourceAttributes, type ResourceInputs } from "./resource.ts";

const INPUTS: ResourceInputs = {
  version: "0.1.0",
  instanceId: "6f1c",
  host: {
    hostname: "node-1",
    osRelease: "6.18.0",
    machineId: "0123456789abcdef0123456789abcdef\n",
    addresses: ["127.0.0.1", "::1", "192.0.2.1", "2001:db8::1", "fe80::1", "192.0.2.1"],
  },
};

function fail(text: string): never {
  throw new Error(text);
}

Deno.test("resourceAttributes() tells who and where", () => {
  assert.deepEqual(resourceAttributes(INPUTS, fail), {
    "service.name": "mermin",
    "service.version": "0.1.0",
    "service.instance.id": "6f1c",
    "host.name": "node-1",
    "host.id": "0123456789abcdef0123456789abcdef",
    "host.ip": ["192.0.2.1", "2001:db8::1", "fe80::1"],
    "os.type": "linux",
    "os.version": "6.18.0",
    "telemetry.distro.name": "mermin",
    "telemetry.distro.version": "0.1.0",
  });
});

Deno.test("resourceAttributes() leaves out what is not known", () => {
  const attributes = resourceAttributes({ ...INPUTS, host: { addresses: ["127.0.0.1"], machineId: "\n" } }, fail);
  assert.deepEqual(Object.keys(attributes), [
    "service.name",
    "service.version",
    "service.instance.id",
    "os.type",
    "telemetry.distro.name",
    "telemetry.distro.version",
  ]);
});

Deno.test("resourceAttributes() takes attributes from the environment", async (t) => {
  const cases = [
    { name: "one", text: "team=net", expected: { team: "net" } },
    { name: "several, with spaces", text: " team = net , stage=prod ,", expected: { team: "net", stage: "prod" } },
    { name: "percent-encoding", text: "a%2Cb=c%3Dd%20%C3%BC", expected: { "a,b": "c=d ü" } },
    { name: "equals sign in a value", text: "query=a=b", expected: { query: "a=b" } },
    { name: "wins over what was found", text: "host.name=other", expected: { "host.name": "other" } },
    { name: "the last of one name", text: "team=a,team=b", expected: { team: "b" } },
    { name: "empty value", text: "host.id=", expected: {}, drop: "host.id" },
    { name: "empty", text: "", expected: {} },
  ];
  for (const { name, text, expected, drop } of cases) {
    await t.step(name, () => {
      const attributes = resourceAttributes({ ...INPUTS, resourceAttributes: text }, fail);
      const { [drop ?? ""]: _, ...base } = resourceAttributes(INPUTS, fail);
      assert.deepEqual(attributes, { ...base, ...expected });
    });
  }
});

Deno.test("resourceAttributes() takes the service's name from the stronger variable", () => {
  const resourceAttributesText = "service.name=from-attributes";
  const cases: [string | undefined, string][] = [["from-name", "from-name"], [undefined, "from-attributes"], [
    "",
    "from-attributes",
  ]];
  for (const [serviceName, expected] of cases) {
    const attributes = resourceAttributes(
      { ...INPUTS, serviceName, resourceAttributes: resourceAttributesText },
      fail,
    );
    assert.equal(attributes["service.name"], expected);
  }
});

Deno.test("resourceAttributes() ignores a broken variable as a whole and says so", () => {
  for (const broken of ["team", "team=%zz", "=net", "%zz=net"]) {
    const warnings: string[] = [];
    const attributes = resourceAttributes(
      { ...INPUTS, resourceAttributes: `stage=prod,${broken}` },
      (text) => warnings.push(text),
    );
    assert.equal(attributes.stage, undefined);
    assert.deepEqual(warnings, [
      `OTEL_RESOURCE_ATTRIBUTES is ignored: "${broken}" is not key=value with percent-encoding`,
    ]);
  }
});

Deno.test({
  name: "readHostFacts() needs no more than the permissions that it names",
  permissions: { sys: ["hostname", "osRelease"], read: ["/etc/machine-id"] },
  fn: () => {
    const facts = readHostFacts(() => ["192.0.2.1"], fail);
    assert.equal(facts.hostname, Deno.hostname());
    assert.equal(facts.osRelease, Deno.osRelease());
    assert.deepEqual(facts.addresses, ["192.0.2.1"]);
  },
});

Deno.test({
  name: "readHostFacts() leaves out what it may not read, and says so",
  permissions: "none",
  fn: () => {
    const warnings: string[] = [];
    const noAddresses = () => {
      throw new Error("no library");
    };
    const facts = readHostFacts(noAddresses, (text) => warnings.push(text));
    assert.deepEqual(Object.values(facts).filter((fact) => fact !== undefined), []);
    assert.equal(warnings.length, 4);
  },
});
