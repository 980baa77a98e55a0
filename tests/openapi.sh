#!/usr/bin/env bash
# Lets schemathesis send to the service whatever its OpenAPI document allows, and what it does not:
#     tests/openapi.sh
# Fails if anything is answered by a server error. PYTHON is the environment that has pii-blur with its extras "server" and
# "dev"; schemathesis gets one of its own (SCHEMATHESIS_VENV, default: .schemathesis).
set -euo pipefail
ROOT="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"
PYTHON="${PYTHON:-$ROOT/.venv/bin/python}"
FOLDER="${SCHEMATHESIS_VENV:-$ROOT/.schemathesis}"

[ -x "$FOLDER/bin/python" ] || python3 -m venv "$FOLDER"
"$FOLDER/bin/python" -m pip install -q --disable-pip-version-check 'schemathesis>=4,<5'
cd -- "$ROOT"
exec "$PYTHON" -m tests.openapi "$FOLDER/bin/schemathesis" "$@"
