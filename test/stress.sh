#!/usr/bin/env bash
# Runs the tests again and again beside programs that take every processor, and names those that fail.
# usage: npm run test:stress [-- RUNS [FILE …]]      (3 runs of all; needs stress-ng)
set -euo pipefail
cd "$(dirname "$0")/.."

runs=${1:-3}
shift || true
command -v stress-ng >/dev/null || {
  echo "stress-ng is not installed (Debian: stress-ng)" >&2
  exit 1
}

output=$(mktemp -d)
stress-ng --quiet --cpu 0 & # 0: one for each processor
stress=$!
trap 'kill "$stress"; rm -rf "$output"' EXIT

failed=0
for run in $(seq "$runs"); do
  npm test --silent -- "$@" >"$output/$run" 2>&1 || failed=$((failed + 1))
  echo "run $run of $runs: $(sed -nE 's/^(#|ℹ) (pass|fail|skipped|duration_ms) (.+)/\2 \3/p' "$output/$run" | paste -sd ' ')"
  sed -nE 's/^ *(not ok [0-9]+ - |✖ )(.+)/  failed: \2/p' "$output/$run"
  grep -A 30 -E '^ *not ok' "$output/$run" || true
done
echo "$failed of $runs runs failed"
[ "$failed" -eq 0 ]
