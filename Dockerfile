# The agent's image, from this repository and Debian's packages: docker build -t mermin . See docs/containers.md.

FROM debian:bookworm-slim AS tools
WORKDIR /mermin
# Deno brings authorities of its own; behind a proxy only the system's are right.
ENV DENO_TLS_CA_STORE=system
COPY tools/setup-build tools/lib.sh tools/
ARG TARGETARCH
RUN --mount=type=cache,target=/root/.cargo/registry,id=mermin-registry-$TARGETARCH \
    --mount=type=cache,target=/var/cache/tools,id=mermin-tools-$TARGETARCH \
    CARGO_TARGET_DIR=/var/cache/tools tools/setup-build

FROM tools AS build
ARG TARGETARCH
COPY . .
# Dependencies stay compiled. Our own sources are touched, because Cargo goes by time, and another clone's may be older.
RUN --mount=type=cache,target=/root/.cargo/registry,id=mermin-registry-$TARGETARCH \
    --mount=type=cache,target=/mermin/bpf-rs/target,id=mermin-bpf-$TARGETARCH \
    --mount=type=cache,target=/mermin/loader-rs/target,id=mermin-loader-$TARGETARCH \
    --mount=type=cache,target=/mermin/launcher-rs/target,id=mermin-launcher-$TARGETARCH \
    find bpf-rs loader-rs launcher-rs -name target -prune -o -type f -exec touch {} + && tools/build

FROM debian:bookworm-slim AS root
COPY packaging/image-root /
COPY --from=tools /root/.cache/mermin-tools/deno-*/bin/deno /
RUN /image-root /image /deno

# What seldom changes comes first, so that an upgrade fetches two megabytes.
FROM scratch
COPY --from=root /image /
COPY --from=root /deno /opt/mermin/
COPY --from=build /mermin/bin/mermin /mermin/bin/mermin.js /mermin/bin/libmermin_loader.so /opt/mermin/
# Deno keeps nothing: below this it can make no directory.
ENV PATH=/usr/bin:/bin DENO_DIR=/dev/null
EXPOSE 8080 10250
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["wget", "-q", "-O-", "http://localhost:8080/livez"]
ENTRYPOINT ["/usr/bin/mermin"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="mermin" \
      org.opencontainers.image.description="Network flows of a host as OpenTelemetry spans, seen with eBPF" \
      org.opencontainers.image.licenses="MIT OR GPL-2.0-only" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
