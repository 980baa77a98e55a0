#!/usr/bin/env bash
# The one definition of green: sets up what is missing, then runs formatter, linter, type checker and all tests.
# Arguments go to pytest. All four run even if one fails; pytest is the last.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/../setup.sh"

ensure_programs
ensure_python run demo dev
cd -- "$ROOT"

failed=()
check() {
    local name="$1"
    shift
    printf '== %s\n' "$name"
    "$VENV_PYTHON" -m "$@" || failed+=("$name")
}
check "ruff format" ruff format --check .
check "ruff check" ruff check .
check "mypy --strict" mypy --strict
check "pytest" pytest "$@"

if ((${#failed[@]})); then
    printf 'FAILED: %s\n' "${failed[@]}" >&2
    exit 1
fi
