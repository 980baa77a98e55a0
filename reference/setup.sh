#!/usr/bin/env bash
# Makes the environments of the original's packages in FOLDER (default: .reference beside this folder):
#     reference/setup.sh [FOLDER]
# FOLDER/torch holds ImageAI 3 and torchvision (1.4 GB), FOLDER/keras ImageAI 2.1.6 (2.3 GB), FOLDER/imageai-2.1.5 the
# last ImageAI that reads networks of version 2.0. Nothing of it is needed to run pii-blur.
set -euo pipefail
HERE="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)"
FOLDER="${1:-$HERE/../.reference}"

# environment NAME: a virtual environment with the packages of its two lists.
environment() {
    local name="$1" list="$HERE/requirements-reference-$1"
    [ -x "$FOLDER/$name/bin/python" ] || python3 -m venv "$FOLDER/$name"
    "$FOLDER/$name/bin/python" -m pip install -q --disable-pip-version-check -r "$list.txt"
    "$FOLDER/$name/bin/python" -m pip install -q --disable-pip-version-check --no-deps -r "$list-no-deps.txt"
}

mkdir -p -- "$FOLDER"
environment torch
environment keras
[ -d "$FOLDER/imageai-2.1.5" ] || "$FOLDER/keras/bin/python" -m pip install -q --disable-pip-version-check --no-deps \
    --target "$FOLDER/imageai-2.1.5" imageai==2.1.5
printf 'ready: PII_BLUR_REFERENCE=%s python -m pytest -m reference tests/reference\n' "$FOLDER"
