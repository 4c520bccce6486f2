# syntax=docker/dockerfile:1
#
# One image for each program:
#
#   docker build --target farmgate -t farmgate .
#   docker build --target weather -t farmgate-weather .
#   docker build --target ndvi -t farmgate-ndvi .
#
# The shipped configuration listens on loopback. Mount one of your own over /etc/farmgate, with
# listeners on 0.0.0.0 and the services' names in upstreams/, and give the secrets that it names
# with --env-file.

FROM rust:1.95-bookworm AS chef
# zlib-ng, which Pingora builds, wants cmake.
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake \
    && rm -rf /var/lib/apt/lists/*
RUN cargo install cargo-chef --version 0.1.78 --locked
WORKDIR /build

# The recipe is the list of dependencies: as long as it stays the same, so does the layer below
# that compiles them.
FROM chef AS planner
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS builder
COPY --from=planner /build/recipe.json recipe.json
RUN cargo chef cook --release --locked --recipe-path recipe.json \
    --package farmgate --package weather --package ndvi
COPY . .
RUN cargo build --release --locked --package farmgate --package weather --package ndvi

FROM debian:bookworm-slim AS runtime
# The services call providers over TLS and trust the system's certificate authorities.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin farmgate \
    && install --directory --owner farmgate --group farmgate --mode 700 /var/lib/farmgate
# The databases are files in the working directory.
WORKDIR /var/lib/farmgate
USER 10001:10001

FROM runtime AS weather
COPY --from=builder /build/target/release/weather /usr/local/bin/weather
ENV LISTEN=0.0.0.0:8090
EXPOSE 8090
VOLUME /var/lib/farmgate
# bash opens the connection itself, so that the image needs no HTTP client.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8090 && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r line <&3 && [[ $line == *' 200 '* ]]"]
ENTRYPOINT ["/usr/local/bin/weather"]

FROM runtime AS ndvi
COPY --from=builder /build/target/release/ndvi /usr/local/bin/ndvi
ENV LISTEN=0.0.0.0:8081
EXPOSE 8081
VOLUME /var/lib/farmgate
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8081 && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r line <&3 && [[ $line == *' 200 '* ]]"]
ENTRYPOINT ["/usr/local/bin/ndvi"]

# LISTEN is open to other machines, so both services want a secret to verify callers with, such as
# INTERNAL_TOKEN_SECRET, or AUTH_DISABLED=true.

# The last stage is what a build without --target makes.
FROM runtime AS farmgate
COPY --from=builder /build/target/release/farmgate /usr/local/bin/farmgate
COPY conf/gateway.yaml /etc/farmgate/conf/gateway.yaml
COPY upstreams /etc/farmgate/upstreams
# Nonces, revocations and the key store.
ENV STATE_DIRECTORY=/var/lib/farmgate
EXPOSE 8080 9180
VOLUME /var/lib/farmgate
# Pre-warming may hold readiness back for server.ready_timeout.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9180 && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r line <&3 && [[ $line == *' 200 '* ]]"]
ENTRYPOINT ["/usr/local/bin/farmgate"]
CMD ["run", "--config", "/etc/farmgate/conf/gateway.yaml"]
