#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The daemon is killed under traffic: not a packet is lost, what was refused
# stays refused. The next daemon takes the gate over: conversations, counters,
# and the reports of what happened meanwhile.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc
#   20 connections         wire or routed, XDP or tc
# shellcheck disable=SC2317 # check and wait_for call functions
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib

write() {
	at hmi timeout 3 mbpoll -0 -1 -q -t 4 -a 1 -o 1 "$plc" 99 </dev/null
}

refused_writes() {
	grep -c function_not_allowed "$work/events.json"
}

reported() {
	[ "$(refused_writes)" -ge "$1" ]
}

polling() {
	[ "$(metric messages_total 'protocol="modbus"')" -gt "$1" ]
}

for one in wire kernel tc; do
	plant $one
	usual_policy '' <<<'allow modbus read'
	gate --every-event --grace 0
	modbus_server "$work/server"
	start hmi "$work/client" "$B/tests/client_peer" many "$plc" 502 20 0 10
	client=$last
	check "$way: traffic" wait_for 5 polling 1000
	check "$way: a write is refused" refute quietly write
	said=
	wait_for 3 reported 1

	before=$(metric messages_total)
	kill -9 "$daemon"
	wait "$daemon" 2>/dev/null
	check "$way: nobody answers" refute quietly portcullis status
	check "$way: killed: a write is refused" refute quietly write
	said=
	sleep 1
	gate --every-event --grace 0
	check "$way: the next daemon says that it took over" \
		has "$(portcullis status)" "took over a running gate"
	check "$way: and reports the write of meanwhile" wait_for 3 reported 2
	check "$way: counters go on" wait_for 3 polling $((before + 500))
	check "$way: a write is refused again" refute quietly write
	said=
	check "$way: three in all" is "$(reason function_not_allowed)" 3

	stop "$client"
	check "$way: no connection has broken, no packet was lost" \
		has "$(cat "$work/client")" "broken 0 wrapped 1 lost 0"
	check "$way: none was late" \
		at_most "$(number slowest "$work/client")" 1000
	check "$way: every message of the time is counted" \
		is "$(metric messages_total 'protocol="modbus"')" \
		$((2 * $(number answers "$work/client")))
	raze
done
finish
