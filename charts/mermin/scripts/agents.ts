/**
 * What `helm test` runs: does every node that should have an agent have one, and does it say that it is well?
 * Arguments: namespace, name of the DaemonSet, selector of its pods, port of their health, seconds until all must be well.
 */

const [namespace, daemonSet, selector, port, seconds] = Deno.args;
const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
const PAUSE_MS = 2000;
const ANSWER_MS = 5000;

interface Pod {
  metadata: { name: string; deletionTimestamp?: string };
  spec: { nodeName?: string };
  status: { podIP?: string; phase: string };
}
interface Health {
  checks: Record<string, { status: string; detail?: string }>;
}
interface Answer {
  isWell: boolean;
  text: string;
}

const client = Deno.createHttpClient({ caCerts: [Deno.readTextFileSync(`${ACCOUNT}/ca.crt`)] });
const [host, serverPort] = ["HOST", "PORT"].map((name) => Deno.env.get(`KUBERNETES_SERVICE_${name}`)!);

/** An object of the API server. @throws {Error} with its words when it gives none */
async function get<T>(path: string): Promise<T> {
  const headers = { authorization: `Bearer ${Deno.readTextFileSync(`${ACCOUNT}/token`).trim()}` };
  const url = `https://${bracketed(host)}:${serverPort}${path}`;
  const answer = await fetch(url, { client, headers, signal: AbortSignal.timeout(ANSWER_MS) });
  if (answer.ok) return await answer.json();
  throw new Error(`${answer.status} ${await answer.text()}`);
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

/** What went wrong; `fetch` keeps it in the cause. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}

/** What one agent says of itself; checks that are not well stand there also when the agent is, such as an exporter's. */
async function ask({ metadata, spec, status }: Pod): Promise<Answer> {
  const say = (isWell: boolean, text: string) => ({ isWell, text: `${spec.nodeName}  ${metadata.name}  ${text}` });
  if (!status.podIP) return say(false, status.phase);
  try {
    const url = `http://${bracketed(status.podIP)}:${port}/readyz`;
    const answer = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) });
    const { checks } = await answer.json() as Health;
    const bad = Object.entries(checks).filter(([, { status }]) => status !== "ok");
    const details = bad.map(([name, { status, detail }]) => `; ${name}: ${detail ?? status}`);
    return say(answer.ok, (answer.ok ? "ready" : "not ready") + details.join(""));
  } catch (error) {
    return say(false, `does not answer: ${reasonOf(error)}`);
  }
}

async function askAll(): Promise<Answer> {
  const { status } = await get<{ status: { desiredNumberScheduled: number } }>(
    `/apis/apps/v1/namespaces/${namespace}/daemonsets/${daemonSet}`,
  );
  const query = `labelSelector=${encodeURIComponent(selector)}`;
  const { items } = await get<{ items: Pod[] }>(`/api/v1/namespaces/${namespace}/pods?${query}`);
  const agents = items.filter(({ metadata, spec }) => spec.nodeName && !metadata.deletionTimestamp);
  const answers = await Promise.all(agents.map(ask));
  const ready = answers.filter(({ isWell }) => isWell).length;
  const nodes = status.desiredNumberScheduled;
  const lines = [...answers.map(({ text }) => text).sort(), `${ready} of ${nodes} nodes have an agent that is ready`];
  return { isWell: nodes > 0 && ready === nodes, text: lines.join("\n") };
}

const end = Date.now() + Number(seconds) * 1000;
let answer: Answer;
do {
  answer = await askAll().catch((error) => ({ isWell: false, text: `the API server: ${reasonOf(error)}` }));
  if (!answer.isWell) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
} while (!answer.isWell && Date.now() < end);
console.log(answer.text);
Deno.exit(answer.isWell ? 0 : 1);
