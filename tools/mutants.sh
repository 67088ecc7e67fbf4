#!/usr/bin/env bash
# Breaks the code in every way that a mutant.On("name") in it allows, one at a
# time, and expects the named test to fail. tools/mutants.txt says which test
# kills which mutant; a mutant without a line, or a line without a mutant, fails.
set -euo pipefail
cd "$(dirname "$0")/.."

table=tools/mutants.txt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

grep -rhoE 'mutant\.On\("[a-z0-9-]+"\)' --include='*.go' . | cut -d'"' -f2 | sort -u >"$work/code"
sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$table" >"$work/rows"
awk '{print $1}' "$work/rows" | sort -u >"$work/named"
if ! diff "$work/code" "$work/named" >"$work/diff"; then
	echo "mutants in the code (<) and in $table (>) differ:"
	cat "$work/diff"
	exit 1
fi

# binary builds the tests of a package with its mutants, once.
binary() {
	local out=$work/${1//\//_}.test
	[[ -e $out ]] || go test -c -tags mutant -o "$out" "./$1" || exit 1
	echo "$out"
}

killed=0
survived=0
while read -r name package pattern; do
	bin=$(binary "$package")
	if ! (cd "$package" && "$bin" -test.run "$pattern" -test.v -test.timeout 5m >"$work/log" 2>&1 </dev/null); then
		echo "BROKEN    $name: $package $pattern fails without the mutant"
		tail -20 "$work/log"
		exit 1
	fi
	if ! grep -q '^=== RUN' "$work/log"; then
		echo "BROKEN    $name: no test of $package matches $pattern"
		exit 1
	fi
	if (cd "$package" && AMPY_MUTANT=$name "$bin" -test.run "$pattern" -test.timeout 2m >"$work/log" 2>&1 </dev/null); then
		echo "SURVIVED  $name: $package $pattern"
		survived=$((survived + 1))
	else
		echo "killed    $name by $package $pattern: $(grep -m1 -oE '^--- FAIL: [^ ]+|^panic: .*' "$work/log" || true)"
		killed=$((killed + 1))
	fi
done <"$work/rows"
echo "$killed mutants killed, $survived survived"
[[ $survived -eq 0 ]]
