import {
  bool,
  checkHttpUrl,
  choice,
  duration,
  group,
  integer,
  later,
  map,
  optional,
  required,
  secret,
  text,
  type ValueOf,
} from "../../config/mod.ts";

const authSettings = group("Proves to the collector who sends.", {
  basic: optional(group("HTTP basic authentication.", {
    user: required(text("", "Name of the user.")),
    pass: required(secret("", "Password of the user.")),
  })),
  bearer: secret("", "Token that is sent as bearer."),
}, {
  check(auth, complain) {
    if (auth.basic && auth.bearer !== "") complain(["basic", "bearer"], "give either basic or bearer, not both");
  },
});

const tlsSettings = group(
  "Encryption of the connection; without this, an https endpoint is checked against the roots of the system and of Mozilla.",
  {
    insecure_skip_verify: bool(false, "Whether the collector's certificate goes unchecked."),
    ca_cert: text("", "File with the certificates of private authorities.", { what: "a path" }),
    client_cert: text("", "File with the agent's own certificate.", { what: "a path" }),
    client_key: text("", "File with the key of that certificate.", { what: "a path" }),
  },
  {
    check(tls, complain) {
      if ((tls.clientCert === "") !== (tls.clientKey === "")) {
        complain(["client_cert", "client_key"], "client_cert and client_key need each other; give both");
      }
    },
  },
);

/** `export "traces" { otlp }`: records to an OpenTelemetry collector. */
export const otlpSettings = group("Sends records to an OpenTelemetry collector.", {
  endpoint: text("http://localhost:4317", "Where the collector listens; for HTTP, no path means /v1/traces.", {
    what: "an http or https URL",
    check: checkHttpUrl,
  }),
  protocol: choice(
    ["grpc", "http_binary", "http_json"],
    "grpc",
    "How the records are sent; http_binary is also written http/protobuf.",
    { synonyms: { "http/protobuf": "http_binary", "http/json": "http_json" }, notYet: ["http_json"] },
  ),
  timeout: duration("10s", "Longest time that one request may take."),
  max_export_timeout: duration("10s", "Longest time that all tries to send one batch may take together."),
  max_batch_size: integer(512, "Spans in one request, at most.", { min: 1, max: 65_536 }),
  max_batch_interval: duration("5s", "Longest time that a span waits until its batch is sent.", { max: "1h" }),
  max_queue_size: integer(32_768, "Spans that may wait; when it is full, the oldest are dropped and counted.", {
    min: 1,
    max: 4_194_304,
  }),
  max_concurrent_exports: integer(1, "Requests that may be under way at once.", { min: 1, max: 64 }),
  headers: map(secretHeader(), "Headers that go with every request; their values are never shown.", checkHeaderName),
  auth: later("authentication", optional(authSettings)),
  compression: later(
    "compression",
    choice(["none", "gzip"], "none", "How requests are compressed."),
  ),
  tls: later("changing how TLS works", optional(tlsSettings)),
}, {
  check(otlp, complain) {
    if (otlp.maxBatchSize > otlp.maxQueueSize) {
      complain(
        ["max_batch_size", "max_queue_size"],
        `a batch (max_batch_size, ${otlp.maxBatchSize}) cannot be larger than the queue (max_queue_size, ${otlp.maxQueueSize})`,
      );
    }
  },
});

/** What the exporter honours so far. */
export type OtlpConfig = Omit<ValueOf<typeof otlpSettings>, "auth" | "compression" | "tls">;

function secretHeader() {
  return secret("", "One value.", {
    // What RFC 9110, section 5.5, forbids.
    check: (value) => /[\0\r\n]/.test(value) ? "a header cannot hold a line break" : undefined,
  });
}

/** A token of RFC 9110, section 5.6.2. */
function checkHeaderName(name: string): string | undefined {
  return /^[!#$%&'*+.^_`|~\w-]+$/.test(name) ? undefined : "not the name of a header";
}
