#!/usr/bin/env bash
# Compile every requirements file into a hashed lock. Arguments go to uv, for example --upgrade.
set -euo pipefail
cd "$(dirname "$0")/.."
ours=(lean-lite lean-lite-ingest lean-lite-metrics lean-lite-sim lean-lite-store lean-lite-validate)
peers=tests/benchmarks/peers/requirements

for name in dev build ingest metrics setup simulator store validate peers; do
  path=requirements/$name
  # What runs in an image is what the tests ran with.
  constraint=(--constraint requirements/dev.txt)
  case $name in
    dev) constraint=() ;;
    # What benchmarks compare with holds other versions back.
    peers) path=$peers constraint=() ;;
  esac
  # A release that turns out to be malicious is usually gone within a week.
  "${VENV:-.venv}/bin/python" -m uv pip compile "$path.in" \
    --output-file "$path.txt" ${constraint[@]+"${constraint[@]}"} \
    --universal --python-version 3.12 --generate-hashes --exclude-newer "7 days" \
    "${ours[@]/#/--no-emit-package=}" --no-emit-index-url --no-emit-find-links \
    --custom-compile-command "make lock" --quiet "$@"
done

if grep -nE '://|^-|file:|@ ' requirements/*.txt "$peers.txt"; then
  echo "lock: the lines above name a place; a requirement file names only packages." >&2
  exit 1
fi
