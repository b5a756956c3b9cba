FROM node:24-trixie-slim AS node

FROM rust:1.94-slim-trixie AS builder
# The playground's build script calls npm.
COPY --from=node /usr/local/ /usr/local/
WORKDIR /src
COPY . .
# If npm fails, the build script falls back to a playground that loads its files from a CDN. The image
# must not contain that playground.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/root/.npm \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked \
    && { ! grep -q cdn.jsdelivr.net target/release/rookery || { cargo clean --release -p playground; exit 1; }; } \
    && cp target/release/rookery /usr/local/bin/

FROM debian:trixie-slim
LABEL org.opencontainers.image.title="Rookery" \
      org.opencontainers.image.description="A social graph over GraphQL: users, follows, posts and a home timeline" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
RUN useradd --uid 10001 --user-group --home-dir /data --shell /usr/sbin/nologin rookery \
    && install --directory --owner=rookery --group=rookery /data
COPY --from=builder /usr/local/bin/rookery /usr/local/bin/
ENV DATABASE_URL=sqlite:///data/rookery.db \
    ROOKERY_LISTEN=0.0.0.0:8000
# A numeric id, so that Kubernetes can verify `runAsNonRoot`.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# The slim image has no curl, so the check uses the sockets of bash.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/${ROOKERY_LISTEN##*:}; printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3; \
    read -r _ status _ <&3; [[ $status = 200 ]]"]
ENTRYPOINT ["rookery"]
