#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 400 s
# Where only reads are allowed, a write never reaches the server; the read
# before it did. A client that tries again and again, 500 times, sees an error
# within a second each time, leaves no connection open at the server, and its
# next read works.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc
#   client_peer    wire or routed, XDP or tc       server_peer
# shellcheck disable=SC2317 # check and wait_for call functions
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib

mbpoll_at_hmi() {
	at hmi mbpoll -0 -1 -q -t 4 -r 7 -a 1 -o 2 "$plc" "$@" </dev/null
}

# Writes that have come to the server: their function is 6.
write='dst port 502 and tcp[((tcp[12] & 0xf0) >> 2) + 7] = 6'

one_write() {
	capture plc eth0 "$work/plc.pcap" "tcp port 502 and $payload"
	check "$way: a read" quietly mbpoll_at_hmi
	check "$way: a write fails" refute quietly mbpoll_at_hmi 99
	said=
	captured "$last"
	check "$way: the read reached the server and was answered" \
		is "$(packets "$work/plc.pcap")" 2
	check "$way: the write did not" is "$(packets "$work/plc.pcap" "$write")" 0
	check "$way: the reason" is "$(event '[.portcullis.reason,
		.portcullis.class, .portcullis.function] | join(" ")')" \
		"function_not_allowed write write-single-register"
}

again_and_again() {
	local out

	capture plc eth0 "$work/plc.pcap" "$write"
	out=$(client retry $plc 502 "$1")
	captured "$last"
	stop "$server"
	check "$way: $1 refused writes in a row, as many errors" \
		is "$(number errors <<<"$out")" "$1"
	check "$way: the next read works" has "$out" "read 1"
	check "$way: each error within a second" \
		at_most "$(number slowest <<<"$out")" 1000
	check "$way: the server never had more than two connections" \
		at_most "$(number most "$work/server")" 2
	check "$way: nor a write, nor did one come to its cable" \
		is "$(number writes "$work/server") $(packets "$work/plc.pcap")" "0 0"
}

for one in wire kernel tc; do
	plant $one
	usual_policy '' <<<'allow modbus read'
	gate --grace 0
	modbus_server "$work/server"
	one_write
	if [ "$way" = wire ]; then
		again_and_again 500
	else
		again_and_again 60
	fi
	raze
done
finish
