/** Answers of an OTLP receiver. */

import { protobufFields } from "./protobuf.ts";

const UTF8 = new TextDecoder();

/** `ExportTracePartialSuccess`: spans that the receiver did not take, and its remark. */
export interface PartialSuccess {
  readonly rejectedSpans: number;
  readonly message: string;
}

/** Reads an `ExportTraceServiceResponse`. An answer that can't be read is a remark: the spans themselves were taken. */
export function readExportResponse(response: Uint8Array): PartialSuccess {
  let rejectedSpans = 0;
  let message = "";
  try {
    for (const field of protobufFields(response)) {
      if (field.number !== 1) continue;
      for (const part of protobufFields(field.bytes)) {
        if (part.number === 1) rejectedSpans = part.value;
        else if (part.number === 2) message = UTF8.decode(part.bytes);
      }
    }
  } catch (error) {
    return unreadable(error);
  }
  return { rejectedSpans, message };
}

/** The spans were taken, but what the receiver said about them is lost. */
export function unreadable(error: unknown): PartialSuccess {
  return { rejectedSpans: 0, message: `the answer is not readable: ${(error as Error).message}` };
}

/** The same as JSON, where 64-bit numbers are texts (https://protobuf.dev/programming-guides/json). */
export function readJsonExportResponse(response: Uint8Array): PartialSuccess {
  try {
    const text = UTF8.decode(response).trim();
    const { partialSuccess: partial } = objectOf(text === "" ? {} : JSON.parse(text));
    const { rejectedSpans, errorMessage } = objectOf(partial);
    return { rejectedSpans: Number(rejectedSpans ?? 0) || 0, message: String(errorMessage ?? "") };
  } catch (error) {
    return unreadable(error);
  }
}

/** The message of a `google.rpc.Status` in JSON; what is none is its own message. */
export function readJsonRpcStatus(status: Uint8Array): string {
  const text = UTF8.decode(status);
  try {
    return String(objectOf(JSON.parse(text)).message ?? text);
  } catch {
    return text;
  }
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}

/** The parts of `google.rpc.Status` that count here; `retryAfterMs` comes from `google.rpc.RetryInfo`. */
export interface RpcStatus {
  readonly message: string;
  readonly retryAfterMs?: number;
}

/** Reads a `google.rpc.Status`; an unreadable one says nothing. */
export function readRpcStatus(status: Uint8Array): RpcStatus {
  let message = "";
  let retryAfterMs: number | undefined;
  try {
    for (const field of protobufFields(status)) {
      if (field.number === 2) message = UTF8.decode(field.bytes);
      else if (field.number === 3) retryAfterMs = retryDelayMs(field.bytes) ?? retryAfterMs;
    }
  } catch {
    // Whatever precedes the unreadable part still helps the reader of the log.
  }
  return { message, retryAfterMs };
}

/** `any` is a `google.protobuf.Any`: 1 type_url, 2 value; RetryInfo: 1 retry_delay (1 seconds, 2 nanos). */
function retryDelayMs(any: Uint8Array): number | undefined {
  let type = "";
  let value = new Uint8Array(0);
  for (const field of protobufFields(any)) {
    if (field.number === 1) type = UTF8.decode(field.bytes);
    else if (field.number === 2) value = new Uint8Array(field.bytes);
  }
  if (!type.endsWith("/google.rpc.RetryInfo")) return undefined;
  let delayMs = 0;
  for (const info of protobufFields(value)) {
    if (info.number !== 1) continue;
    for (const part of protobufFields(info.bytes)) {
      delayMs += part.number === 1 ? part.value * 1000 : part.number === 2 ? part.value / 1e6 : 0;
    }
  }
  return delayMs;
}
