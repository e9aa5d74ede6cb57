#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 400 s
# A connection that goes over to SSH is stopped at the first byte that breaks
# the framing, however long it was honest: after one message, after 10 kB,
# after 1,000,000 messages. The server has exactly the honest bytes, the
# client and the server are told by an RST.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc
#   client_peer    wire or routed, XDP or tc       server_peer
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib

rst='tcp[tcpflags] & tcp-rst != 0'
# The letters SSH- at the beginning of the payload.
ssh='tcp[((tcp[12] & 0xf0) >> 2):4] = 0x5353482d'

# messages, how many of them ahead of their answers
switch() {
	local out before

	before=$(events)
	modbus_server "$work/server"
	capture plc eth0 "$work/plc.pcap" "dst port 502 and ($rst or $ssh)"
	out=$(client switch $plc 502 "$1" "$2")
	wait_for 2 grown "$before"
	captured "$last"
	stop "$server"
	check "$way: SSH after $1 messages: reset, not answered" \
		has "$out" "answers $1 then reset"
	check "$way: the client knows within a second" \
		at_most "$(number ms <<<"$out")" 1000
	check "$way: the server has $((12 * $1)) bytes, all Modbus" \
		is "$(number bytes "$work/server") $(number broken "$work/server")" \
		"$((12 * $1)) 0"
	check "$way: a capture there holds no SSH, and one RST" \
		is "$(packets "$work/plc.pcap" "$ssh") $(packets "$work/plc.pcap")" \
		"0 1"
	check "$way: and was told" is "$(number resets "$work/server")" 1
	check "$way: reported as what it was" \
		is "$(event '[.portcullis.reason, .app_proto] | join(" ")')" \
		"bad_magic ssh"
}

for one in wire kernel tc; do
	plant $one
	usual_policy '' <<<'allow modbus'
	gate --every-event
	switch 1 1
	switch 854 6
	switch 1000000 6
	raze
done
finish
