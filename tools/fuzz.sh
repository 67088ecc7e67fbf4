#!/usr/bin/env bash
# Runs every fuzz target of the tree on so many inputs: tools/fuzz.sh 100000
# Targets are found by name, so that a new one is fuzzed from its first commit.
# Inputs are counted, not seconds: go test reports a target whose time ends in
# the middle of an input as failed, now and then (golang/go#75804).
set -euo pipefail
cd "$(dirname "$0")/.."

inputs=${1:-100000}
count=0
while IFS=: read -r file target; do
	package=./$(dirname "$file")
	echo "== $target ($package, $inputs inputs)"
	go test -run '^$' -fuzz "^$target\$" -fuzztime "${inputs}x" -fuzzminimizetime 1000x "$package"
	count=$((count + 1))
done < <(git ls-files -co --exclude-standard -- '*_test.go' |
	xargs grep -HoE '^func Fuzz[A-Za-z0-9_]+' | sed 's/:func /:/' | sort)
echo "$count fuzz targets, no finding"
