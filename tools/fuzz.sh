#!/usr/bin/env bash
# Runs every fuzz target of the tree for a while: tools/fuzz.sh 20s
# Targets are found by name, so that a new one is fuzzed from its first commit.
set -euo pipefail
cd "$(dirname "$0")/.."

duration=${1:-20s}
count=0
while IFS=: read -r file target; do
	package=./$(dirname "$file")
	echo "== $target ($package, $duration)"
	go test -run '^$' -fuzz "^$target\$" -fuzztime "$duration" -fuzzminimizetime 5s "$package"
	count=$((count + 1))
done < <(git ls-files -co --exclude-standard -- '*_test.go' |
	xargs grep -HoE '^func Fuzz[A-Za-z0-9_]+' | sed 's/:func /:/' | sort)
echo "$count fuzz targets, no finding"
