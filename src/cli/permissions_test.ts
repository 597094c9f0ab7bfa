import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { ConfigError } from "../config/mod.ts";
import { sources } from "../config/testing.ts";
import { kubeconfigIo } from "../kubernetes/testing.ts";
import { environmentNames, loadConfig, type LoadedConfig } from "../settings.ts";
import { HELP } from "./arguments.ts";
import { runPermissions } from "./permissions.ts";

const good = () => ({ ...loadConfig(sources()), path: "a.hcl", warnings: ["w"], notYet: ["n"] });
const bad = () => {
  throw new ConfigError(["a.hcl:1:1: x", "a.hcl:2:1: y"]);
};

function run(args: string[], load: () => LoadedConfig = good, files = {}, variables = {}, readable?: string[]) {
  let [out, err] = ["", ""];
  const code = runPermissions(args, {
    load,
    env: (name) => (variables as Record<string, string>)[name],
    kubeconfig: {
      ...kubeconfigIo(files, variables),
      mayRead: (path) => readable === undefined || readable.includes(path),
    },
    libraryPath: "/l.so",
    version: "1.2.3",
    print: (text) => void (out += text),
    error: (text) => void (err += text),
  });
  return { code, out, err };
}

const FLAGS = [
  "--allow-net=0.0.0.0:8080,0.0.0.0:10250",
  "--allow-ffi=/l.so",
  "--allow-read=a.hcl,/etc/machine-id",
  "--allow-env=" + environmentNames().join(","),
  "--allow-sys=hostname,osRelease",
];

Deno.test("runPermissions() prints run and the flags of the second stage", () => {
  deepStrictEqual(run(["--config", "a.hcl"]), { code: 0, out: ["run", ...FLAGS, ""].join("\n"), err: "" });
});

Deno.test("runPermissions() allows cleanup and diagnose no network, and diagnose to read its configuration", () => {
  for (const args of [["cleanup"], ["diagnose", "bpf"]]) {
    const { out } = run(args, bad);
    deepStrictEqual(out.split("\n")[0], "run");
    strictEqual(/allow-(net|read|sys)/.test(out), false);
  }
  const { out } = run(["diagnose", "bpf", "--config", "a.hcl"], bad);
  deepStrictEqual(out.match(/--allow-(net|read|sys).*/g), ["--allow-read=a.hcl"]);
  deepStrictEqual(run(["diagnose", "bpf"], bad, {}, { MERMIN_CONFIG_PATH: "a.hcl" }).out, out);
});

Deno.test("runPermissions() answers without a second stage where none is needed", () => {
  deepStrictEqual(run(["permissions"]), { code: 0, out: [...FLAGS, ""].join("\n"), err: "" });
  deepStrictEqual(run(["--help"], bad), { code: 0, out: HELP, err: "" });
  deepStrictEqual(run(["--version"], bad), { code: 0, out: "mermin 1.2.3\n", err: "" });
  deepStrictEqual(run(["validate", "a.hcl"]), {
    code: 0,
    out: "a.hcl: can be used\n",
    err: "warning: w\nwarning: n\n",
  });
});

Deno.test("runPermissions() gives exit code 2 for a wrong configuration or command line", () => {
  for (const args of [[], ["validate", "a.hcl"], ["permissions"]]) {
    deepStrictEqual(run(args, bad), { code: 2, out: "", err: "a.hcl:1:1: x\na.hcl:2:1: y\n" });
  }
  deepStrictEqual(run(["--halp"]), { code: 2, out: "", err: "mermin: unknown flag --halp; did you mean --help?\n" });
  match(run(["validate"]).err, /^mermin: validate needs a file/);
});

const KUBECONFIG = {
  "current-context": "c",
  contexts: [{ name: "c", context: { cluster: "k", user: "u" } }],
  clusters: [{ name: "k", cluster: { server: "https://api.example:6443", "certificate-authority": "ca.crt" } }],
  users: [{ name: "u", user: { exec: { command: "login" } } }],
};

Deno.test("runPermissions() allows what a kubeconfig names, once it may read that", () => {
  const variables = { KUBECONFIG: "/home/me/config" };
  const files = { "/home/me/config": KUBECONFIG };
  const { out } = run(["--config", "a.hcl"], good, files, variables);
  match(out, /^--allow-net=.*,api\.example:6443$/m);
  match(out, /^--allow-read=.*,\/home\/me\/config,\/home\/me\/ca\.crt$/m);
  match(out, /^--allow-run=login$/m);
});

Deno.test("runPermissions() asks for files that it must be let read, and refuses those that cannot be named", () => {
  const ask = (KUBECONFIG: string) => run(["--config", "a.hcl"], good, {}, { KUBECONFIG }, ["/b"]);
  deepStrictEqual(ask("/a:/b:/c"), { code: 0, out: "read\n/a\n/c\n", err: "" });
  for (const path of ["/a,b", "/a\nb"]) {
    const err = `Cannot permit ${JSON.stringify(path)}: ` +
      "Deno's permissions cannot name a path with a comma or a line break; rename it\n";
    deepStrictEqual(ask(path), { code: 2, out: "", err });
  }
});

Deno.test("runPermissions() allows the account of a pod", () => {
  const variables = { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "443" };
  const { out } = run(["--config", "a.hcl"], good, {}, variables);
  match(out, /^--allow-net=.*,\[fd00::1\]:443$/m);
  match(out, /^--allow-read=.*,\/var\/run\/secrets\/kubernetes\.io\/serviceaccount$/m);
});
