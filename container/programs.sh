#!/bin/sh
# What pii-blur needs of Debian: no compiler, no pip. Run by the Dockerfile, and by tests/container.sh without Docker.
set -eu

apt-get -q update
DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends \
    libimage-exiftool-perl libjpeg-turbo-progs libturbojpeg0 python3
apt-get clean
rm -rf /var/lib/apt/lists/*
