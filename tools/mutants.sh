#!/usr/bin/env bash
# Breaks the code in every way that a mutant.On("name") in it allows, one at a
# time, and expects a test to fail. A package may hold a suite of its own, which
# names its mutants in mutants_test.go; for all others tools/mutants.txt says
# which test kills which. A mutant that neither names fails, and so does a line
# without a mutant.
set -euo pipefail
cd "$(dirname "$0")/.."

table=tools/mutants.txt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

grep -rhoE 'mutant\.On\("[a-z0-9-]+"\)' --include='*.go' . | cut -d'"' -f2 | sort -u >"$work/code"
sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$table" >"$work/rows"
mapfile -t suites < <(git ls-files -co --exclude-standard -- '*mutants_test.go')
{
	awk '{print $1}' "$work/rows"
	cat "${suites[@]}" | grep -oE '"[a-z0-9-]+"' | tr -d '"' | grep -xFf "$work/code" || true
} | sort -u >"$work/named"
if ! diff "$work/code" "$work/named" >"$work/diff"; then
	echo "mutants in the code (<) and those that a test is named for (>) differ:"
	cat "$work/diff"
	exit 1
fi

for suite in "${suites[@]}"; do
	go test -count=1 -tags mutant -parallel 4 -run '^TestMutant' "./$(dirname "$suite")"
done

# healthy builds a package's tests once and shows that the named one passes.
healthy() {
	local bin=$work/${1//\//_}.test seen=$work/${1//\//_}.seen
	[[ -e $bin ]] || go test -c -tags mutant -o "$bin" "./$1"
	grep -qxF "$2" "$seen" 2>/dev/null && return
	if ! (cd "$1" && "$bin" -test.run "$2" -test.v -test.timeout 5m) >"$work/log" 2>&1 ||
		! grep -q '^--- PASS' "$work/log"; then
		echo "BROKEN    $1 $2 does not pass without a mutant"
		tail -20 "$work/log"
		exit 1
	fi
	echo "$2" >>"$seen"
}

killed=0
survived=0
while read -r name package pattern; do
	healthy "$package" "$pattern"
	bin=$work/${package//\//_}.test
	if (cd "$package" && AMPY_MUTANT=$name "$bin" -test.run "$pattern" -test.timeout 2m) >"$work/log" 2>&1; then
		echo "SURVIVED  $name: $package $pattern"
		survived=$((survived + 1))
	else
		echo "killed    $name by $package $(grep -a -m1 -oE '^--- FAIL: [^ ]+|^panic: .*' "$work/log" || true)"
		killed=$((killed + 1))
	fi
done <"$work/rows"
echo "$(wc -l <"$work/code") mutants: ${#suites[@]} suites passed, $killed of $((killed + survived)) others killed"
[[ $survived -eq 0 ]]
