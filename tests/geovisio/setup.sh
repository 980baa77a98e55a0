#!/usr/bin/env bash
# Makes an environment with GeoVisio, the server of Panoramax, in FOLDER (default: .geovisio beside this repository's files):
#     tests/geovisio/setup.sh [FOLDER]
# Its pinned packages are not ours, so they get an environment of their own. Nothing of it is needed to run pii-blur.
set -euo pipefail
HERE="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)"
FOLDER="${1:-${GEOVISIO_VENV:-$HERE/../../.geovisio}}"

[ -x "$FOLDER/bin/python" ] || python3 -m venv "$FOLDER"
"$FOLDER/bin/python" -m pip install -q --disable-pip-version-check -r "$HERE/requirements.txt"
printf 'ready: GEOVISIO_VENV=%s python -m pytest tests/geovisio\n' "$FOLDER"
