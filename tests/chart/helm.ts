/** Renders the chart with Helm, as the tests of this folder look at it. */

import { parseAllDocuments } from "yaml";

const CHART = "charts/mermin";
/** Without a server; a Helm without the stamp of a release would say 1.20. An argument may say otherwise. */
const KUBERNETES = "v1.35.4";

/** A Kubernetes object of any kind. */
// deno-lint-ignore no-explicit-any -- what is looked up is what the test asserts
export type KubernetesObject = any;

export interface Rendered {
  code: number;
  stderr: string;
  objects: KubernetesObject[];
  /** The one object of this kind whose name ends with `suffix`. */
  only(kind: string, suffix?: string): KubernetesObject;
}

/** A file with a text of its own; disposing removes it. */
export class TextFile implements Disposable {
  readonly path: string;

  constructor(text: string, suffix: ".hcl" | ".yaml") {
    this.path = Deno.makeTempFileSync({ suffix });
    Deno.writeTextFileSync(this.path, text);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path);
  }
}

/** Runs helm to its end. */
export async function helm(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const output = await new Deno.Command("helm", { args }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code: output.code, stdout: text(output.stdout), stderr: text(output.stderr) };
}

/** `helm template mermin charts/mermin` with more arguments. */
export async function tryRender(...args: string[]): Promise<Rendered> {
  const { code, stdout, stderr } = await helm("template", "mermin", CHART, "--kube-version", KUBERNETES, ...args);
  const objects = parseAllDocuments(stdout).map((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    return document.toJS();
  }).filter((object) => object !== null);
  const only = (kind: string, suffix = "mermin") => {
    const found = objects.filter((object) => object.kind === kind && object.metadata.name.endsWith(suffix));
    if (found.length !== 1) throw new Error(`${found.length} objects of kind ${kind} with a name in ${suffix}`);
    return found[0];
  };
  return { code, stderr, objects, only };
}

/** The same, which must succeed. @throws {Error} with what Helm says */
export async function render(...args: string[]): Promise<Rendered> {
  const rendered = await tryRender(...args);
  if (rendered.code !== 0) throw new Error(rendered.stderr);
  return rendered;
}

/** Parts of a DaemonSet. */
export function partsOf(daemonSet: KubernetesObject) {
  const { metadata, spec } = daemonSet.spec.template;
  const [container] = spec.containers;
  return { metadata, spec, container };
}
