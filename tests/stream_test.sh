#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `portcullis replay` of what is too much to be held: half a gigabyte in a
# stream, in less memory than that; a line of progress on a terminal, and on
# nothing else; what the snaplen cut is said, not guessed.
set -u
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C
B=$(realpath -m "${B:-build}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
memory=300000 # KiB
times=4096    # 22 MB
streamed=24   # of these in the stream
names="modbus-read ssh-on-502 http modbus-split vlan snaplen"

# what, what it is, what it must be
is() {
	if [ "$2" = "$3" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "failed: $1: is '${2:0:300}', not '$3'"
	fi
}

replay() {
	"$B/portcullis" replay --engine host "$@"
}

# Six captures that passed or were refused, as one, so many times over.
records() {
	local name i
	for name in $names; do
		tail -c +25 "$work/$name"
	done >"$work/records"
	for ((i = 1; i < times; i *= 2)); do
		cat "$work/records" "$work/records" >"$work/twice"
		mv "$work/twice" "$work/records"
	done
}

stream() {
	local i
	head -c 24 "$work/vlan"
	for ((i = 0; i < streamed; i++)); do
		cat "$work/records"
	done
}

"$B/tests/replay_test" --seeds "$work" || exit 1
frames=0
for name in $names; do
	n=$(replay "$work/$name" | sed -n 's/ frames, .*//p')
	frames=$((frames + n))
done
records
n=$((times * streamed))
got=$(
	ulimit -d $memory
	stream | replay - 2>"$work/err" | tail -n 1
)
is "a stream of $((n * 5 / 1024)) MB" "$got" \
	"$((frames * n)) frames, $((6 * n)) conversations: $((5 * n)) passed, $n dropped"
is "it says what it reported early" "$(grep -c 'were reported before' "$work/err")" 1
is "and nothing else" "$(wc -l <"$work/err")" 1

{ head -c 24 "$work/vlan" && cat "$work/records"; } >"$work/file"
SHELL=/bin/bash script -qec \
	"'$B/portcullis' replay --engine host '$work/file' >'$work/out'" \
	/dev/null </dev/null >"$work/terminal"
tr '\r' '\n' <"$work/terminal" >"$work/lines"
is "a terminal: a line each 16384 frames" \
	"$(grep -cE '^ *[0-9]+ % [0-9]+ frames, [0-9]+ conversations$' "$work/lines")" \
	$((frames * times / 16384))
is "it ends near 100 %" \
	"$(grep frames "$work/lines" | tail -n 1 | grep -cE '^ *(9[0-9]|100) %')" 1
is "it is wiped away" "$(tail -n 1 "$work/lines" | tr -d ' ')" ''
is "the result has none of it" "$(grep -c % "$work/out")" 0
is "no terminal: no progress" "$(replay "$work/file" 2>&1 >/dev/null)" ''
cut=$(replay "$work/snaplen" | grep -c 'not judged from frame [0-9]* on: cut by the snaplen$')
is "what the snaplen cut" "$cut" 1
echo "$passed passed, $failed failed"
[ $failed = 0 ]
