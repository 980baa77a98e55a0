#!/bin/sh
# Makes /opt/pii-blur: pii-blur, its models and the Python packages it needs. Run by the Dockerfile in a stage of its own,
# whose pip and certificates stay behind, and by tests/container.sh without Docker.
#
#     packages.sh SOURCES cpu|cuda EXTRAS        EXTRAS as in pyproject.toml, e.g. heif,openvino
set -eu
sources="$1" device="$2" extras="$3"
place=/opt/pii-blur

apt-get -q update
DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends ca-certificates python3-venv
# Those of a company whose proxy looks into encrypted traffic; see container/certificates/README.md.
for file in "$sources"/container/certificates/*.crt; do
    if [ -f "$file" ]; then cp "$file" /usr/local/share/ca-certificates/; fi
done
update-ca-certificates
export PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

python3 -m venv "$place"
"$place/bin/pip" install "$sources${extras:+[$extras]}"
if [ "$device" = cuda ]; then
    # Both packages bring a folder of the same name; the later one would overwrite half of the other.
    "$place/bin/pip" uninstall -y onnxruntime
    "$place/bin/pip" install 'onnxruntime-gpu[cuda,cudnn]>=1.20'
fi
"$place/bin/pip" uninstall -y setuptools pip
