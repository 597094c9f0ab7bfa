/** The loader library over FFI: the only `Deno.dlopen` of the program. Runs with `--allow-ffi=<path of the library>`. */

import { FlowRecord, HookReport, LAYOUT_HASH, SweepLimits as Limits, TableReport } from "./layout.gen.ts";
import {
  type CaptureSession,
  type CleanupReport,
  type HookCounters,
  type Loader,
  LoaderError,
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
  mermin_parse_config: { parameters: ["buffer", "u32"], result: "i32" },
  mermin_open: { parameters: ["buffer", "u32"], result: "i32" },
  mermin_interfaces: { parameters: ["u32"], result: "i32" },
  mermin_attach: { parameters: ["u32", "buffer", "u32"], result: "i32" },
  mermin_detach: { parameters: ["u32", "u32"], result: "i32" },
  mermin_forget: { parameters: ["u32", "u32"], result: "i32" },
  mermin_prune: { parameters: ["u32"], result: "i32" },
  mermin_wait: { parameters: ["u32", "u32"], result: "i32", nonblocking: true },
  mermin_wake: { parameters: ["u32"], result: "void" },
  mermin_sweep: { parameters: ["u32", "buffer"], result: "i32", nonblocking: true },
  mermin_error: { parameters: ["u32"], result: "void" },
  mermin_read: { parameters: ["u32", "buffer", "u32"], result: "i32" },
  mermin_counters: { parameters: ["u32", "buffer", "u32"], result: "i32" },
  mermin_close: { parameters: ["u32", "u32"], result: "i32" },
  mermin_cleanup: { parameters: ["buffer", "u32"], result: "i32" },
} as const;

type Library = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** Records that one `read()` hands out at most. */
export const RECORDS_PER_READ = 512;
const WAIT_RESULTS = ["timeout", "full", "woken"] as const;

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

  open(options: OpenOptions): { session: CaptureSession; report: OpenReport } {
    const text = json(options);
    const id = this.#library.mermin_open(text, text.length);
    const report = reply(this.#library, id) as OpenReport;
    return { session: new FfiSession(this.#library, id), report };
  }

  parseConfig(source: string): { ok: boolean; json: string } {
    const bytes = new TextEncoder().encode(source);
    const code = this.#library.mermin_parse_config(bytes, bytes.length);
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

  constructor(readonly library: Library, readonly id: number) {}

  interfaces(): NetworkInterface[] {
    return reply(this.library, this.library.mermin_interfaces(this.id)) as NetworkInterface[];
  }

  attach(name: string): { index: number; mode: "tcx" | "clsact" } {
    const bytes = new TextEncoder().encode(name);
    const code = this.library.mermin_attach(this.id, bytes, bytes.length);
    return reply(this.library, code) as { index: number; mode: "tcx" | "clsact" };
  }

  detach(ifindex: number): void {
    reply(this.library, this.library.mermin_detach(this.id, ifindex));
  }

  forget(ifindex: number): void {
    reply(this.library, this.library.mermin_forget(this.id, ifindex));
  }

  prune(): number {
    return count(this.library, this.library.mermin_prune(this.id));
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
    const found = await this.library.mermin_sweep(this.id, this.#limits.buffer);
    if (found < 0) {
      this.library.mermin_error(this.id);
      throw failure(this.library);
    }
    return found;
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

function count(library: Library, result: number): number {
  if (result < 0) throw failure(library);
  return result;
}

function failure(library: Library): LoaderError {
  const { code, message, verifierLog } = JSON.parse(take(library));
  return new LoaderError(code, message, verifierLog);
}
