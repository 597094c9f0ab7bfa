/** OpenTelemetry's own protobuf definitions judge what is sent and what is understood: every field, and no other. */

import assert from "node:assert/strict";
import { RequestEncoder, type ResourceAttributes } from "../../src/export/otlp/encoder.ts";
import { ProtobufWriter } from "../../src/export/otlp/protobuf.ts";
import { readExportResponse, readRpcStatus } from "../../src/export/otlp/response.ts";
import {
  attributesOf,
  flowSpan,
  ONLY_REQUIRED,
  OTHER_PROTOCOLS,
  randomFlowSpan,
  seededRandom,
} from "../../src/export/testing.ts";
import type { FlowSpan, U64 } from "../../src/flow/span.ts";

const JUDGE = new URL("judge.py", import.meta.url).pathname;
/** The task that runs this test sets PYTHONPATH. */
const PYTHON = "python3";
const SCOPE = { name: "mermin", version: "0.1.0" };
const RESOURCE: ResourceAttributes = { "service.name": "mermin", "host.ip": ["10.0.0.1", "fd00::1"], "a.number": 2 };
const KINDS = ["", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT"];
const ROUNDS = 200;

/** Runs the judge; `undefined` where a machine lacks what it needs, which CI may not. */
async function judge<T>(args: string[], input = ""): Promise<T[] | undefined> {
  const options = { stdin: "piped", stdout: "piped", stderr: "piped" } as const;
  const child = new Deno.Command(PYTHON, { args: [JUDGE, ...args], ...options }).spawn();
  const [output] = await Promise.all([child.output(), new Blob([input]).stream().pipeTo(child.stdin).catch(() => {})]);
  const decoder = new TextDecoder();
  if (!output.success) {
    const reason = decoder.decode(output.stderr);
    assert.ok(/ModuleNotFoundError/.test(reason) && !Deno.env.get("CI"), reason);
    console.log('skipped: a Python module is missing; "tools/test unit" sets it up');
    return undefined;
  }
  return decoder.decode(output.stdout).trimEnd().split("\n").map((line) => JSON.parse(line));
}

function anyValue(value: string | number | readonly string[]): object {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "number") return { intValue: String(value) };
  return { arrayValue: { values: value.map((stringValue) => ({ stringValue })) } };
}

function keyValues(attributes: Record<string, string | number | readonly string[]>): object[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: anyValue(value) }));
}

/** Under `name`, unless it is 0. */
function nanoseconds(name: string, { hi, lo }: U64): object {
  const ns = BigInt(hi) << 32n | BigInt(lo);
  return ns === 0n ? {} : { [name]: String(ns) };
}

/** A span in the JSON form of protobuf, which leaves out what is empty or 0. */
function expectedSpan(span: FlowSpan): object {
  return {
    traceId: span.traceId.toBase64(),
    spanId: span.spanId.toBase64(),
    ...(span.name !== "" && { name: span.name }),
    kind: KINDS[span.kind],
    ...nanoseconds("startTimeUnixNano", span.startNs),
    ...nanoseconds("endTimeUnixNano", span.endNs),
    attributes: keyValues(attributesOf(span)),
  };
}

function encode(spans: FlowSpan[]): string {
  const writer = new ProtobufWriter(16);
  const encoder = new RequestEncoder(RESOURCE, SCOPE);
  encoder.begin(writer);
  for (const span of spans) encoder.add(writer, span);
  return encoder.finish(writer).toHex();
}

interface Decoded {
  message: { resourceSpans: { resource: object; scopeSpans: { scope: object; spans: Record<string, unknown>[] }[] }[] };
  unknown: boolean;
}

Deno.test("the official definitions read every field of a request, and find no other", async () => {
  const random = seededRandom(20261125);
  const requests = [
    [flowSpan(), flowSpan(ONLY_REQUIRED), flowSpan(OTHER_PROTOCOLS)],
    ...Array.from(
      { length: ROUNDS },
      () => Array.from({ length: 1 + Math.floor(random() * 3) }, () => randomFlowSpan(random)),
    ),
  ];
  const decoded = await judge<Decoded>(["decode"], requests.map((spans) => `${encode(spans)}\n`).join(""));
  if (!decoded) return;
  assert.equal(decoded.length, requests.length);
  decoded.forEach(({ message, unknown }, index) => {
    assert.equal(unknown, false, "unknown fields");
    const [{ resource, scopeSpans }, ...others] = message.resourceSpans;
    assert.deepEqual(others, []);
    assert.deepEqual(resource, { attributes: keyValues(RESOURCE) });
    assert.deepEqual(scopeSpans.map(({ scope }) => scope), [SCOPE]);
    const spans = scopeSpans[0].spans.map(withoutDefaults);
    assert.deepEqual(spans, requests[index].map(expectedSpan));
  });
});

/** `flags` and `status` say the same when they are there and empty. */
function withoutDefaults(span: Record<string, unknown>): Record<string, unknown> {
  const { status, ...rest } = span;
  assert.deepEqual(status ?? {}, {});
  return rest;
}

type Answer =
  | { kind: "response"; hex: string; rejected: number; message: string }
  | { kind: "status"; hex: string; message: string; retryAfterMs: number | null };

Deno.test("answers written with the official definitions are understood", async () => {
  const answers = await judge<Answer>(["answers", "500", "20261125"]);
  for (const answer of answers ?? []) {
    const bytes = Uint8Array.fromHex(answer.hex);
    if (answer.kind === "response") {
      const { rejected: rejectedSpans, message } = answer;
      assert.deepEqual(readExportResponse(bytes), { rejectedSpans, message });
    } else {
      const { message, retryAfterMs } = answer;
      assert.deepEqual(readRpcStatus(bytes), { message, retryAfterMs: retryAfterMs ?? undefined });
    }
  }
});
