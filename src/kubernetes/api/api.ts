/** The part of the Kubernetes API that informers need: discovery, lists in pages, watches. */

import type { Connection } from "./access.ts";
import { type Kind, KIND_FACTS } from "../model/kinds.ts";
import { isNamespaced, type Scope } from "../model/selection.ts";
import { isObject, type KubernetesObject } from "../model/object.ts";
import { chunksOf, textOf } from "../../body.ts";
import { parseEvent } from "./event_text.ts";
import { Lines } from "./lines.ts";
import { takeItems } from "./list_body.ts";
import { sleepToTick } from "./sleep.ts";
import { together } from "./together.ts";

/** An answer other than 200, or an error inside of a watch. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

/** A watch that had begun and broke: the next one goes on where it ended. */
export class BrokenWatch extends Error {
  override readonly name = "BrokenWatch";
}

/** Where objects of a kind are, such as `/apis/apps/v1` and `deployments`. */
export interface Resource {
  readonly kind: Kind;
  readonly base: string;
  readonly plural: string;
}

export interface Page {
  readonly resourceVersion: string;
  /** Of the next page; `""` after the last. */
  readonly continue: string;
}

/** One event of a watch; a bookmark only moves the version. */
export type WatchEvent =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: KubernetesObject }
  | { readonly type: "BOOKMARK"; readonly resourceVersion: string };

const PAGE_SIZE = 500;
/** For all but a watch: a page of 500 large objects takes seconds on a busy server. */
const REQUEST_MS = 60_000;
/** A watch is to end by itself at its own timeout; so much later the connection is taken for dead. */
const WATCH_GRACE_MS = 15_000;
/** A server that sends bookmarks does so every minute; after so long without a word the connection is taken for dead. */
const WATCH_SILENT_MS = 150_000;
const MAX_MESSAGE_LENGTH = 300;
export const NOT_FOUND = 404;

/**
 * Where the API server has each kind: the best version of its group that has it. Kinds that it lacks are left out.
 * @throws {ApiError} and what {@linkcode Connection.get} throws
 */
export async function discover(
  connection: Connection,
  kinds: readonly Kind[],
  signal: AbortSignal,
): Promise<Map<Kind, Resource>> {
  const groups = await getJson(connection, "/apis", signal) as { groups?: { name: string; versions: Version[] }[] };
  const served = new Set(groups.groups?.flatMap(({ versions }) => versions.map((version) => version.groupVersion)));
  const resources = new Map<string, Promise<ReadonlySet<string>>>();
  const pluralsOf = (base: string) => {
    if (!resources.has(base)) resources.set(base, readPlurals(connection, base, signal));
    return resources.get(base)!;
  };
  const found = new Map<Kind, Resource>();
  for (const kind of kinds) {
    const { group, versions, plural } = KIND_FACTS[kind];
    for (const version of versions) {
      if (group !== "" && !served.has(`${group}/${version}`)) continue;
      const base = group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
      if (!(await pluralsOf(base)).has(plural)) continue;
      found.set(kind, { kind, base, plural });
      break;
    }
  }
  return found;
}

interface Version {
  readonly groupVersion: string;
}

async function readPlurals(connection: Connection, base: string, signal: AbortSignal): Promise<ReadonlySet<string>> {
  try {
    const list = await getJson(connection, base, signal) as { resources?: { name: string }[] };
    return new Set(list.resources?.map(({ name }) => name));
  } catch (error) {
    // A version that has just gone.
    if (error instanceof ApiError && error.status === NOT_FOUND) return new Set();
    throw error;
  }
}

/** One page of a list, the first without `token`: each object is handed to `take` as it comes. */
export async function listPage(
  connection: Connection,
  resource: Resource,
  scope: Scope,
  token: string,
  take: (object: KubernetesObject) => void,
  signal: AbortSignal,
): Promise<Page> {
  const query = { ...scope.query, limit: String(PAGE_SIZE), ...(token ? { continue: token } : {}) };
  using deadline = new Deadline(connection, signal, REQUEST_MS);
  const response = await connection.get(pathOf(resource, scope, query), deadline.signal, formOf(scope, "List"));
  if (response.status !== 200 || !response.body) throw await errorOf(response, deadline.signal);
  const rest = await takeItems(chunksOf(response.body, deadline.signal), (item) => {
    if (isObject(item)) take(item);
  });
  const { resourceVersion = "", continue: next = "" } = (rest.metadata ?? {}) as Partial<Page>;
  return { resourceVersion, continue: next };
}

/** What a watch asks for, and who is told. */
export interface WatchRequest {
  readonly resource: Resource;
  readonly scope: Scope;
  /** Changes after it are sent. */
  readonly resourceVersion: string;
  /** The server ends the watch after so long. */
  readonly timeoutSeconds: number;
  /** Called when the server has said yes. */
  readonly onBegin?: () => void;
  readonly onEvent: (event: WatchEvent) => void;
}

/**
 * Resolves when the server ends the watch. An object with hundreds of KB is one line.
 * @throws {ApiError} with status 410 when the version is too old, {@linkcode BrokenWatch} when the connection breaks
 */
export async function watch(connection: Connection, request: WatchRequest, signal: AbortSignal): Promise<void> {
  const { resource, scope, resourceVersion, timeoutSeconds, onBegin, onEvent } = request;
  const query = {
    ...scope.query,
    ...{ watch: "1", allowWatchBookmarks: "true", resourceVersion, timeoutSeconds: String(timeoutSeconds) },
  };
  using deadline = new Deadline(connection, signal, timeoutSeconds * 1000 + WATCH_GRACE_MS);
  const response = await connection.get(pathOf(resource, scope, query), deadline.signal, formOf(scope, ""));
  if (response.status !== 200 || !response.body) throw await errorOf(response, deadline.signal);
  onBegin?.();
  let sendsBookmarks = false;
  const lines = new Lines();
  const chunks = unbroken(chunksOf(response.body, deadline.signal));
  const { pauseMs } = scope;
  for await (const chunk of pauseMs ? together(chunks, () => sleepToTick(pauseMs, deadline.signal)) : chunks) {
    for (const line of lines.push(chunk)) {
      const event = eventOf(line);
      sendsBookmarks ||= event.type === "BOOKMARK";
      onEvent(event);
    }
    if (sendsBookmarks) deadline.restart(WATCH_SILENT_MS);
  }
}

async function* unbroken(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks;
  } catch (error) {
    throw new BrokenWatch((error as Error).message);
  }
}

function eventOf(line: string): WatchEvent {
  const { type, object } = parseEvent(line);
  switch (type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
      if (isObject(object)) return { type, object };
      break;
    case "BOOKMARK":
      return { type, resourceVersion: String(object?.metadata?.resourceVersion ?? "") };
    case "ERROR":
      throw new ApiError(Number(object?.code ?? 500), String(object?.message ?? "the watch failed"));
  }
  throw new ApiError(500, `the watch sent an event of type "${type}" that is not understood`);
}

/** One object. @throws as {@linkcode discover} */
export async function getObject(connection: Connection, path: string, signal: AbortSignal): Promise<KubernetesObject> {
  const object = await getJson(connection, path, signal);
  if (!isObject(object)) throw new ApiError(500, `the answer at ${path} is no object`);
  return object;
}

async function getJson(connection: Connection, path: string, signal: AbortSignal): Promise<unknown> {
  using deadline = new Deadline(connection, signal, REQUEST_MS);
  const response = await connection.get(path, deadline.signal);
  if (response.status !== 200) throw await errorOf(response, deadline.signal);
  return JSON.parse(await textOf(response.body, deadline.signal));
}

async function errorOf(response: Response, signal: AbortSignal): Promise<ApiError> {
  const body = await textOf(response.body, signal);
  let message = body;
  try {
    message = String(JSON.parse(body).message ?? body);
  } catch {
    // A proxy in between answers with a page: its beginning tells enough.
  }
  return new ApiError(response.status, message.slice(0, MAX_MESSAGE_LENGTH).trim());
}

/** Of kinds of which only the metadata are used, the API server sends no more (`PartialObjectMetadata`, since 1.15). */
function formOf({ isMetadataOnly }: Scope, suffix: "" | "List"): string {
  const json = "application/json";
  return isMetadataOnly ? `${json};as=PartialObjectMetadata${suffix};g=meta.k8s.io;v=v1,${json}` : json;
}

function pathOf({ base, plural, kind }: Resource, { namespace }: Scope, query: Record<string, string>): string {
  const place = namespace !== "" && isNamespaced(kind) ? `namespaces/${encodeURIComponent(namespace)}/` : "";
  return `${base}/${place}${plural}?${new URLSearchParams(query)}`;
}

/** Aborts when `parent` does, or after a time; then the connection is not used again. */
class Deadline implements Disposable {
  readonly #connection: Connection;
  readonly #parent: AbortSignal;
  readonly #controller = new AbortController();
  readonly #startMs = performance.now();
  readonly #abort = () => this.#controller.abort(this.#parent.reason);
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(connection: Connection, parent: AbortSignal, timeoutMs: number) {
    this.#connection = connection;
    this.#parent = parent;
    if (parent.aborted) this.#abort();
    parent.addEventListener("abort", this.#abort);
    this.restart(timeoutMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** From now on. */
  restart(timeoutMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#controller.abort(new DOMException(`no answer for ${timeoutMs / 1000} s`, "TimeoutError"));
      this.#connection.renew(this.#startMs);
    }, timeoutMs);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#parent.removeEventListener("abort", this.#abort);
    // Ends what is not read to its end.
    this.#controller.abort();
  }
}
