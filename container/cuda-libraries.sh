#!/bin/sh
# Tells the loader where the packages of Nvidia keep their libraries. Run by the Dockerfile for its target cuda.
set -eu

find /opt/pii-blur -path '*/nvidia/*' -type d -name lib >/etc/ld.so.conf.d/nvidia.conf
[ -s /etc/ld.so.conf.d/nvidia.conf ] || { echo "no libraries of Nvidia in /opt/pii-blur" >&2; exit 1; }
ldconfig
