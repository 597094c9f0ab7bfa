import {
  bool,
  checkHttpUrl,
  choice,
  type Complain,
  duration,
  group,
  integer,
  map,
  optional,
  required,
  secret,
  text,
  type ValueOf,
} from "../../config/mod.ts";

const authSettings = group("Proves to the collector who sends.", {
  basic: optional(group("HTTP basic authentication.", {
    user: required(text("", "Name of the user.", { check: checkUser })),
    pass: required(secret("", "Password of the user.")),
  })),
  bearer: secret("", "Token that is sent as bearer.", { check: checkToken }),
}, {
  check(auth, complain) {
    if (auth.basic && auth.bearer !== "") complain(["basic", "bearer"], "give either basic or bearer, not both");
  },
});

const tlsSettings = group(
  "Encryption of the connection; without this, an https endpoint is checked against the roots of the system and of Mozilla.",
  {
    insecure_skip_verify: bool(false, "Whether the collector's certificate goes unchecked."),
    ca_cert: text("", "File with the certificates of private authorities, trusted instead of those roots.", {
      what: "a path",
    }),
    client_cert: text("", "File with the agent's own certificate, and those between it and its root.", {
      what: "a path",
    }),
    client_key: text("", "File with the key of that certificate, not encrypted.", { what: "a path" }),
  },
  {
    check(tls, complain) {
      if ((tls.clientCert === "") !== (tls.clientKey === "")) {
        complain(["client_cert", "client_key"], "client_cert and client_key need each other; give both");
      }
    },
  },
);

/** Ports that `fetch` sends nothing to (https://fetch.spec.whatwg.org/#port-blocking). */
export const BLOCKED_PORTS: ReadonlySet<number> = new Set(
  // deno-fmt-ignore
  [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110,
    111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540,
    548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566,
    6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
  ],
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
    { synonyms: { "http/protobuf": "http_binary", "http/json": "http_json" } },
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
  auth: optional(authSettings),
  compression: choice(["none", "gzip"], "none", "How requests are compressed."),
  tls: optional(tlsSettings),
}, {
  check(otlp, complain) {
    if (otlp.maxBatchSize > otlp.maxQueueSize) {
      complain(
        ["max_batch_size", "max_queue_size"],
        `a batch (max_batch_size, ${otlp.maxBatchSize}) cannot be larger than the queue (max_queue_size, ${otlp.maxQueueSize})`,
      );
    }
    const { protocol, pathname, port } = new URL(otlp.endpoint);
    if (protocol === "http:" && (otlp.tls?.caCert || otlp.tls?.clientCert)) {
      complain(["tls"], "certificates mean nothing without TLS; write https: in endpoint, or remove them");
    }
    if (otlp.protocol === "grpc" && pathname !== "/") {
      complain(["endpoint"], `gRPC has no path; remove "${pathname}", or set protocol to "http_binary"`);
    }
    // HTTPS does not go through `fetch`.
    if (otlp.protocol !== "grpc" && protocol === "http:" && port !== "" && BLOCKED_PORTS.has(Number(port))) {
      complain(
        ["endpoint"],
        `HTTP to port ${port} is blocked, because it belongs to another protocol; use another port`,
      );
    }
    checkHeaders(otlp, complain);
  },
});

export type OtlpConfig = ValueOf<typeof otlpSettings>;
export type AuthConfig = NonNullable<OtlpConfig["auth"]>;
export type TlsConfig = NonNullable<OtlpConfig["tls"]>;

/** Headers that say how a request is sent; the agent sets them itself. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  ...["connection", "content-encoding", "content-length", "content-type", "expect", "host", "keep-alive"],
  ...["proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"],
]);

function checkHeaders(
  { auth, headers, protocol }: { auth?: AuthConfig; headers: Readonly<Record<string, string>>; protocol: string },
  complain: Complain,
): void {
  const names = Object.keys(headers).map((name) => name.toLowerCase());
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) complain(["headers"], `${twice} is given twice; case does not count`);
  const hasAuth = auth !== undefined && (auth.basic !== undefined || auth.bearer !== "");
  if (hasAuth && names.includes("authorization")) {
    complain(["headers"], "authorization is set by auth already; keep one of them");
  }
  if (protocol !== "grpc") return;
  // https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md: Custom-Metadata
  for (const [name, value] of Object.entries(headers)) {
    const written = name.toLowerCase();
    if (written.startsWith("grpc-")) complain(["headers"], `${name}: names with grpc- are reserved for gRPC itself`);
    if (written.endsWith("-bin")) complain(["headers"], `${name}: names with -bin mean binary values, not text`);
    if (!/^[0-9a-z_.-]+$/.test(written)) {
      complain(["headers"], `${name}: gRPC allows letters, digits, "_", "-" and "."`);
    }
    if (!/^[ -~]*$/.test(value)) complain(["headers"], `${name}: gRPC allows ASCII only in a value`);
  }
}

function secretHeader() {
  return secret("", "One value.", {
    check: (value) => {
      // What RFC 9110, section 5.5, forbids, and what the runtime cannot send.
      if (/[\0\r\n]/.test(value)) return "a header cannot hold a line break";
      return /[^\t -~\x80-\xff]/.test(value) ? "a header cannot hold these characters" : undefined;
    },
  });
}

/** A token of RFC 9110, section 5.6.2. */
function checkHeaderName(name: string): string | undefined {
  if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(name)) return "not the name of a header";
  return OWN_HEADERS.has(name.toLowerCase()) ? "is set by the agent itself; remove it" : undefined;
}

/** RFC 7617, section 2. */
function checkUser(user: string): string | undefined {
  return user.includes(":") ? "a user's name cannot hold a colon" : undefined;
}

/** Whatever else stands in a token would end the header or the connection. */
function checkToken(token: string): string | undefined {
  return /^[!-~]*$/.test(token) ? undefined : "a token cannot hold spaces, line breaks or characters outside of ASCII";
}
