#!/usr/bin/env bash
# Runs the commands of README.md, in their order, with the binaries in this
# directory: a README whose commands do not work is worse than none. The make
# targets among them are run on their own. The server gets a free port, so that
# nothing is disturbed that runs here already.
set -euo pipefail
cd "$(dirname "$0")/.."
repo=$PWD

work=$(mktemp -d)
server=
finish() {
	[[ -z $server ]] || kill "$server" 2>/dev/null || true
	wait
	rm -rf "$work"
}
trap finish EXIT

# commands prints the sh blocks, a command a line.
commands() {
	awk '/^```sh$/ {on = 1; next} /^```/ {on = 0} on' README.md |
		sed -e ':join' -e '/\\$/{N;s/\\\n */ /;bjoin' -e '}' -e 's/ *#.*//' -e '/^$/d'
}

# nothing_found is the exit code of a listing that is empty, which is in order.
readonly nothing_found=4

# start_server starts the server on a free port, which it says itself.
start_server() {
	(cd "$work" && exec "$repo/ampybusctl" server --port 0 >server.log 2>&1) &
	server=$!
	for _ in {1..50}; do
		NATS_URL=$(sed -n 's/^ready at //p' "$work/server.log")
		export NATS_URL
		[[ -z $NATS_URL ]] || return 0
		sleep 0.2
	done
	cat "$work/server.log"
	return 1
}

count=0
while read -r command; do
	echo "\$ $command"
	code=0
	case $command in
	make\ *) continue ;;
	"./ampybusctl server &") start_server || code=$? ;;
	*) (cd "$work" && PATH=$repo:$PATH bash -c "${command//.\/ampybusctl/ampybusctl}" </dev/null) || code=$? ;;
	esac
	if [[ $code -ne 0 && $code -ne $nothing_found ]]; then
		echo "README.md: exit code $code of: $command"
		exit 1
	fi
	count=$((count + 1))
done < <(commands)
echo "$count commands of README.md work"
[[ $count -gt 0 ]]
