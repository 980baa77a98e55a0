#!/usr/bin/env bash
# The whole of Panoramax against pii-blur, on this machine alone (Debian 12):
#     tests/geovisio/whole.sh
# Installs what is missing (PostgreSQL and PostGIS from Debian, GeoVisio by setup.sh), starts a database, `pii-blur serve`
# and GeoVisio on loop-back, uploads a picture through GeoVisio's API and looks at what it stored. Leaves nothing running.
# GEOVISIO_VENV is GeoVisio's environment; PYTHON is the one that has pii-blur with its extras "server" and "dev".
set -euo pipefail
HERE="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)"
ROOT="$(cd -- "$HERE/../.." && pwd -P)"
PYTHON="${PYTHON:-$ROOT/.venv/bin/python}"
export GEOVISIO_VENV="${GEOVISIO_VENV:-$ROOT/.geovisio}"

bin="$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)"
if [ -z "$bin" ] || ! ls "${bin%/bin}"/lib/postgis-3.so >/dev/null 2>&1; then
    apt-get -q update >&2 || true
    DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends postgresql-15-postgis-3 >&2
    bin="$(find /usr/lib/postgresql -maxdepth 2 -name bin | sort -V | tail -n 1)"
fi
[ -x "$GEOVISIO_VENV/bin/flask" ] || "$HERE/setup.sh" "$GEOVISIO_VENV"
cd -- "$ROOT"
exec "$PYTHON" -m tests.geovisio.whole "$bin"
