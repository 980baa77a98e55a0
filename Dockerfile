# pii-blur in a container; docs/docker.md says how to use it. The scripts in container/ do the work, and
# tests/container.sh runs the same scripts where there is no Docker.
#
#     docker build -t pii-blur .                        for the processor
#     docker build -t pii-blur:cuda --target cuda .     for an Nvidia card (untested: nobody has run it yet)
#
# Behind a proxy: --build-arg HTTP_PROXY=... --build-arg HTTPS_PROXY=..., which Docker knows by itself.

FROM debian:bookworm-slim AS programs
COPY container/programs.sh /container/
RUN sh /container/programs.sh && rm -r /container

FROM programs AS sources
COPY pyproject.toml README.md LICENSE.txt .ExifTool_Config /sources/
COPY container /sources/container
COPY models /sources/models
COPY pii_blur /sources/pii_blur

FROM sources AS packages
ARG PIP_INDEX_URL=https://pypi.org/simple
ARG EXTRAS=heif,server,watch
RUN sh /sources/container/packages.sh /sources cpu "$EXTRAS"

FROM sources AS packages-cuda
ARG PIP_INDEX_URL=https://pypi.org/simple
ARG EXTRAS=heif,server,watch
RUN sh /sources/container/packages.sh /sources cuda "$EXTRAS"

FROM programs AS runtime
ENV PATH=/opt/pii-blur/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PII_BLUR_INPUT=/input \
    PII_BLUR_OUTPUT=/output
# Where pii-blur.toml is looked for: empty, for your own to be mounted.
WORKDIR /config
ENTRYPOINT ["pii-blur"]

FROM runtime AS cuda
COPY --from=packages-cuda /opt/pii-blur /opt/pii-blur
COPY container/cuda-libraries.sh /container/
RUN sh /container/cuda-libraries.sh && rm -r /container
# The model that is the default is made for processors.
ENV PII_BLUR_DEVICE=cuda PII_BLUR_MODEL=street-retinanet-float
USER 10001:10001

FROM runtime AS cpu
COPY --from=packages /opt/pii-blur /opt/pii-blur
USER 10001:10001
