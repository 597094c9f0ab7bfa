import { JsonTraceSerializer, ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { ABSENT, type FlowSpan } from "../../flow/span.ts";
import { flowSpan } from "../testing.ts";
import { RequestEncoder } from "./encoder.ts";
import { gzip } from "./gzip.ts";
import { JsonRequestEncoder } from "./json_encoder.ts";
import { readableSpan } from "./official.ts";
import { ProtobufWriter } from "./protobuf.ts";
import type { RequestFormat } from "./queue.ts";

/** Of each request. */
const SPANS = 512;
const scope = { name: "mermin", version: "0.1.0" };
const resource = { "service.name": "mermin", "host.name": "node-1" };
const shared = { resource: { attributes: resource }, instrumentationScope: scope };
const writer = new ProtobufWriter(1 << 22);
/** With all 45 attributes that a TCP flow can have. */
const fullSpan = flowSpan();
/** As on most hosts: IPv4, one interface, no VLAN, an observer on one side; 38 attributes. */
const usualSpan = flowSpan({
  ...{ reverseInterfaceName: "", interfaces: [], vlan: ABSENT, flowLabel: ABSENT, reverseFlowLabel: ABSENT },
  ...{ serviceLatencyNs: ABSENT, serviceJitterNs: ABSENT },
});

/** Other values every time, as in real traffic. */
function varied(span: FlowSpan, i: number): FlowSpan {
  span.bytesDelta = i * 7919;
  span.bytesTotal = i * 104729 * 65536;
  span.sourcePort = (i * 31) % 65536;
  return span;
}

function encode(encoder: RequestFormat<FlowSpan>, span: FlowSpan): Uint8Array<ArrayBuffer> {
  encoder.begin(writer);
  for (let i = 0; i < SPANS; i++) encoder.add(writer, varied(span, i));
  return encoder.finish(writer);
}

const encoders = {
  protobuf: { own: new RequestEncoder(resource, scope), official: ProtobufTraceSerializer },
  JSON: { own: new JsonRequestEncoder(resource, scope), official: JsonTraceSerializer },
};

for (const [group, { own, official }] of Object.entries(encoders)) {
  Deno.bench({ name: `${own.constructor.name}, 512 spans`, group, baseline: true }, () => void encode(own, fullSpan));
  Deno.bench({ name: `${own.constructor.name}, 512 usual spans`, group }, () => void encode(own, usualSpan));
  Deno.bench({ name: `@opentelemetry/otlp-transformer, 512 spans`, group }, () => {
    official.serializeRequest(Array.from({ length: SPANS }, (_, i) => readableSpan(varied(fullSpan, i), shared)));
  });
  const request = encode(own, usualSpan).slice();
  const size = `${Math.round(request.length / 1024)} to ${Math.round(gzip(request).length / 1024)} KiB`;
  Deno.bench({ name: `gzip() of 512 usual spans, ${size}`, group }, () => void gzip(request));
}
