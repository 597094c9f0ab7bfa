/** A kernel for tests: what is in it, is what the test puts there. */

import { NO_SIDE } from "../flow/ends.ts";
import { addressBytes, type RecordValues } from "../flow/testing.ts";
import { Counters, FlowKey, FlowRecord } from "./layout.gen.ts";
import {
  type CaptureSession,
  type CleanupReport,
  type Loader,
  LoaderError,
  type LoaderErrorCode,
  type NetworkInterface,
  type OpenOptions,
  type OpenReport,
  type SweepLimits,
  type TableCounters,
} from "./loader.ts";

const SIDE_NONE = 255;

/** An interface that is up and has no address, changed by `change`. */
export function networkInterface(
  name: string,
  index: number,
  change: Partial<NetworkInterface> = {},
): NetworkInterface {
  return { name, index, mac: `02:00:00:00:00:0${index}`, up: true, ethernet: true, addresses: [], ...change };
}

/** Writes `values` as record number `index` of `buffer`, in the kernel's layout. */
export function writeRecord(buffer: Uint8Array<ArrayBuffer>, index: number, values: RecordValues): void {
  const view = new DataView(buffer.buffer, buffer.byteOffset + index * FlowRecord.size, FlowRecord.size);
  const u64 = (offset: number, value: number | bigint) => view.setBigUint64(offset, BigInt(value), true);
  const addresses = values.addresses.map(addressBytes);
  for (let offset = 0; offset < FlowRecord.size; offset++) view.setUint8(offset, 0);
  [FlowKey.a, FlowKey.b].forEach((at, end) => addresses[end].forEach((byte, i) => view.setUint8(at + i, byte)));
  view.setUint16(FlowKey.portA, values.ports[0], true);
  view.setUint16(FlowKey.portB, values.ports[1], true);
  view.setUint8(FlowKey.protocol, values.protocol);
  view.setUint8(FlowKey.family, addresses[0].length === 4 ? 4 : 6);
  u64(FlowRecord.startUnixNs, values.startNs);
  u64(FlowRecord.endUnixNs, values.endNs);
  view.setUint32(FlowRecord.slot, values.slot, true);
  for (const side of [0, 1]) {
    const at = side * Counters.size;
    u64(FlowRecord.delta + at + Counters.packets, values.packetsDelta[side]);
    u64(FlowRecord.delta + at + Counters.bytes, values.bytesDelta[side]);
    u64(FlowRecord.total + at + Counters.packets, values.packetsTotal[side]);
    u64(FlowRecord.total + at + Counters.bytes, values.bytesTotal[side]);
    view.setUint32(FlowRecord.ifindex + 4 * side, values.ifindex[side], true);
    view.setUint8(FlowRecord.tcpFlags + side, values.tcpFlags[side]);
  }
  const code = (side: number) => side === NO_SIDE ? SIDE_NONE : side;
  view.setUint8(FlowRecord.synSide, code(values.synFrom));
  view.setUint8(FlowRecord.synAckSide, code(values.synAckFrom));
  view.setUint8(FlowRecord.firstSide, code(values.firstFrom));
  view.setUint8(FlowRecord.endReason, values.endReasonCode);
  view.setUint8(FlowRecord.last, values.isLast ? 1 : 0);
  view.setUint8(FlowRecord.first, values.isFirst ? 1 : 0);
}

/** Keeps what is asked of it in `calls`; the public fields are the test's to change. */
export class FakeSession implements CaptureSession {
  readonly records: Uint8Array<ArrayBuffer>;
  /** Such as `attach eth0`, in order. */
  readonly calls: string[] = [];
  readonly sweeps: SweepLimits[] = [];
  links: NetworkInterface[] = [];
  /** Why an interface refuses, by name. */
  readonly refusals = new Map<string, LoaderErrorCode>();
  /** What each of the next sweeps finds. */
  readonly due: RecordValues[][] = [];
  /** What a method throws, by its name; not for `sweep()` and `attach()`. */
  readonly failures = new Map<string, Error>();
  /** What the next sweep fails with. */
  sweepError: Error | undefined;
  table: TableCounters = {
    capacity: 16,
    used: 0,
    created: 0,
    freed: 0,
    pressed: 0,
    leaked: 0,
    openPackets: 0,
    hooks: [],
  };
  #ready: RecordValues[] = [];
  #endWait: ((result: "full" | "woken" | "timeout") => void) | undefined;
  #isWoken = false;

  /** @param recordsPerRead how many records the buffer holds. */
  constructor(readonly recordsPerRead = 4) {
    this.records = new Uint8Array(recordsPerRead * FlowRecord.size);
  }

  interfaces(): NetworkInterface[] {
    this.#failIfTold("interfaces");
    return this.links;
  }

  attach(name: string): { index: number; mode: "tcx" | "clsact" } {
    this.calls.push(`attach ${name}`);
    const refusal = this.refusals.get(name);
    if (refusal) throw new LoaderError(refusal, `cannot attach to "${name}": ${refusal}`);
    const link = this.links.find((link) => link.name === name);
    if (!link) throw new LoaderError("not_found", `there is no interface "${name}"`);
    return { index: link.index, mode: "tcx" };
  }

  detach(ifindex: number): void {
    this.calls.push(`detach ${ifindex}`);
    this.#failIfTold("detach");
  }

  forget(ifindex: number): void {
    this.calls.push(`forget ${ifindex}`);
  }

  prune(): number {
    this.calls.push("prune");
    this.#failIfTold("prune");
    return 0;
  }

  /** Lasts until `wake()` or {@linkcode endWait}. */
  wait(timeoutMs: number): Promise<"full" | "woken" | "timeout"> {
    this.calls.push(`wait ${timeoutMs}`);
    return new Promise((resolve) => {
      this.#endWait = resolve;
      if (this.#isWoken) this.endWait("woken");
    });
  }

  /** Ends the `wait()` that is under way. */
  endWait(result: "full" | "woken" | "timeout"): void {
    this.#isWoken = false;
    this.#endWait?.(result);
    this.#endWait = undefined;
  }

  wake(): void {
    if (this.#endWait) this.endWait("woken");
    else this.#isWoken = true;
  }

  sweep(limits: SweepLimits): Promise<number> {
    this.calls.push(limits.force ? "sweep all" : "sweep");
    this.sweeps.push(limits);
    if (this.sweepError) return Promise.reject(this.sweepError);
    // As the loader does: what the last sweep found is read first.
    if (this.#ready.length === 0) this.#ready = this.due.shift() ?? [];
    return Promise.resolve(this.#ready.length);
  }

  read(): number {
    const batch = this.#ready.splice(0, this.recordsPerRead);
    batch.forEach((values, i) => writeRecord(this.records, i, values));
    this.calls.push(`read ${batch.length}`);
    return batch.length;
  }

  counters(): TableCounters {
    return this.table;
  }

  close(keep: boolean): void {
    this.calls.push(keep ? "close keep" : "close");
    this.#failIfTold("close");
  }

  #failIfTold(method: string): void {
    const failure = this.failures.get(method);
    if (failure) throw failure;
  }
}

/** Opens always the same session. */
export class FakeLoader implements Loader {
  readonly version = "fake";
  readonly opened: OpenOptions[] = [];
  /** What `open()` throws. */
  openError: LoaderError | undefined;

  constructor(readonly session = new FakeSession(), readonly report: Partial<OpenReport> = {}) {}

  open(options: OpenOptions): { session: FakeSession; report: OpenReport } {
    this.opened.push(options);
    if (this.openError) throw this.openError;
    const capacity = options.flowCapacity;
    return {
      session: this.session,
      report: {
        capacity,
        pinned: true,
        pinProblem: "",
        reused: false,
        takenOver: 0,
        foreignLayouts: [],
        ...this.report,
      },
    };
  }

  parseConfig(): never {
    throw new LoaderError("unsupported", "the fake reads no HCL");
  }

  cleanup(): CleanupReport {
    return { instances: [], running: [], attachments: 0 };
  }
}

/** Bytes of the structs of this name that Rust made, one after the other (see bpf-rs/types/tests/samples.rs). */
export function sampleBytes(struct: string): Uint8Array<ArrayBuffer> {
  const lines = Deno.readTextFileSync(new URL("samples.txt", import.meta.url)).split("\n");
  const hex = lines.map((line) => line.split(" ")).filter(([name]) => name === struct).map(([, hex]) => hex);
  return Uint8Array.fromHex(hex.join(""));
}
