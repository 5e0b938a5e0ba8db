#!/usr/bin/env bash
# Print the version that all distributions have, or give them another one: tools/version.sh 0.2.0
set -euo pipefail
cd "$(dirname "$0")/.."
files=(libs/*/pyproject.toml services/*/pyproject.toml)

if [ $# -gt 0 ]; then
  [[ $1 =~ ^[0-9]+\.[0-9]+\.[0-9]+((a|b|rc)[0-9]+)?$ ]] || {
    echo "version: '$1' is not a version like 0.2.0 or 0.2.0rc1" >&2
    exit 1
  }
  sed -i.old "s/^version = \".*\"$/version = \"$1\"/" "${files[@]}"
  rm -f "${files[@]/%/.old}"
fi

versions=$(sed -n 's/^version = "\(.*\)"$/\1/p' "${files[@]}" | sort -u)
if [ "$(wc -l <<<"$versions")" != 1 ]; then
  echo "version: the distributions differ:" $versions >&2
  exit 1
fi
echo "$versions"
