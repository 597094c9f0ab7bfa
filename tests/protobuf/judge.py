"""Reads and writes OTLP messages with the official definitions (PyPI's `opentelemetry-proto`, Google's `protobuf`).

`judge.py decode`: one ExportTraceServiceRequest in hex per line of standard input; one line of JSON each, with the names of
the definitions, and "unknown" when the message has fields that they lack. `judge.py answers COUNT SEED`: COUNT random answers of collectors, one line of JSON each.
"""

import json
import random
import sys

from google.protobuf import duration_pb2, json_format, unknown_fields
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2


def has_unknown(message):
    if len(unknown_fields.UnknownFieldSet(message)) > 0:
        return True
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if any(has_unknown(item) for item in (value if field.is_repeated else [value])):
            return True
    return False


def decode(line):
    request = trace_service_pb2.ExportTraceServiceRequest()
    request.ParseFromString(bytes.fromhex(line))
    return {
        "message": json_format.MessageToDict(request, always_print_fields_with_no_presence=False),
        "unknown": has_unknown(request),
    }


def answer():
    message = "".join(random.choice("aé→😀 ") for _ in range(random.choice([0, 1, 200])))
    rejected = random.choice([0, 1, 127, 128, 2**31, 2**53 - 1])
    response = trace_service_pb2.ExportTraceServiceResponse()
    if random.random() < 0.9:
        response.partial_success.rejected_spans = rejected
        response.partial_success.error_message = message
    else:
        rejected, message = 0, ""
    return {"kind": "response", "hex": response.SerializeToString().hex(), "rejected": rejected, "message": message}


def status():
    message = random.choice(["", "too much", "später"])
    seconds, nanos = random.choice([(0, 0), (3, 0), (0, 500_000_000), (70, 1_000_000)])
    told = status_pb2.Status(code=8, message=message)
    others = [error_details_pb2.DebugInfo(detail="d"), error_details_pb2.QuotaFailure()]
    for detail in random.sample(others, random.randint(0, 2)):
        told.details.add().Pack(detail)
    with_delay = random.random() < 0.8
    if with_delay:
        delay = duration_pb2.Duration(seconds=seconds, nanos=nanos)
        told.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    milliseconds = seconds * 1000 + nanos / 1e6 if with_delay else None
    return {"kind": "status", "hex": told.SerializeToString().hex(), "message": message, "retryAfterMs": milliseconds}


if sys.argv[1] == "decode":
    for line in sys.stdin:
        print(json.dumps(decode(line.strip())))
else:
    random.seed(int(sys.argv[3]))
    for _ in range(int(sys.argv[2])):
        print(json.dumps(random.choice([answer, status])()))
