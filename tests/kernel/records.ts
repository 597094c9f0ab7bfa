/** Records that a session hands out, as plain values. */

import { type CaptureSession, FlowRecords, type SweepLimits } from "../../src/capture/mod.ts";
import { type RecordValues, valuesOf } from "../../src/flow/testing.ts";
import { NOTHING_DUE } from "./session.ts";

/** Sweeps with `change` to limits at which nothing is due, all flows by default, and reads to the end. */
export async function sweep(
  session: CaptureSession,
  change: Partial<SweepLimits> = { force: true },
): Promise<RecordValues[]> {
  const records = new FlowRecords(session.records);
  const values: RecordValues[] = [];
  await session.sweep({ ...NOTHING_DUE, ...change });
  for (let count = session.read(); count > 0; count = session.read()) {
    for (let i = 0; i < count; i++) {
      records.seek(i);
      values.push(valuesOf(records));
    }
  }
  return values;
}
