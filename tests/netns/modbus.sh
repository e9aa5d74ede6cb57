#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Legal Modbus passes, in each way of forwarding, without loss and without a
# segment sent twice: 10,000 transactions of libmodbus; 2,000 connections at
# once, one of them over the wrap of both its sequence numbers; requests and
# answers cut at every byte; pipelined.
# The crowd takes turns, for a veth holds no more than 256 frames.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc
#   clients        wire or routed, XDP or tc       servers
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib

transactions() {
	local poll

	start plc "$work/lib" "$B/tests/libmodbus_peer" serve 0.0.0.0 502
	wait_for 5 listens plc 502
	poll=$(at hmi "$B/tests/libmodbus_peer" poll $plc 502 10000)
	stop "$last"
	check "$way: 10,000 transactions of libmodbus" \
		is "$poll" "transactions 10000 bad 0"
	check "$way: all at the server" is "$(number requests "$work/lib")" 10000
}

# At the server's cable: what tests/netns/wrap.bpf.c says.
wrap_server() {
	local pin=/sys/fs/bpf/pc$name-wrap way

	quietly bpftool prog load "$B/tests/netns/wrap.bpf.o" "$pin" \
		type classifier || give_up "$said"
	at plc tc qdisc add dev eth0 clsact
	for way in ingress egress; do
		quietly at plc tc filter add dev eth0 $way bpf direct-action \
			object-pinned "$pin" || give_up "$said"
	done
	rm "$pin"
}

# A host's numbers in the capture of that connection: from the last 256 before
# the wrap, at its SYN, to the first 256 behind it, with payload.
wraps() {
	check "$way: the numbers of the $1 begin below the wrap" \
		at_least "$(packets "$work/wrap.pcap" "src host $2 and
			tcp[tcpflags] & tcp-syn != 0 and tcp[4:4] >= 0xffffff00")" 1
	check "$way: and go on beyond it" \
		at_least "$(packets "$work/wrap.pcap" "src host $2 and
			$payload and tcp[4:4] < 0x100")" 1
}

crowd() {
	local out

	modbus_server "$work/server"
	capture plc eth0 "$work/wrap.pcap" "tcp port 20001"
	out=$(client many $plc 502 2000 12 500 20001)
	captured "$last"
	stop "$server"
	check "$way: 2,000 connections at once, each is answered" \
		has "$out" "connected 2000 answers 24000 broken 0"
	check "$way: one has wrapped" has "$out" "wrapped 1"
	wraps client $hmi
	wraps server $plc
	check "$way: at once" is "$(number most "$work/server")" 2000
}

# Payload of so many bytes at the server, at least or most.
sizes() {
	packets "$work/plc.pcap" "dst port 502 and $payload and
		ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) $1"
}

pieces() {
	modbus_server "$work/server"
	capture plc eth0 "$work/plc.pcap" "tcp port 502"
	check "$way: requests cut at every byte" \
		is "$(client split $plc 502)" "answers 12 of 12"
	captured "$last"
	check "$way: not one came whole to the server" is "$(sizes '> 11')" 0
	check "$way: they came in 34 pieces, or nearly" \
		at_least "$(sizes '< 12')" 30
	capture plc eth0 "$work/plc.pcap" "tcp port 502"
	check "$way: pipelined" \
		has "$(client pipeline $plc 502 20000 6)" "answers 20000"
	captured "$last"
	check "$way: they came to the server six at a time" \
		at_least "$(sizes '= 72')" 3000
	stop "$server"
	check "$way: the server has them all" \
		is "$(number requests "$work/server")" 20012
	modbus_server "$work/server" dribble
	check "$way: answers cut at every byte" \
		has "$(client pipeline $plc 502 20 1)" "answers 20"
	check "$way: both cut at every byte" \
		is "$(client split $plc 502)" "answers 12 of 12"
	stop "$server"
}

for one in wire kernel tc; do
	plant $one
	usual_policy '' <<<'allow modbus'
	gate --grace 0
	wrap_server
	transactions
	check "$way: the client lost no segment" \
		is "$(lost hmi)" 0
	check "$way: nor did the server" is "$(lost plc)" 0
	crowd
	pieces
	check "$way: still none" \
		is "$(lost hmi) $(lost plc)" "0 0"
	check "$way: nothing was refused" \
		is "$(metric violations_total 'conduit="line"')" 0
	check "$way: every request and answer was judged" \
		is "$(metric messages_total 'protocol="modbus"')" \
		$((2 * (10000 + 24000 + 20012 + 32)))
	raze
done
finish
