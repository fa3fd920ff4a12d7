# One image for every service: the program, its study files, and the MLflow server.
# Python by its digest: the same bytes for everybody. CONTRIBUTING says how to take a newer one.
ARG PYTHON=python:3.11-slim@sha256:db3ff2e1800a8581e2c48a27c3995339d47bdf046da21c7627accd3d51053a93

FROM ${PYTHON} AS build

WORKDIR /hpsearch
RUN python -m venv /venv
COPY requirements.lock .
RUN /venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md ./
COPY hpsearch hpsearch
COPY net net
COPY studies studies
RUN /venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM ${PYTHON}

ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    OPENBLAS_NUM_THREADS=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
    HPSEARCH_HOME=/data \
    HOME=/tmp

COPY --from=build /venv /venv
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin hpsearch && \
    install -d -o 10001 -g 10001 -m 0700 /data

# By number, so that whoever runs it can tell that this is not root.
USER 10001:10001
