import { deepEqual, match, ok } from "node:assert/strict";
import { isIP } from "node:net";
import { FlowRecords } from "../../capture/decode.ts";
import { FlowKey, FlowRecord } from "../../capture/layout.gen.ts";
import { ABSENT } from "../../flow/span.ts";
import { SpanBuilder } from "../../flow/span_builder.ts";
import { attributesOf, seededRandom } from "../testing.ts";
import { RequestEncoder } from "./encoder.ts";
import { protobufFields, ProtobufWriter } from "./protobuf.ts";

const RECORDS = 64;
const PROTOCOLS = [1, 6, 17, 50, 51, 58, 132];

Deno.test("any bytes at all become a record, a span and a request, without an error", () => {
  const random = seededRandom(512);
  const below = (limit: number) => Math.floor(random() * limit);
  const buffer = new Uint8Array(RECORDS * FlowRecord.size);
  const records = new FlowRecords(buffer);
  const host = {
    interface: (index: number) => index % 3 === 0 ? undefined : { name: `eth${index}`, mac: "" },
    isLocal: (address: string) => address.length % 2 === 0,
    listens: (_protocol: number, _address: string, port: number) => port % 2 === 0,
  };
  const builder = new SpanBuilder({ seed: 0, traceIdTimeoutMs: 1000, capacity: 1024, host });
  const encoder = new RequestEncoder({}, { name: "mermin", version: "0" });
  const writer = new ProtobufWriter(16);
  for (let round = 0; round < 100; round++) {
    for (let i = 0; i < buffer.length; i++) buffer[i] = random() < 0.3 ? 0 : below(256);
    encoder.begin(writer);
    for (let i = 0; i < RECORDS; i++) {
      // Most protocols have no attributes of their own.
      buffer[i * FlowRecord.size + FlowKey.protocol] = PROTOCOLS[below(PROTOCOLS.length)];
      records.seek(i);
      const span = builder.build(records);
      encoder.add(writer, span);
      match(span.name, /^flow_ipv[46]_[a-z0-9_.+/-]+$/);
      ok(isIP(span.sourceAddress) && isIP(span.destinationAddress));
      ok(span.kind >= 1 && span.kind <= 3);
      for (const value of Object.values(attributesOf(span))) {
        ok(typeof value === "number" ? value >= 0 && value !== ABSENT : value !== undefined);
      }
    }
    deepEqual([...protobufFields(encoder.finish(writer))].length, 1);
  }
});
