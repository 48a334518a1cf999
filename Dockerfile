# The gateway without a shell, a package manager or root: nothing in it but Python, the locked dependencies and the server.
# The builder and the final stage have the same Debian and the same Python.

FROM python:3.11-slim-bookworm AS builder
WORKDIR /src
COPY deploy/requirements.lock ./
RUN pip install --no-cache-dir --no-compile --require-hashes --only-binary :all: --target /app --requirement requirements.lock
COPY pyproject.toml LICENSE README.md ./
COPY server server
COPY clients/python clients/python
RUN pip install --no-cache-dir --no-compile --no-deps --target /app ./clients/python .
# Compiled here once, or each replica would do it at each start. Whatever times its files get, they do not change.
RUN python -m compileall -q --invalidation-mode unchecked-hash /app

FROM gcr.io/distroless/python3-debian12:nonroot
LABEL org.opencontainers.image.title="trunkline" \
      org.opencontainers.image.description="One gRPC gateway to every AI provider, with exact credits" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=builder /app /app
ENV PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TRUNKLINE_DATA_DIR=/var/lib/trunkline \
    TRUNKLINE_GRPC__ADDRESS=0.0.0.0:50051 \
    TRUNKLINE_HTTP__ADDRESS=0.0.0.0:8080
# Nothing else is written to: the root may be read-only. What is kept there in production is the first key alone.
VOLUME /var/lib/trunkline
EXPOSE 50051 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/python3", "-m", "trunkline_server"]
CMD ["serve"]
