# One image for every service: the program, its study files, and the MLflow server.
FROM python:3.11-slim

ENV PYTHONDONTWRITEBYTECODE=1 \
    OPENBLAS_NUM_THREADS=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
    HPSEARCH_HOME=/data

WORKDIR /hpsearch
COPY requirements.lock .
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md ./
COPY hpsearch hpsearch
COPY net net
COPY studies studies
RUN pip install --no-cache-dir --no-deps --no-build-isolation . && \
    useradd --create-home hpsearch && mkdir /data && chown hpsearch /data

USER hpsearch
VOLUME /data
