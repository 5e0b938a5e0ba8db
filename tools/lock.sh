#!/usr/bin/env bash
# Compile requirements/*.in into hashed requirement files. Arguments go to uv, for example --upgrade.
set -euo pipefail
cd "$(dirname "$0")/.."
ours=(lean-lite lean-lite-ingest lean-lite-metrics lean-lite-sim lean-lite-store lean-lite-validate)

for name in dev build ingest metrics setup simulator store validate; do
  # What runs in an image is what the tests ran with.
  constraint=(--constraint requirements/dev.txt)
  [ "$name" != dev ] || constraint=()
  # A release that turns out to be malicious is usually gone within a week.
  "${VENV:-.venv}/bin/python" -m uv pip compile "requirements/$name.in" \
    --output-file "requirements/$name.txt" ${constraint[@]+"${constraint[@]}"} \
    --universal --python-version 3.12 --generate-hashes --exclude-newer "7 days" \
    "${ours[@]/#/--no-emit-package=}" --no-emit-index-url --no-emit-find-links \
    --custom-compile-command "make lock" --quiet "$@"
done

if grep -nE '://|^-|file:|@ ' requirements/*.txt; then
  echo "lock: the lines above name a place; a requirement file names only packages." >&2
  exit 1
fi
