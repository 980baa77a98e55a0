#!/usr/bin/env bash
# Builds the image of the Dockerfile and runs it as compose.yaml does, without Docker. Needs root, debootstrap and apt.
#
#     tests/container.sh
#     DEBIAN_MIRROR=URL tests/container.sh
#
# In a chroot, which goes at the end, buildah builds the Dockerfile itself, upon a fresh Debian 12 in the place of
# debian:bookworm-slim. The image then runs on a read-only disk, with no network, no rights, and a user that nobody knows.
set -euo pipefail

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"
mirror="${DEBIAN_MIRROR:-http://deb.debian.org/debian}"
[ "$(id -u)" -eq 0 ] || { echo "tests/container.sh needs root" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "tests/container.sh needs debootstrap" >&2; exit 1; }

work="$(mktemp -d)"
machine="$work/machine"
clean_up() {
    umount --recursive --lazy -- "$machine" 2>/dev/null || true
    if mountpoint -q -- "$machine"; then echo "$machine is still mounted and left" >&2; return; fi
    rm -rf --one-file-system -- "$work"
}
trap clean_up EXIT

make_debian() {
    debootstrap --variant=minbase "${@:2}" bookworm "$1" "$mirror" >"$work/log" ||
        { tail -n 20 -- "$work/log" >&2; exit 1; }
}

echo "== a machine with buildah"
make_debian "$work/base"
mkdir -p -- "$machine"
mount --bind -- "$machine" "$machine" # buildah wants its / to be a mount
mount --make-private -- "$machine"
make_debian "$machine" --include=ca-certificates,python3-minimal
for place in /proc /sys /dev; do
    mount --rbind -- "$place" "$machine$place"
    mount --make-rslave -- "$machine$place"
done
cp -L /etc/resolv.conf /etc/hosts "$machine/etc/"
apt-config dump Acquire | { grep -i proxy || true; } >"$machine/etc/apt/apt.conf.d/99proxies"
mapfile -t proxies < <(env | grep -iE '^(https?|no)_proxy=' || true)
inside() {
    chroot "$machine" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin "${proxies[@]}" "$@"
}
inside sh -c 'apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends buildah' \
    >"$work/log" 2>&1 || { tail -n 20 -- "$work/log" >&2; exit 1; }

echo "== the image"
mkdir -p -- "$machine/sources"
git -C "$root" ls-files -z --cached --others --exclude-standard |
    tar -C "$root" --null --files-from=- --ignore-failed-read -cf - | tar -C "$machine/sources" -xf -
# This machine's way to PyPI may lead past a proxy with a certificate of its own.
cp -L /etc/ssl/certs/ca-certificates.crt "$machine/sources/container/certificates/this-machine.crt"
tar -C "$work/base" -cf "$machine/base.tar" .
inside sh -c 'c=$(buildah from scratch) && buildah add -q "$c" /base.tar / &&
    buildah commit -q --format docker "$c" docker.io/library/debian:bookworm-slim && buildah rm "$c"' >/dev/null
rm -rf -- "$machine/base.tar" "$work/base"
inside sh -c 'cd /sources && buildah build --isolation chroot --pull=never --format docker -t pii-blur .' \
    >"$work/log" 2>&1 || { tail -n 40 -- "$work/log" >&2; exit 1; }
inside buildah images --format '{{.Name}}:{{.Tag}} {{.Size}}'
image="$machine$(inside sh -c 'buildah mount "$(buildah from pii-blur)"')"

# Docker takes these from the image; they are checked here, for the lines below stand in for Docker.
inside buildah inspect --type image pii-blur | python3 -c '
import json, sys
config = json.load(sys.stdin)["Docker"]["config"]
assert config["User"] == "10001:10001", config
assert config["Entrypoint"] == ["pii-blur"], config
assert config["WorkingDir"] == "/config", config
for line in config["Env"]:
    print(line)
' >"$work/environment"
for tool in gcc cc pip pip3 git curl; do
    for folder in /usr/bin /usr/local/bin /opt/pii-blur/bin; do
        [ ! -e "$image$folder/$tool" ] || { echo "the image holds $folder/$tool" >&2; exit 1; }
    done
done
[ -z "$(find "$image" -xdev -name '*this-machine*' -print -quit)" ] || { echo "a certificate is left" >&2; exit 1; }

# run USER WORD...: as compose.yaml runs it; what $work/input and $work/output hold is /input and /output.
run() {
    local user="$1"
    shift
    unshare --mount --net --pid --ipc --uts --fork -- bash -euc '
        image="$1" work="$2" user="$3"
        shift 3
        mount --make-rprivate /
        mount --bind "$image" "$image"
        for place in input output; do mkdir -p "$image/$place"; mount --bind "$work/$place" "$image/$place"; done
        mount -o remount,bind,ro "$image/input"
        mount -t proc proc "$image/proc"
        mount -t tmpfs -o size=8m,mode=755 tmpfs "$image/dev"
        for device in null zero urandom random; do
            : >"$image/dev/$device"
            mount --bind "/dev/$device" "$image/dev/$device"
        done
        mount -t tmpfs -o size=1g,mode=1777,noexec,nosuid,nodev tmpfs "$image/tmp"
        mount -o remount,bind,ro "$image"
        exec chroot "$image" setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs --bounding-set=-all \
            --inh-caps=-all -- env -i "$@"
    ' bash "$image" "$work" "$user" "${environment[@]}" PII_BLUR_PROB=40 "$@"
}
mapfile -t environment <"$work/environment"
mkdir -- "$work/input" "$work/output"
cp -- "$root"/demo/before/*.jpg "$work/input/" 2>/dev/null || { echo "draw the demo first: ./blur" >&2; exit 1; }
chown -R 4321:4321 -- "$work/output"

echo "== the photos of the demo"
run 4321 sh -c '
    if touch /nowhere /input/nowhere /opt/pii-blur/nowhere 2>/dev/null; then echo "something can be written" >&2; exit 1; fi
    if grep -q ":" /proc/net/route; then echo "there is a network" >&2; exit 1; fi
    grep -q "^CapBnd:.0*$" /proc/self/status || { echo "there are rights" >&2; exit 1; }
    cd /config && exec pii-blur --settle 0'
[ "$(find "$work/output" -name '*.jpg' -user 4321 | wc -l)" -eq "$(find "$work/input" -name '*.jpg' | wc -l)" ]
run 4321 sh -c 'cd /config && exec pii-blur --settle 0' 2>&1 | tail -n 1 | grep 'skipped 1'
echo "The image builds, and hides people with no network, no rights and no disk of its own."
