/** The same flows through OpenTelemetry's own serializer: the judge of the encoder's bytes, and what it is measured by. */

import { JsonTraceSerializer, ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import type { FlowSpan, U64 } from "../../flow/span.ts";
import { attributesOf } from "../testing.ts";
import type { ResourceAttributes, Scope } from "./encoder.ts";

type ReadableSpan = Parameters<typeof ProtobufTraceSerializer.serializeRequest>[0][number];

const SERIALIZERS = { protobuf: ProtobufTraceSerializer, json: JsonTraceSerializer };

/** `ExportTraceServiceRequest` bytes of `spans`. */
export function officialRequest(
  resource: ResourceAttributes,
  scope: Scope,
  spans: readonly FlowSpan[],
  encoding: keyof typeof SERIALIZERS = "protobuf",
): Uint8Array {
  const shared = { resource: { attributes: resource }, instrumentationScope: scope };
  const request = SERIALIZERS[encoding].serializeRequest(spans.map((span) => readableSpan(span, shared)));
  if (request === undefined) throw new Error("Cannot serialize the spans with the official serializer");
  return request;
}

/** A snapshot of `span` as the OpenTelemetry SDK has it. */
export function readableSpan(span: FlowSpan, shared: object): ReadableSpan {
  const spanContext = { traceId: span.traceId.toHex(), spanId: span.spanId.toHex(), traceFlags: 0 };
  return {
    ...shared,
    name: span.name,
    kind: span.kind - 1,
    spanContext: () => spanContext,
    startTime: hrTime(span.startNs),
    endTime: hrTime(span.endNs),
    attributes: attributesOf(span),
    status: { code: 0 },
    events: [],
    links: [],
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  } as unknown as ReadableSpan;
}

function hrTime(ns: U64): [number, number] {
  const nanoseconds = (BigInt(ns.hi) << 32n) | BigInt(ns.lo);
  return [Number(nanoseconds / 1_000_000_000n), Number(nanoseconds % 1_000_000_000n)];
}
