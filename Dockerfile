# syntax=docker/dockerfile:1
# Both services' images, each one static binary and nothing else: no shell, no libc, no certificates (they are compiled
# in), no secret.
#
#   docker build --target ingest-fn .
#   docker build --target drain-worker .
#
# infra/image/build makes the same images without a container engine: it builds the binaries itself and gives their
# folder in the place of the stage `build` (--build-context build=FOLDER). The final stages are the one recipe of both.

# By version: a digest could not be looked up where this was written. The registry may move the tag to a patched image.
ARG RUST_VERSION=1.95
ARG DEBIAN_RELEASE=bookworm

FROM docker.io/library/rust:${RUST_VERSION}-${DEBIAN_RELEASE} AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends musl-tools \
 && rm -rf /var/lib/apt/lists/* \
 && rustup target add x86_64-unknown-linux-musl
WORKDIR /spillway
COPY . .
# As infra/image/build does: without symbols, which would be half of the image, and without the builder's folders.
ENV CARGO_PROFILE_DIST_STRIP=symbols \
    CARGO_PROFILE_DIST_DEBUG=none \
    CARGO_INCREMENTAL=0 \
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS="--remap-path-prefix=/usr/local/cargo=/cargo"
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/spillway/target,sharing=locked \
    cargo build --locked --profile dist --target x86_64-unknown-linux-musl -p ingest-fn -p drain-worker \
 && install -D -m 0555 -t /out \
        target/x86_64-unknown-linux-musl/dist/ingest-fn target/x86_64-unknown-linux-musl/dist/drain-worker

FROM scratch AS ingest-fn
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Spillway ingest-fn" \
      org.opencontainers.image.description="Takes a flash sale's orders over HTTP and publishes them to RocketMQ" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build --chown=0:0 --chmod=0555 /out/ingest-fn /ingest-fn
# By number: there is no /etc/passwd to look a name up in. The user owns nothing and can change nothing.
USER 65532:65532
EXPOSE 9000
STOPSIGNAL SIGTERM
ENTRYPOINT ["/ingest-fn"]

FROM scratch AS drain-worker
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Spillway drain-worker" \
      org.opencontainers.image.description="Takes orders off RocketMQ at a capped rate and writes each exactly once" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build --chown=0:0 --chmod=0555 /out/drain-worker /drain-worker
USER 65532:65532
# Look-ups for buyers; health, metrics and control for operators.
EXPOSE 9100 9101
STOPSIGNAL SIGTERM
ENTRYPOINT ["/drain-worker"]
CMD ["run"]

# With what is on sale on top, given by --build-context catalogue=FOLDER: it changes more often than the code, and what
# is deployed is one image, so that the stock that was seeded and the prices that are taken cannot differ.
FROM ingest-fn AS ingest-fn-with-catalogue
COPY --from=catalogue --chown=0:0 --chmod=0444 sales.toml /sales.toml
ENV SPILLWAY_CATALOGUE=/sales.toml

FROM drain-worker AS drain-worker-with-catalogue
COPY --from=catalogue --chown=0:0 --chmod=0444 sales.toml /sales.toml
ENV SPILLWAY_CATALOGUE=/sales.toml
