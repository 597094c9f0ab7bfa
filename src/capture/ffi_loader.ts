/** The loader library over FFI: the only `Deno.dlopen` of the program. Runs with `--allow-ffi=<path of the library>`. */

import { FlowRecord, HookReport, LAYOUT_HASH, SweepLimits as Limits, TableReport } from "./layout.gen.ts";
import {
  type AttachResult,
  type CaptureSession,
  type CleanupReport,
  type HookCounters,
  type KernelFacts,
  type ListeningSocket,
  type Loader,
  LoaderError,
  type LoaderErrorCode,
  type NetworkInterface,
  type OpenOptions,
  type OpenReport,
  type SweepLimits,
  type TableCounters,
} from "./loader.ts";
import { readHookCounters, readTableCounters } from "./counters.ts";

const SYMBOLS = {
  mermin_take: { parameters: ["buffer", "u32"], result: "u32" },
  mermin_describe: { parameters: [], result: "i32" },
  mermin_parse_config: { parameters: ["buffer", "u32", "u32"], result: "i32" },
  mermin_trim: { parameters: [], result: "void" },
  mermin_facts: { parameters: ["buffer", "u32"], result: "i32" },
  mermin_addresses: { parameters: ["buffer", "u32"], result: "i32" },
  mermin_open: { parameters: ["buffer", "u32"], result: "i32", nonblocking: true },
  mermin_claim: { parameters: ["i32"], result: "void" },
  mermin_interfaces: { parameters: ["u32"], result: "i32", nonblocking: true },
  mermin_attach: { parameters: ["u32", "buffer", "u32"], result: "i32", nonblocking: true },
  mermin_silence: { parameters: ["u32"], result: "i32", nonblocking: true },
  mermin_detach: { parameters: ["u32"], result: "i32", nonblocking: true },
  mermin_forget: { parameters: ["u32", "buffer", "u32"], result: "i32", nonblocking: true },
  mermin_prune: { parameters: ["u32"], result: "i32", nonblocking: true },
  mermin_watch: { parameters: ["u32", "u32"], result: "i32", nonblocking: true },
  mermin_listeners: { parameters: ["u32"], result: "i32" },
  mermin_wait: { parameters: ["u32", "u32"], result: "i32", nonblocking: true },
  mermin_wake: { parameters: ["u32"], result: "void" },
  mermin_sweep: { parameters: ["u32", "buffer"], result: "i32", nonblocking: true },
  mermin_read: { parameters: ["u32", "buffer", "u32"], result: "i32" },
  mermin_counters: { parameters: ["u32", "buffer", "u32"], result: "i32" },
  mermin_book_filtered: { parameters: ["u32", "u32", "u32", "u32"], result: "i32" },
  mermin_note_settled: { parameters: ["u32", "u32", "u32"], result: "void" },
  mermin_close: { parameters: ["u32", "u32"], result: "i32" },
  mermin_cleanup: { parameters: ["buffer", "u32"], result: "i32" },
} as const;

type Library = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** Records that one `read()` hands out at most. */
export const RECORDS_PER_READ = 512;
const TWO_32 = 0x1_0000_0000;
const WAIT_RESULTS = ["timeout", "full", "woken"] as const;
const WATCH_RESULTS = ["timeout", "changed", "woken"] as const;

/**
 * Loads the library at `path`.
 * @throws {LoaderError} code `system` when it cannot be loaded, `usage` when it was built from another layout than this
 * program.
 */
export function openLoader(path: string): Loader {
  return new FfiLoader(loadLibrary(path));
}

function loadLibrary(path: string): Library {
  try {
    return Deno.dlopen(path, SYMBOLS).symbols;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const advice = error instanceof Deno.errors.NotCapable ? "" : "; run deno task build";
    throw new LoaderError("system", `Cannot load ${path}: ${why}${advice}`);
  }
}

class FfiLoader implements Loader {
  readonly version: string;
  readonly #library: Library;
  /** What calls on other threads read: it must not be collected meanwhile. */
  readonly #lent = new Set<Uint8Array>();

  constructor(library: Library) {
    this.#library = library;
    const { version, layoutHash } = reply(library, library.mermin_describe()) as Record<string, string>;
    if (layoutHash !== LAYOUT_HASH) {
      throw new LoaderError(
        "usage",
        `The loader library has layout ${layoutHash}, this program ${LAYOUT_HASH}: they are of different builds; run \`deno task build\``,
      );
    }
    this.version = version;
  }

  facts(pinRoot: string): KernelFacts {
    const bytes = new TextEncoder().encode(pinRoot);
    return reply(this.#library, this.#library.mermin_facts(bytes, bytes.length)) as KernelFacts;
  }

  addresses(namespace: string): string[] {
    const bytes = new TextEncoder().encode(namespace);
    return reply(this.#library, this.#library.mermin_addresses(bytes, bytes.length)) as string[];
  }

  async open(options: OpenOptions): Promise<{ session: CaptureSession; report: OpenReport }> {
    const text = json(options);
    this.#lent.add(text);
    try {
      const ticket = await this.#library.mermin_open(text, text.length);
      const { id, report } = claim(this.#library, ticket) as { id: number; report: OpenReport };
      return { session: new FfiSession(this.#library, id), report };
    } finally {
      this.#lent.delete(text);
    }
  }

  trim(): void {
    this.#library.mermin_trim();
  }

  parseConfig(source: string, format: number): { ok: boolean; json: string } {
    const bytes = new TextEncoder().encode(source);
    const code = this.#library.mermin_parse_config(bytes, bytes.length, format);
    return { ok: code === 0, json: take(this.#library) };
  }

  cleanup(options: { pinRoot: string; instance: string }): CleanupReport {
    const text = json(options);
    return reply(this.#library, this.#library.mermin_cleanup(text, text.length)) as CleanupReport;
  }
}

class FfiSession implements CaptureSession {
  readonly records = new Uint8Array(RECORDS_PER_READ * FlowRecord.size);
  readonly #limits = new DataView(new ArrayBuffer(Limits.size));
  #counters = new DataView(new ArrayBuffer(TableReport.size + 64 * HookReport.size));
  /** What calls on other threads read: it must not be collected meanwhile. */
  readonly #lent = new Set<Uint8Array>();

  constructor(readonly library: Library, readonly id: number) {}

  async interfaces(): Promise<NetworkInterface[]> {
    return claim(this.library, await this.library.mermin_interfaces(this.id)) as NetworkInterface[];
  }

  async attach(indexes: readonly number[]): Promise<AttachResult[]> {
    const results = await this.#withList(
      indexes,
      this.library.mermin_attach,
    ) as ({ mode: "tcx" | "clsact" } | { error: ErrorText })[];
    return results.map((result) => "error" in result ? { error: loaderError(result.error) } : result);
  }

  async silence(): Promise<void> {
    claim(this.library, await this.library.mermin_silence(this.id));
  }

  async detachAll(): Promise<void> {
    claim(this.library, await this.library.mermin_detach(this.id));
  }

  async forget(indexes: readonly number[]): Promise<void> {
    await this.#withList(indexes, this.library.mermin_forget);
  }

  async prune(): Promise<number> {
    return laterCount(this.library, await this.library.mermin_prune(this.id));
  }

  async watch(timeoutMs: number): Promise<"changed" | "woken" | "timeout" | "failed"> {
    return WATCH_RESULTS[await this.library.mermin_watch(this.id, timeoutMs)] ?? "failed";
  }

  listeners(): ListeningSocket[] {
    return reply(this.library, this.library.mermin_listeners(this.id)) as ListeningSocket[];
  }

  async #withList(
    indexes: readonly number[],
    call: (id: number, list: Uint8Array<ArrayBuffer>, length: number) => Promise<number>,
  ): Promise<unknown> {
    const list = json(indexes);
    this.#lent.add(list);
    try {
      return claim(this.library, await call(this.id, list, list.length));
    } finally {
      this.#lent.delete(list);
    }
  }

  async wait(timeoutMs: number): Promise<"full" | "woken" | "timeout"> {
    const result = await this.library.mermin_wait(this.id, timeoutMs);
    return WAIT_RESULTS[result] ?? "woken";
  }

  wake(): void {
    this.library.mermin_wake(this.id);
  }

  async sweep(limits: SweepLimits): Promise<number> {
    writeLimits(this.#limits, limits);
    return laterCount(this.library, await this.library.mermin_sweep(this.id, this.#limits.buffer));
  }

  read(): number {
    return count(this.library, this.library.mermin_read(this.id, this.records, RECORDS_PER_READ));
  }

  counters(): TableCounters {
    const hooks = this.#readCounters();
    const needed = TableReport.size + hooks * HookReport.size;
    if (needed > this.#counters.byteLength) {
      this.#counters = new DataView(new ArrayBuffer(2 * needed));
      return this.counters();
    }
    const reports: HookCounters[] = [];
    for (let i = 0; i < hooks; i++) {
      reports.push(readHookCounters(this.#counters, TableReport.size + i * HookReport.size));
    }
    return { ...readTableCounters(this.#counters), hooks: reports };
  }

  bookFiltered(hook: number, packets: number): void {
    count(this.library, this.library.mermin_book_filtered(this.id, hook, packets >>> 0, Math.floor(packets / TWO_32)));
  }

  noteSettled(records: number): void {
    this.library.mermin_note_settled(this.id, records >>> 0, Math.floor(records / TWO_32));
  }

  #readCounters(): number {
    const view = this.#counters;
    return count(this.library, this.library.mermin_counters(this.id, view.buffer, view.byteLength));
  }

  close(keep: boolean): void {
    reply(this.library, this.library.mermin_close(this.id, keep ? 1 : 0));
  }
}

function writeLimits(view: DataView, limits: SweepLimits): void {
  const time = (offset: number, ms: number) => view.setBigUint64(offset, BigInt(Math.round(ms * 1e6)), true);
  time(Limits.activeNs, limits.activeMs);
  time(Limits.genericIdleNs, limits.genericIdleMs);
  time(Limits.icmpIdleNs, limits.icmpIdleMs);
  time(Limits.tcpIdleNs, limits.tcpIdleMs);
  time(Limits.tcpFinNs, limits.tcpFinMs);
  time(Limits.tcpRstNs, limits.tcpRstMs);
  time(Limits.udpIdleNs, limits.udpIdleMs);
  view.setUint32(Limits.highWater, limits.highWater, true);
  view.setUint32(Limits.lowWater, limits.lowWater, true);
  view.setUint32(Limits.force, limits.force ? 1 : 0, true);
}

function json(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** The text that the last call left in the library. */
function take(library: Library): string {
  let buffer = new Uint8Array(64 * 1024);
  let length = library.mermin_take(buffer, buffer.length);
  if (length > buffer.length) {
    buffer = new Uint8Array(length);
    length = library.mermin_take(buffer, length);
  }
  return new TextDecoder().decode(buffer.subarray(0, length));
}

function reply(library: Library, code: number): unknown {
  if (code < 0) throw failure(library);
  return JSON.parse(take(library));
}

/** The text of a call that was made on another thread. */
function claim(library: Library, ticket: number): unknown {
  library.mermin_claim(Math.abs(ticket));
  return reply(library, ticket);
}

function laterCount(library: Library, result: number): number {
  if (result < 0) claim(library, result);
  return result;
}

function count(library: Library, result: number): number {
  if (result < 0) throw failure(library);
  return result;
}

interface ErrorText {
  code: LoaderErrorCode;
  message: string;
  verifierLog?: string;
}

function failure(library: Library): LoaderError {
  return loaderError(JSON.parse(take(library)));
}

function loaderError({ code, message, verifierLog }: ErrorText): LoaderError {
  return new LoaderError(code, message, verifierLog);
}
