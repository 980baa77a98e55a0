# shellcheck shell=bash
# Sourced by ./blur and tests/check.sh: sets up what is missing and is quick when nothing is.
# What it needs besides bash: python3 (3.11 or newer) and, when something is missing, apt and pip as this machine has
# them configured.

ROOT="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)"
VENV="$ROOT/.venv"
VENV_PYTHON="$VENV/bin/python"

say() { printf '%s\n' "$*" >&2; }

die() {
    say "$*"
    exit 3 # as in docs/exit-codes.md: a missing program, library or model
}

# Print the Debian packages of whatever is missing, one a line.
missing_packages() {
    command -v exiftool >/dev/null || echo libimage-exiftool-perl
    command -v jpegtran >/dev/null || echo libjpeg-turbo-progs
    if ! command -v python3 >/dev/null; then
        printf '%s\n' python3 python3-venv libturbojpeg0
        return
    fi
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
    python3 -c 'import ctypes; ctypes.CDLL("libturbojpeg.so.0")' 2>/dev/null || echo libturbojpeg0
}

ensure_programs() {
    local packages as_root=()
    mapfile -t packages < <(missing_packages)
    ((${#packages[@]})) || return 0
    command -v apt-get >/dev/null || die "These Debian packages, or what they hold, are missing and there is no apt-get \
to install them: ${packages[*]}. The README says where to get them on other systems."
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "Some programs are missing. Run this as root, then start again:
    apt-get install ${packages[*]}"
        as_root=(sudo)
    fi
    say "Installing ${packages[*]} ..."
    # A failed update may still leave usable lists: the installation decides.
    "${as_root[@]}" apt-get -q update >&2 || true
    # Ubuntu calls the library's package libturbojpeg.
    if ! apt-cache show libturbojpeg0 >/dev/null 2>&1; then packages=("${packages[@]/#libturbojpeg0/libturbojpeg}"); fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 \
        install --no-install-recommends "${packages[@]}" >&2 ||
        die "apt-get could not install ${packages[*]}; its message stands above."
}

# Print what must be installed for the groups named: "run" is requirements.txt, the others are extras in pyproject.toml.
requirements() {
    python3 - "$ROOT" "$@" <<'PYTHON'
import pathlib
import sys
import tomllib

root, groups = pathlib.Path(sys.argv[1]), sys.argv[2:]
extras = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
print(f"# for Python {sys.version_info.major}.{sys.version_info.minor}")
for group in groups:
    print((root / "requirements.txt").read_text(encoding="utf-8") if group == "run" else "\n".join(extras[group]))
PYTHON
}

# ensure_python GROUP...: a virtual environment with the packages of these groups. What was installed is noted in it.
ensure_python() {
    local wanted note
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "Python 3.11 or newer is needed; python3 here is $(python3 --version 2>&1)."
    wanted="$(requirements "$@")"
    note="$VENV/installed-$(IFS=-; printf '%s' "$*").txt"
    if [ -x "$VENV_PYTHON" ] && [ -f "$note" ] && [ "$(cat -- "$note")" = "$wanted" ]; then return; fi
    # A half-made environment, or one of a Python that has been replaced, is made again.
    if ! "$VENV_PYTHON" -m pip --version >/dev/null 2>&1; then
        say "Making the virtual environment $VENV ..."
        python3 -m venv --clear "$VENV" || die "python3 could not make a virtual environment in $VENV."
    fi
    say "Installing the Python packages ($*) ..."
    "$VENV_PYTHON" -m pip install -q --disable-pip-version-check -r /dev/stdin <<<"$wanted" >&2 ||
        die "pip could not install the Python packages; its message stands above."
    printf '%s\n' "$wanted" >"$note"
}
