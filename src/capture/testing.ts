/** A kernel for tests: what is in it, is what the test puts there. */

import { NO_SIDE } from "../flow/ends.ts";
import { addressBytes, type RecordValues } from "../flow/testing.ts";
import { Counters, FlowKey, FlowRecord } from "./layout.gen.ts";
import {
  type AttachResult,
  type CaptureSession,
  type CleanupReport,
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

const SIDE_NONE = 255;

/** An interface that is up and has no address, changed by `change`. */
export function networkInterface(
  name: string,
  index: number,
  change: Partial<NetworkInterface> = {},
): NetworkInterface {
  return {
    name,
    index,
    mac: `02:00:00:00:00:0${index}`,
    up: true,
    ethernet: true,
    addresses: [],
    attached: false,
    ...change,
  };
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
  const natAddresses = values.natAddresses.map(addressBytes);
  [FlowRecord.natA, FlowRecord.natB].forEach((at, end) =>
    natAddresses[end].forEach((byte, i) => view.setUint8(at + i, byte))
  );
  values.natPorts.forEach((port, end) => view.setUint16(FlowRecord.natPort + 2 * end, port, true));
  view.setUint8(FlowRecord.nat, values.nat);
  u64(FlowRecord.startUnixNs, values.startNs);
  u64(FlowRecord.endUnixNs, values.endNs);
  view.setUint32(FlowRecord.slot, values.slot, true);
  for (const side of [0, 1]) {
    const at = side * Counters.size;
    u64(FlowRecord.delta + at + Counters.packets, values.packetsDelta[side]);
    u64(FlowRecord.delta + at + Counters.bytes, values.bytesDelta[side]);
    u64(FlowRecord.total + at + Counters.packets, values.packetsTotal[side]);
    u64(FlowRecord.total + at + Counters.bytes, values.bytesTotal[side]);
    view.setUint32(FlowRecord.hook + 4 * side, values.hook[side], true);
    u64(FlowRecord.latencyNs + 8 * side, BigInt(values.latencyNs[side]));
    u64(FlowRecord.jitterNs + 8 * side, BigInt(values.jitterNs[side]));
    view.setUint32(FlowRecord.latencyCount + 4 * side, values.latencyCount[side], true);
    view.setUint32(FlowRecord.flowLabel + 4 * side, values.flowLabel[side], true);
    view.setUint32(FlowRecord.spi + 4 * side, values.spi[side], true);
    view.setUint8(FlowRecord.tcpFlags + side, values.tcpFlags[side]);
    view.setUint8(FlowRecord.trafficClass + side, values.trafficClass[side]);
    view.setUint8(FlowRecord.ttl + side, values.ttl[side]);
    view.setUint8(FlowRecord.icmpType + side, values.icmpType[side]);
    view.setUint8(FlowRecord.icmpCode + side, values.icmpCode[side]);
    view.setUint8(FlowRecord.ipKnown + side, Number(values.isIpKnown[side]));
    view.setUint8(FlowRecord.icmpKnown + side, Number(values.isIcmpKnown[side]));
    view.setUint8(FlowRecord.finAcked + side, Number(values.isFinAcked[side]));
  }
  values.interfaces.forEach((index, place) => view.setUint32(FlowRecord.interfaces + 4 * place, index, true));
  u64(FlowRecord.handshakeNs, BigInt(values.handshakeNs));
  view.setUint16(FlowRecord.vlan, values.vlan, true);
  view.setUint8(FlowRecord.established, Number(values.isEstablished));
  const code = (side: number) => side === NO_SIDE ? SIDE_NONE : side;
  view.setUint8(FlowRecord.synSide, code(values.synFrom));
  view.setUint8(FlowRecord.synAckSide, code(values.synAckFrom));
  view.setUint8(FlowRecord.firstSide, code(values.firstFrom));
  view.setUint8(FlowRecord.finSide, code(values.finFrom));
  view.setUint8(FlowRecord.natFrom, Math.max(0, values.natFrom));
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
  sockets: ListeningSocket[] = [];
  /** Timeouts of all `watch()`. */
  readonly watches: number[] = [];
  /** Why an interface refuses, by name. */
  readonly refusals = new Map<string, LoaderErrorCode>();
  /** What each of the next sweeps finds. */
  readonly due: RecordValues[][] = [];
  /** Packets that were booked as filtered, by hook. */
  readonly filtered = new Map<number, number>();
  /** What `noteSettled()` was last told. */
  recordsSettled = 0;
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
    taken: 0,
    filtered: 0,
    killed: 0,
    conntrack: { entries: 0, events: 0, lost: 0, overflows: 0 },
    hooks: [],
  };
  #ready: RecordValues[] = [];
  #endWait: ((result: "full" | "woken" | "timeout") => void) | undefined;
  #isWoken = false;
  #endWatch: ((result: "changed" | "woken" | "timeout" | "failed") => void) | undefined;
  #isWatchWoken = false;
  /** What is attached, by index. */
  readonly #holds = new Map<number, NetworkInterface>();

  /** @param recordsPerRead how many records the buffer holds. */
  constructor(readonly recordsPerRead = 4) {
    this.records = new Uint8Array(recordsPerRead * FlowRecord.size);
  }

  // deno-lint-ignore require-await -- what it throws is to reject
  async interfaces(): Promise<NetworkInterface[]> {
    this.#failIfTold("interfaces");
    return this.links.map((link) => ({ ...link, attached: this.#holds.get(link.index) === link }));
  }

  /** An interface that is replaced in `links` by another object with its index has lost what was attached to it. */
  attach(indexes: readonly number[]): Promise<AttachResult[]> {
    return Promise.resolve(indexes.map((index) => {
      const link = this.links.find((link) => link.index === index);
      if (!link) return { error: new LoaderError("not_found", `there is no interface ${index}`) };
      this.calls.push(`attach ${link.name}`);
      const refusal = this.refusals.get(link.name);
      if (refusal) return { error: new LoaderError(refusal, `cannot attach to "${link.name}": ${refusal}`) };
      this.#holds.set(index, link);
      return { mode: "tcx" };
    }));
  }

  // deno-lint-ignore require-await -- as above
  async silence(): Promise<void> {
    this.calls.push("silence");
    this.#failIfTold("silence");
  }

  // deno-lint-ignore require-await -- as above
  async detachAll(): Promise<void> {
    this.calls.push("detach all");
    this.#failIfTold("detachAll");
  }

  // deno-lint-ignore require-await -- as above
  async forget(indexes: readonly number[]): Promise<void> {
    this.calls.push(`forget ${indexes.join(" ")}`);
    this.#failIfTold("forget");
    for (const index of indexes) this.#holds.delete(index);
  }

  // deno-lint-ignore require-await -- as above
  async prune(): Promise<number> {
    this.calls.push("prune");
    this.#failIfTold("prune");
    return 0;
  }

  /** Lasts until `wake()` or {@linkcode endWatch}; not in `calls`. */
  watch(timeoutMs: number): Promise<"changed" | "woken" | "timeout" | "failed"> {
    this.watches.push(timeoutMs);
    return new Promise((resolve) => {
      this.#endWatch = resolve;
      if (this.#isWatchWoken) this.endWatch("woken");
    });
  }

  /** Ends the `watch()` that is under way. */
  endWatch(result: "changed" | "woken" | "timeout" | "failed"): void {
    this.#isWatchWoken = false;
    this.#endWatch?.(result);
    this.#endWatch = undefined;
  }

  listeners(): ListeningSocket[] {
    this.calls.push("listeners");
    this.#failIfTold("listeners");
    return this.sockets;
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
    if (this.#endWatch) this.endWatch("woken");
    else this.#isWatchWoken = true;
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

  bookFiltered(hook: number, packets: number): void {
    this.filtered.set(hook, (this.filtered.get(hook) ?? 0) + packets);
  }

  noteSettled(records: number): void {
    this.recordsSettled = records;
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

  /** A host that has everything, for root. */
  kernelFacts: KernelFacts = {
    kernel: "6.18.0",
    machine: "x86_64",
    user: 0,
    capabilities: Array.from({ length: 41 }, (_, i) => i),
    bpffsProblem: "",
    btf: true,
  };

  addresses(): string[] {
    return ["192.0.2.1"];
  }

  facts(): KernelFacts {
    return this.kernelFacts;
  }

  open(options: OpenOptions): Promise<{ session: FakeSession; report: OpenReport }> {
    this.opened.push(options);
    if (this.openError) return Promise.reject(this.openError);
    const capacity = options.flowCapacity;
    return Promise.resolve({
      session: this.session,
      report: {
        capacity,
        pinned: true,
        pinProblem: "",
        reused: false,
        takenOver: 0,
        killed: 0,
        conntrackProblem: "",
        foreign: [],
        ...this.report,
      },
    });
  }

  trim(): void {}

  parseConfig(): never {
    throw new LoaderError("unsupported", "the fake reads no configuration");
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
