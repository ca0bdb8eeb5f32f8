# gan-gen and what else draws, without the trainer's packages. See docs/scaling-out.md, "In a container".
# Debian's Python, because numpy has no wheel for 32-bit Arm.
FROM debian:trixie-slim AS python
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-numpy python3-pil \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*

FROM python AS build
RUN apt-get update && apt-get install --yes --no-install-recommends python3-pip python3-venv
COPY . /source
# onnxruntime has no wheel for 32-bit Arm, either; without it numpy draws, the same pixels.
RUN extra=$(test "$(dpkg --print-architecture)" = armhf || echo "[cpu]") \
    && python3 -m venv --without-pip --system-site-packages /opt/pocketgan \
    && python3 -m pip --python /opt/pocketgan install --no-cache-dir "/source$extra"

FROM python
COPY --from=build /opt/pocketgan /opt/pocketgan
ENV PATH=/opt/pocketgan/bin:$PATH
USER nobody
WORKDIR /out
ENTRYPOINT ["gan-gen"]
