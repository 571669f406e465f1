FROM python:3.13-slim AS packages
COPY requirements/service.txt .
RUN python -m venv --without-pip /venv \
    && pip --python /venv/bin/python install --no-cache-dir --require-hashes --requirement service.txt

FROM python:3.13-slim
# /keys belongs to the user so that a new volume there does too.
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent ticketauth \
    && install -d -m 755 -o ticketauth /keys
COPY --from=packages /venv /venv
WORKDIR /service
COPY . .
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=8000
RUN python -m compileall -q .
USER ticketauth
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=2)"]
CMD ["python", "-m", "config.serve"]
