import { RequestEncoder } from "./encoder.ts";
import { readableSpan } from "./official.ts";
import { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { ProtobufWriter } from "./protobuf.ts";
import { flowSpan } from "../testing.ts";

const SPANS = 512;
const scope = { name: "mermin", version: "0.1.0" };
const resource = { "service.name": "mermin", "host.name": "node-1" };
const encoder = new RequestEncoder(resource, scope);
const writer = new ProtobufWriter(1 << 20);
const span = flowSpan();
const shared = { resource: { attributes: resource }, instrumentationScope: scope };

Deno.bench({ name: "RequestEncoder, 512 spans", group: "512 spans", baseline: true }, () => {
  encoder.begin(writer);
  for (let i = 0; i < SPANS; i++) {
    // Other values every time, as in real traffic.
    span.bytesDelta = i * 7919;
    span.bytesTotal = i * 104729 * 65536;
    encoder.add(writer, span);
  }
  encoder.finish(writer);
});

Deno.bench({ name: "@opentelemetry/otlp-transformer, 512 spans", group: "512 spans" }, () => {
  ProtobufTraceSerializer.serializeRequest(Array.from({ length: SPANS }, (_, i) => {
    span.bytesDelta = i * 7919;
    span.bytesTotal = i * 104729 * 65536;
    return readableSpan(span, shared);
  }));
});
