#!/usr/bin/env bash
# Runs the README's two commands on a fresh Debian 12, in a chroot that it makes and removes. Needs root and debootstrap.
#
#     tests/fresh_machine.sh             # everything that git knows of, as it stands in the working tree
#     DEBIAN_MIRROR=URL tests/fresh_machine.sh
#
# The chroot gets this machine's way to the registries (pip's configuration, CA certificates, proxies) and nothing else:
# the smallest Debian with python3.
set -euo pipefail

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"
mirror="${DEBIAN_MIRROR:-http://deb.debian.org/debian}"
[ "$(id -u)" -eq 0 ] || { echo "tests/fresh_machine.sh needs root" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "tests/fresh_machine.sh needs debootstrap" >&2; exit 1; }

fresh="$(mktemp -d)"
mounted=()
clean_up() {
    local place process
    for process in /proc/[0-9]*; do
        [ "$(readlink "$process/root" || true)" = "$fresh" ] || continue
        echo "still running: $(tr '\0' ' ' <"$process/cmdline")" >&2
    done
    for place in "${mounted[@]}"; do
        umount --recursive --lazy -- "$place" || { echo "$place is still mounted; $fresh is left" >&2; return; }
    done
    rm -rf --one-file-system -- "$fresh"
}
trap clean_up EXIT

# lend FOLDER: the same folder in the chroot.
lend() {
    mkdir -p -- "$fresh$1"
    mount --rbind -- "$1" "$fresh$1"
    mount --make-rslave -- "$fresh$1" 2>/dev/null || true
    mounted+=("$fresh$1")
}

# copy FILE: the same file in the chroot, links followed.
copy() {
    [ -f "$1" ] || return 0
    mkdir -p -- "$fresh$(dirname -- "$1")"
    cp -L -- "$1" "$fresh$1"
}

log="$fresh/debootstrap.log"
debootstrap --variant=minbase --include=python3,ca-certificates bookworm "$fresh" "$mirror" >"$log" ||
    { tail -n 20 -- "$log" >&2; exit 1; }
for place in /proc /sys /dev; do lend "$place"; done
copy /etc/resolv.conf
copy /etc/hosts
copy /etc/ssl/certs/ca-certificates.crt
apt-config dump Acquire | { grep -i proxy || true; } >"$fresh/etc/apt/apt.conf.d/99proxies"

mapfile -t pip_files < <(python3 -m pip config debug | sed -n 's/^ *\(\/.*\), exists: True$/\1/p')
for file in "${pip_files[@]}"; do copy "$file"; done
# What on this machine pip is told to look in: folders of packages, simple indexes as files, certificates.
mapfile -t places < <(python3 -m pip config list | grep -oE "(file://)?/[^ ']+" | sed 's#^file://##; s#/simple/*$##' | sort -u)
for place in "${places[@]}"; do
    if [ -d "$place" ]; then lend "$place"; else copy "$place"; fi
done
mapfile -t environment < <(env | grep -iE '^(PIP_|SSL_CERT_|REQUESTS_CA_BUNDLE=|(https?|no|all)_proxy=)')

# A path with a blank and an accent, as users have them.
checkout="/root/my photos é/pii-blur"
mkdir -p -- "$fresh$checkout"
git -C "$root" ls-files -z --cached --others --exclude-standard |
    tar -C "$root" --null --files-from=- --ignore-failed-read -cf - | tar -C "$fresh$checkout" -xf -

inside() { chroot "$fresh" env -i HOME="$HOME" PATH=/usr/sbin:/usr/bin:/sbin:/bin "${environment[@]}" "$@"; }
timed() {
    local start=$SECONDS
    echo "== $*"
    inside "$@"
    echo "== took $((SECONDS - start)) s"
}

timed "$checkout/blur"
inside test -s "$checkout/demo/after/courtyard.jpg"
timed "$checkout/.ci/run"
timed "$checkout/blur" "$checkout/demo/before" /tmp/after 40 --settle 0 # quick now: nothing is missing
echo "A fresh Debian 12 runs the demo and all tests."
