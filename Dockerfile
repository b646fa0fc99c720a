# syntax=docker/dockerfile:1
# One image for every node. It holds no keys and no configuration: a home (keys, genesis document,
# chain) is mounted at /home/ledger/data, made before by `evidence-ledger genesis`, and everything
# else may be read-only. The command is
#
#     evidence-ledger node run --home /home/ledger/data
#
# The base is pinned by tag; pin it by digest as well where the registry can be asked
# (docker buildx imagetools inspect python:3.12.12-slim-bookworm). 3.12 is the last Python that
# plyvel has a wheel for. The kernel is compiled in the first stage, which has a compiler; the
# second has none.

ARG PYTHON_TAG=3.12.12-slim-bookworm
ARG PYTHON_BUILD_TAG=3.12.12-bookworm

FROM python:${PYTHON_BUILD_TAG} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_NO_INPUT=1
WORKDIR /build
COPY requirements/build.txt requirements/run.txt requirements/
RUN python -m pip install --require-hashes -r requirements/build.txt \
    && python -m venv /opt/ledger \
    && /opt/ledger/bin/python -m pip install --require-hashes --only-binary :all: \
        -r requirements/run.txt
COPY . .
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/ledger/bin/python -m pip install --no-deps --no-index /wheels/*.whl \
    && /opt/ledger/bin/python -c "import ledger.kernel_native" \
    && /opt/ledger/bin/python -m pip uninstall --yes pip

FROM python:${PYTHON_TAG}
LABEL org.opencontainers.image.title="evidence-ledger" \
      org.opencontainers.image.description="One institution's node of a permissioned BFT ledger of evidence." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
RUN groupadd --gid 10001 ledger \
    && useradd --uid 10001 --gid 10001 --create-home --shell /usr/sbin/nologin ledger \
    && install --directory --owner=ledger --group=ledger --mode=0700 /home/ledger/data
COPY --from=build /opt/ledger /opt/ledger
ENV PATH=/opt/ledger/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LEDGER_HEALTH_URL=https://127.0.0.1:8443/healthz
USER 10001:10001
WORKDIR /home/ledger
VOLUME /home/ledger/data
EXPOSE 8443 7443
# Asked on loopback inside the container, so the certificate's name is not checked.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, ssl, urllib.request as u; u.urlopen(os.environ['LEDGER_HEALTH_URL'], timeout=2, context=ssl._create_unverified_context())"]
# Exec form: the node itself is process 1, gets SIGTERM and shuts down in order. Its only children
# are its verification workers: it reaps them itself, and they start none, so no init is needed.
STOPSIGNAL SIGTERM
ENTRYPOINT ["evidence-ledger"]
CMD ["node", "run", "--home", "/home/ledger/data"]
