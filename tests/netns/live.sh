#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Live changes: allowed for some seconds it ends by itself, with no daemon to
# end it; without an end it outlives a restart, until it is revoked. Who, when
# and why stand beside the policy. What status, show and watch say meanwhile.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc
#                          wire
# shellcheck disable=SC2317 # check and wait_for call functions
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib

write() {
	at hmi timeout 3 mbpoll -0 -1 -q -t 4 -a 1 -o 1 "$plc" 99 </dev/null
}

writes() {
	check "$1: a write passes" quietly write
}

refused() {
	check "$1: a write is refused" refute quietly write
	said=
}

# A command's lines of JSON, all of them JSON, by jq.
json() {
	portcullis "${@:2}" --json >"$work/json" && jq -es "$1" "$work/json"
}

watched() {
	grep -q function_not_allowed "$work/watch" &&
		jq -e 'select(.portcullis.reason == "function_not_allowed")' \
			"$work/watch-json"
}

for_a_while() {
	refused "at first"
	check "allow for 4 s" quietly portcullis allow modbus write \
		from hmi-1 to plc-1 --for 4s -m CHG-77
	begun=$(now_ms)
	writes "allowed"
	check "show live: who and why" has "$(portcullis show live)" CHG-77
	check "the file beside the policy has it" \
		quietly grep 'allow modbus write.*CHG-77' "$work"/policy.d/*.policy
	check "the policy is as it was" refute grep -q write "$work/policy"
	kill -9 "$daemon"
	wait "$daemon" 2>/dev/null
	writes "with the daemon killed"
	check "in time" at_most $(($(now_ms) - begun)) 3500
	sleep 4
	refused "past its time, with no daemon"
	gate --every-event
	refused "past its time, with the next daemon"
	check "show live: nothing" refute quietly \
		json 'map(select(tostring | contains("CHG-77"))) | .[0]' show live
	said=
}

until_revoked() {
	check "allow without an end" quietly portcullis allow modbus write
	writes "allowed"
	stop "$daemon"
	gate --every-event
	writes "after a restart"
	id=$(portcullis show live | awk '/allow modbus write/ { print $1 }')
	check "revoke" quietly portcullis revoke "$id"
	refused "revoked"
	check "revoke again: fails" refute quietly portcullis revoke "$id"
	said=
	portcullis allow modbus wirte >"$work/out" 2>&1
	check "a word that is none: exit code" is $? 3
	check "a word that is none: the nearest" \
		has "$(cat "$work/out")" "did you mean 'write'"
}

# Of a gate that is at work.
views() {
	start gate "$work/watch" "$B/portcullis" watch
	start gate "$work/watch-json" "$B/portcullis" watch --json
	start hmi "$work/client" "$B/tests/client_peer" many "$plc" 502 3 0 20
	client=$last
	sleep 1
	refused "watched"
	check "watch: the refusal" wait_for 3 watched
	check "status: exit code" quietly portcullis status
	check "status: enforcing" has "$(portcullis status)" "Cell: enforcing"
	check "status: JSON" quietly json '.[0]' status
	check "show flows: three, of Modbus" is \
		"$(portcullis show flows | grep -c 'plc\|10.20.3.11:502.*modbus.*live')" 3
	check "show flows: JSON" quietly json \
		'map(select(tostring | contains("poisoned"))) | .[0]' show flows
	check "show rules: counts" quietly json \
		'map(select((.rule // .text // tostring) | contains("read"))) | .[0]' \
		show rules
	check "show zones: what is in them" is "$(portcullis show zones |
		grep -cE ' (10.20.2.0/24|10.20.3.0/24|port0|port1)$')" 4
	portcullis show flows --limit x >"$work/out" 2>&1
	check "a limit that is none: exit code" is $? 2
	check "a limit that is none: what it wants" \
		has "$(cat "$work/out")" "wants a number up to 65536, not \`x\`"
	check "show counters: JSON" quietly json \
		'map(select(.name == "function_not_allowed")) | .[0]' show counters
	stop "$client"
	check "the polls were not disturbed" has "$(cat "$work/client")" "broken 0"
}

plant wire
usual_policy '' <<<'allow modbus read'
gate --every-event
modbus_server "$work/server"
for_a_while
until_revoked
views
finish
