#!/usr/bin/env bash
# Build the wheels of all distributions into dist/, install them into an empty environment, and run the demo there.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${VENV:-.venv}/bin/python
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

rm -rf dist
for project in libs/* services/*/; do
  [ -f "$project/pyproject.toml" ] || continue
  "$python" -m uv build --quiet --wheel --no-build-isolation --python "$python" --out-dir dist "$project"
done
ls dist/*.whl

"$python" -m uv venv --quiet --python "$python" "$place/venv"
# What the tests ran with; the wheels come from dist/ alone.
"$python" -m uv pip install --quiet --python "$place/venv/bin/python" --find-links dist \
  --constraint <(sed -nE 's/^([A-Za-z0-9_.-]+==[^ ;]+).*/\1/p' requirements/dev.txt) \
  --reinstall-package lean-lite "lean-lite[stack]"
cd "$place"
XDG_DATA_HOME=$place venv/bin/lean-lite demo --seconds 20 --json | tail -n 1 | tee demo.json
grep -q '"lost":0,"duplicated":0' demo.json
