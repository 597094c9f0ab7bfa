/**
 * A loader is killed again and again at any moment of reading records: nothing is left half done. Each record was handed out
 * and counted as such, or comes again; each packet is in one or in an open flow; each slot of the table can be used.
 */

import assert from "node:assert/strict";
import { Counters, Exported, Step, TableState } from "../../src/capture/layout.gen.ts";
import { RECORDS_PER_READ } from "../../src/capture/ffi_loader.ts";
import { type CaptureSession, FlowRecords, type OpenOptions } from "../../src/capture/mod.ts";
import { prepareBpffs } from "../harness/agent.ts";
import { uniqueName } from "../harness/netns.ts";
import { Process, run } from "../harness/process.ts";
import { PIN_ROOT, pins } from "../harness/programs.ts";
import { FIRST_DESTINATION, wideNetwork } from "../harness/wide.ts";
import { Traffic } from "../harness/traffic.ts";
import { attachTo, builtLoader, NOTHING_DUE, openSession, sessionOptions } from "./session.ts";

const PORT = 7000;
const ROUNDS = 8;
const FLOWS = 20_000;
const CAPACITY = 32_768;
/** Not all records are read, however slow the machine is. */
const MAX_READS = Math.floor(FLOWS / RECORDS_PER_READ) - 1;

async function killWhileReading(options: OpenOptions): Promise<void> {
  const script = new URL("killed_reader.ts", import.meta.url).pathname;
  const argument = JSON.stringify({ options, maxReads: MAX_READS });
  await using reader = Process.start([Deno.execPath(), "run", "--quiet", "--allow-all", script, argument]);
  const { signal } = await reader.exited;
  assert.equal(signal, "SIGKILL", reader.output);
}

/** Ends all flows; returns the packets of each record. */
async function readAll(session: CaptureSession): Promise<number[]> {
  const records = new FlowRecords(session.records);
  const packets: number[] = [];
  await session.sweep({ ...NOTHING_DUE, force: true });
  for (let count = session.read(); count > 0; count = session.read()) {
    for (let i = 0; i < count; i++) {
      records.seek(i);
      packets.push(records.packetsDelta(0) + records.packetsDelta(1));
    }
  }
  return packets;
}

Deno.test("a loader that is killed while it reads loses no packet uncounted, and no slot", async () => {
  await prepareBpffs();
  const traffic = await Traffic.build();
  await using network = await wideNetwork();
  const { left, right } = network;
  await using _sink = await traffic.sink(right.namespace, PORT, 10);
  const options = sessionOptions(left, { pinRoot: PIN_ROOT, instance: uniqueName("i"), flowCapacity: CAPACITY });
  const send = async (flows: number) => {
    const many = { to: FIRST_DESTINATION, port: PORT, "source-port": 20_000, rate: 10 * flows, seconds: 0.1 };
    assert.deepEqual((await traffic.newFlows(left.namespace, many)).flows, flows);
    await network.untilQuiet();
  };
  let { session } = await builtLoader().open(options);
  try {
    await attachTo(session, left.interfaceName);
    let killed = 0;
    for (let round = 0; round < ROUNDS; round++) {
      await send(FLOWS);
      session.close(true);
      await killWhileReading(options);
      const opened = await builtLoader().open(options);
      session = opened.session;
      const { hooks, taken, openPackets } = session.counters();
      assert.equal(hooks.reduce((sum, { counted }) => sum + counted, 0), taken + openPackets, `round ${round}`);
      const records = await readAll(session);
      assert.equal(opened.report.killed + records.length, FLOWS, `round ${round}`);
      assert.ok(opened.report.killed > 0 && records.length > 0, `round ${round}: ${opened.report.killed} were read`);
      killed += opened.report.killed;
      const { used, created, freed } = session.counters();
      assert.deepEqual({ used, open: created - freed, killed: session.counters().killed }, {
        used: 0,
        open: 0,
        killed,
      });
    }

    await send(CAPACITY);
    const { used, hooks } = session.counters();
    assert.equal(used, CAPACITY, "every slot is used");
    for (const { lost } of hooks) assert.deepEqual(lost, [0, 0, 0]);
    assert.deepEqual(await readAll(session), Array(CAPACITY).fill(1));
  } finally {
    session.close(false);
  }
});

/** The maps of an instance without an agent, as bpftool sees them. */
class PinnedTable {
  constructor(private readonly folder: string) {}

  /** What an agent of another version leaves. */
  async becomeForeign(): Promise<void> {
    const folder = this.folder.replace(/[^/]*$/, "0123456789abcdef");
    await run(["setpriv", "--pdeathsig", "KILL", "--", "mv", this.folder, folder]);
  }

  static async of(instance: string): Promise<PinnedTable> {
    const path = (await pins(instance)).find((path) => path.endsWith("/TABLE_STATE"));
    assert.ok(path);
    return new PinnedTable(path.slice(0, path.lastIndexOf("/")));
  }

  /** Takes a free slot from the stack. */
  async pop(): Promise<number> {
    const { value } = JSON.parse(await this.#bpftool(["pop"], "FREE_SLOTS"));
    return new DataView(bytesOf(value).buffer).getUint32(0, true);
  }

  /** Lets `change` write into the words of the table. */
  async change(change: (state: DataView) => void): Promise<void> {
    const key = ["key", "0", "0", "0", "0"];
    const { value } = JSON.parse(await this.#bpftool(["lookup"], "TABLE_STATE", key));
    const bytes = bytesOf(value);
    change(new DataView(bytes.buffer));
    await this.#bpftool(["update"], "TABLE_STATE", [...key, "value", ...[...bytes].map(String)]);
  }

  #bpftool(command: string[], map: string, rest: string[] = []): Promise<string> {
    return run(["bpftool", "-j", "map", ...command, "pinned", `${this.folder}/${map}`, ...rest]);
  }
}

function bytesOf(texts: string[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(texts, Number);
}

/** Values of `Step.stage`. */
const Stage = { HANDING: 1, CLEARING: 2, FREEING: 3 };

interface KilledAt {
  name: string;
  /**
   * Leaves the table, which has had one flow of so many packets, as a loader would that is killed there; `send` makes one more
   * of as many.
   */
  leave: (table: PinnedTable, send: () => Promise<unknown>) => Promise<void>;
  /** The flow was not ended before. */
  isOpen?: boolean;
  /** Who comes next is of another version. */
  isForeign?: boolean;
  /** Afterwards: records that are lost, and packets that come. */
  killed: number;
  packets: number;
}

const PACKETS = 5;
const FEW = 8;

function add(state: DataView, offset: number, value: number): void {
  state.setBigUint64(offset, state.getBigUint64(offset, true) + BigInt(value), true);
}

/** Writes the step that gives a slot back, of which all but the last word of the table is done. */
function writeFreeing(state: DataView, stage: number, slot: number): void {
  state.setUint32(TableState.step + Step.stage, stage, true);
  state.setUint32(TableState.step + Step.slot, slot, true);
  state.setBigUint64(TableState.step + Step.freed, state.getBigUint64(TableState.freed, true), true);
  add(state, TableState.freed, -1);
}

const killedAt: KilledAt[] = [
  {
    name: "before a slot is cleared",
    leave: async (table) => {
      const slot = await table.pop();
      await table.change((state) => writeFreeing(state, Stage.CLEARING, slot));
    },
    ...{ killed: 0, packets: 0 },
  },
  {
    name: "before a slot is pushed",
    leave: async (table) => {
      const slot = await table.pop();
      await table.change((state) => writeFreeing(state, Stage.FREEING, slot));
    },
    ...{ killed: 0, packets: 0 },
  },
  {
    name: "after a slot was pushed",
    // It was the only one in use, so it is the first on the stack.
    leave: (table) => table.change((state) => writeFreeing(state, Stage.FREEING, 0)),
    ...{ killed: 0, packets: 0 },
  },
  ...[false, true].map((isForeign) => ({
    name: `after a slot was pushed that a flow has taken since${isForeign ? ", and of another version," : ""}`,
    isForeign,
    leave: async (table: PinnedTable, send: () => Promise<unknown>) => {
      await table.change((state) => writeFreeing(state, Stage.FREEING, 0));
      await send();
    },
    ...{ killed: 0, packets: PACKETS },
  })),
  {
    name: "before a record is handed out",
    isOpen: true,
    leave: (table) =>
      table.change((state) => {
        const step = TableState.step;
        state.setUint32(step + Step.stage, Stage.HANDING, true);
        state.setUint32(step + Step.slot, 0, true);
        const side = step + Step.exported + Exported.counters;
        state.setBigUint64(side + Counters.packets, BigInt(PACKETS), true);
        state.setBigUint64(step + Step.taken, state.getBigUint64(TableState.taken, true) + BigInt(PACKETS), true);
        state.setBigUint64(step + Step.records, state.getBigUint64(TableState.records, true) + 1n, true);
      }),
    ...{ killed: 1, packets: 0 },
  },
];
for (const { name, isOpen, isForeign, leave, killed, packets } of killedAt) {
  Deno.test(`a loader that was killed ${name} is followed by one that finishes it`, async () => {
    await prepareBpffs();
    const traffic = await Traffic.build();
    await using network = await wideNetwork();
    const { left, right } = network;
    await using _sink = await traffic.sink(right.namespace, PORT, 10);
    const instance = uniqueName("i");
    const options = sessionOptions(left, { pinRoot: PIN_ROOT, instance, flowCapacity: FEW });
    const first = await builtLoader().open(options);
    await attachTo(first.session, left.interfaceName);
    // From the lower address, which is side 0.
    const one = { to: right.ipv4, port: PORT, "source-port": 20_000, threads: 1, flows: 1, packets: PACKETS };
    const send = () => traffic.blast(left.namespace, one);
    await send();
    if (!isOpen) await readAll(first.session);
    first.session.close(true);
    const table = await PinnedTable.of(instance);
    await leave(table, send);
    if (isForeign) await table.becomeForeign();
    using opened = await openSession(options);
    const { session, report } = opened;
    if (isForeign) {
      await attachTo(session, left.interfaceName);
      await session.prune();
    }
    assert.equal(report.killed, killed);
    const { hooks, taken, openPackets } = session.counters();
    assert.equal(hooks.reduce((sum, { counted }) => sum + counted, 0), taken + openPackets);
    assert.equal((await readAll(session)).reduce((sum, count) => sum + count, 0), packets);
    assert.equal(session.counters().used, 0);
    // Each slot can be used, and only once.
    const many = { to: FIRST_DESTINATION, port: PORT, "source-port": 20_001, rate: 100, seconds: (FEW + 1) / 100 };
    assert.equal((await traffic.newFlows(left.namespace, many)).flows, FEW + 1);
    await network.untilQuiet();
    const lost = session.counters().hooks.flatMap(({ lost }) => lost).filter((count) => count > 0);
    assert.deepEqual([session.counters().used, lost], [FEW, [1]]);
    assert.deepEqual(await readAll(session), Array(FEW).fill(1));
  });
}
