#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A protocol that is half there, or a table with a mistake, stops the build with
# a line that says what is wrong; scripts/new-protocol makes one that is whole.
set -u
cd "$(dirname "$0")/.." || exit 1
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
passed=0 failed=0

fresh() {
	rm -rf "${copy:?}"/*
	mkdir -p "$copy/bpf" "$copy/tests" "$copy/scripts"
	cp -r include "$copy/"
	cp -r bpf/proto "$copy/bpf/"
	cp -r tests/vectors "$copy/tests/"
	cp scripts/tables scripts/new-protocol "$copy/scripts/"
}

result() {
	if [ "$1" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "tables_test: failed: $2"
	fi
}

# what it is about, words of the complaint ("" for none)
expect() {
	local said status=0
	said=$("$copy/scripts/tables" header 2>&1 >/dev/null) || status=$?
	if [ -z "$2" ]; then
		[ $status = 0 ] && [ -z "$said" ]
	else
		[ $status != 0 ] && grep -qF "$2" <<<"$said"
	fi
	result $? "$1: exit $status: $said"
	fresh
}

fresh
expect "the tables as they are" ""

rm "$copy/bpf/proto/modbus.h"
expect "a row without its file" "row modbus without bpf/proto/modbus.h"

rm "$copy/tests/vectors/dns.txt"
expect "a protocol without vectors" "row dns without tests/vectors/dns.txt"

: >"$copy/tests/vectors/dns.txt"
expect "empty vectors" "row dns without tests/vectors/dns.txt"

cp "$copy/bpf/proto/ssh.h" "$copy/bpf/proto/telly.h"
expect "a file without its row" "bpf/proto/telly.h: error: no row"

echo 'PROTOCOL(  1, telly, "tcp 9", 0, 0, "Telly")' >>"$copy/include/portcullis/protocols.def"
expect "an id that is taken" "duplicate id 1: modbus and telly"

echo 'PROTOCOL(128, telly, "tcp 9", 0, 0, "Telly")' >>"$copy/include/portcullis/protocols.def"
expect "an id that is too high" "id 128 of telly is not in 1..127"

echo 'PROTOCOL( 99, modbus, "tcp 9", 0, 0, "Telly")' >>"$copy/include/portcullis/protocols.def"
expect "a name that is taken" "duplicate name: modbus"

echo 'PROTOCOL( 99, "telly", "tcp 9", 0, 0, "Telly")' >>"$copy/include/portcullis/protocols.def"
expect "a row of another form" "1 row(s) are not of the form"

echo 'REASON(  1, telly, forbidden, "Telly")' >>"$copy/include/portcullis/reasons.def"
expect "a reason's id that is taken" "duplicate id 1: ok and telly"

echo 'LAYER2( 64, telly, pass, 0, "Telly")' >>"$copy/include/portcullis/layer2.def"
expect "a layer-2 id that is too high" "id 64 of telly is not in 1..63"

echo 'QUIRK(16, telly, "telly", " dns ", "Telly")' >>"$copy/include/portcullis/quirks.def"
expect "a quirk that is no bit" "id 16 of telly is not in 1..15"

"$copy/scripts/new-protocol" telly UDP 9 "Telly" >/dev/null
result $? "new-protocol fails"
"$copy/scripts/tables" names | grep -qx telly
result $? "new-protocol makes no row"
expect "what new-protocol makes" ""

for wrong in "Telly UDP 9" "t UDP 9" "telly SCTP 9" "telly UDP 0" \
	"telly UDP 65536" "telly UDP x" "modbus TCP 9"; do
	# shellcheck disable=SC2086 # three words
	! "$copy/scripts/new-protocol" $wrong "Telly" >/dev/null 2>&1
	result $? "new-protocol takes $wrong"
	expect "after a refused new-protocol" ""
done

echo "$passed passed, $failed failed"
[ $failed = 0 ]
