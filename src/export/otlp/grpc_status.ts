/** What a gRPC answer means for the spans (https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-response). */

import { Buffer } from "node:buffer";
import { gunzipSync } from "node:zlib";
import { type PartialSuccess, readExportResponse, readRpcStatus, unreadable } from "./response.ts";
import type { SendResult } from "./transport.ts";

/** Before each message stand one byte "compressed" and four bytes length. */
export const MESSAGE_PREFIX_BYTES = 5;

/** Length of an answer after decompression, at most. */
const MAX_MESSAGE_BYTES = 65_536;

type Headers = Readonly<Record<string, string | string[] | number | undefined>>;

/** What came back on one stream; an answer without a message has its trailers in `headers`. */
export interface Answer {
  headers: Headers;
  trailers: Headers;
  readonly pieces: Uint8Array[];
}

/** Names of the gRPC status codes, by number (grpc/doc/statuscodes.md). */
const CODE_NAMES = [
  "ok",
  "cancelled",
  "unknown",
  "invalid_argument",
  "deadline_exceeded",
  "not_found",
  "already_exists",
  "permission_denied",
  "resource_exhausted",
  "failed_precondition",
  "aborted",
  "out_of_range",
  "unimplemented",
  "internal",
  "unavailable",
  "data_loss",
  "unauthenticated",
];
const UNKNOWN = 2;
const RESOURCE_EXHAUSTED = 8;

/** Codes that the OTLP specification calls retryable, `RESOURCE_EXHAUSTED` apart: that one needs a `RetryInfo`. */
const RETRYABLE: ReadonlySet<number> = new Set([1, 4, 10, 11, 14, 15]);

/** gRPC codes of answers that no gRPC server made (grpc/doc/http-grpc-status-mapping.md). */
const CODE_OF_HTTP: Readonly<Record<number, number>> = {
  400: 13,
  401: 16,
  403: 7,
  404: 12,
  429: 14,
  502: 14,
  503: 14,
  504: 14,
};

/** The result that `answer` tells, or `undefined` when it broke off before it said anything final. */
export function judgeAnswer(answer: Answer): SendResult | undefined {
  const last = answer.trailers["grpc-status"] === undefined ? answer.headers : answer.trailers;
  const httpStatus = Number(answer.headers[":status"] ?? 200);
  if (last["grpc-status"] === undefined) {
    return httpStatus === 200 ? undefined : failure(CODE_OF_HTTP[httpStatus] ?? UNKNOWN, `HTTP status ${httpStatus}`);
  }
  const text = String(last["grpc-status"]);
  const status = /^\d+$/.test(text) ? Number(text) : UNKNOWN;
  if (status === 0) {
    return { kind: "delivered", ...readMessage(Buffer.concat(answer.pieces)) };
  }
  // Binary metadata is base64 with or without padding; what is none reads as empty.
  const details = Buffer.from(String(last["grpc-status-details-bin"] ?? ""), "base64");
  return failure(status, decodeGrpcMessage(String(last["grpc-message"] ?? "")), readRpcStatus(details).retryAfterMs);
}

/** A server answers a compressed request with a compressed answer, unless that is empty. */
function readMessage(message: Uint8Array): PartialSuccess {
  const content = message.subarray(MESSAGE_PREFIX_BYTES);
  if (message[0] !== 1) return readExportResponse(content);
  try {
    return readExportResponse(gunzipSync(content, { maxOutputLength: MAX_MESSAGE_BYTES }));
  } catch (error) {
    return unreadable(error);
  }
}

/** Decodes a percent-encoded `grpc-message`; a malformed one stays as it is, as the protocol asks. */
export function decodeGrpcMessage(message: string): string {
  try {
    return decodeURIComponent(message);
  } catch {
    return message;
  }
}

/** A `grpc-timeout` value; the field has eight digits at most. */
export function grpcTimeout(timeoutMs: number): string {
  const ms = Math.max(1, Math.round(timeoutMs));
  return ms < 1e8 ? `${ms}m` : `${Math.min(Math.round(ms / 1000), 99_999_999)}S`;
}

function failure(status: number, message: string, retryAfterMs?: number): SendResult {
  const code = `grpc_${CODE_NAMES[status] ?? status}`;
  const isRetryable = RETRYABLE.has(status) || (status === RESOURCE_EXHAUSTED && retryAfterMs !== undefined);
  return isRetryable ? { kind: "retry", code, message, retryAfterMs } : { kind: "refused", code, message };
}
