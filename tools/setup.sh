#!/usr/bin/env bash
# Make the environment $VENV hold what the lock says; return at once when it already does.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
distributions=(libs/common libs/simulator services/ingest services/metrics services/store services/validate)

fail() {
  printf 'setup: %s\n' "$@" >&2
  exit 1
}

# A shim may exist and still fail, so a candidate counts only when it runs.
version_of() {
  "$1" -c 'import sys; print(sys.version.split()[0]); sys.exit(sys.version_info < (3, 12))' 2>/dev/null
}

find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3 python3.12 python3.13; do
    if version_of "$candidate" >/dev/null; then
      echo "$candidate"
      return
    fi
    [ "$candidate" != "${PYTHON:-}" ] || fail "PYTHON=$PYTHON is no Python 3.12 or newer."
  done
  fail "No Python 3.12 or newer found (tried python3, python3.12, python3.13)." \
    "Install one, for example: apt install python3.12 python3.12-venv, pyenv install 3.12, uv python install 3.12." \
    "Or name it: make setup PYTHON=/path/to/python3.12"
}

key() {
  {
    echo "$PWD" "$venv" "$1"
    cat tools/setup.sh requirements/dev.txt "${distributions[@]/%//pyproject.toml}"
  } | cksum
}

# A given PYTHON decides; without one, the interpreter of the environment may stay.
wanted=${PYTHON:-$venv/bin/python}
if [ -f "$venv/.stamp" ] && version=$(version_of "$wanted") && [ "$(key "$version")" = "$(cat "$venv/.stamp")" ]; then
  exit 0
fi

python=$(find_python)
version=$(version_of "$python")
if uv --version >/dev/null 2>&1; then
  uv=(uv)
elif "$python" -m uv --version >/dev/null 2>&1; then
  uv=("$python" -m uv)
else
  uv=()
fi

if [ "$(version_of "$venv/bin/python")" != "$version" ]; then
  if [ -e "$venv" ] && [ ! -f "$venv/pyvenv.cfg" ]; then
    fail "$venv exists and is no virtual environment; move it away or set VENV."
  fi
  echo "setup: making $venv with Python $version"
  if [ ${#uv[@]} -gt 0 ]; then
    UV_VENV_CLEAR=1 "${uv[@]}" venv --quiet --python "$python" "$venv"
  elif "$python" -c 'import ensurepip' 2>/dev/null; then
    "$python" -m venv --clear "$venv"
  else
    fail "Python's venv module is incomplete here. On Debian and Ubuntu: apt install python3-venv" \
      "Or install uv (https://docs.astral.sh/uv) and try again."
  fi
fi
if [ ${#uv[@]} -eq 0 ]; then
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --require-hashes --no-deps --requirement <(sed -n '/^uv==/,/^ *#/p' requirements/dev.txt)
  uv=("$venv/bin/python" -m uv)
fi

rm -f "$venv/.stamp"
"${uv[@]}" pip sync --quiet --python "$venv/bin/python" --require-hashes requirements/dev.txt
"${uv[@]}" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation \
  "${distributions[@]/#/--editable=}"
key "$version" >"$venv/.stamp"
echo "setup: $venv is ready"
