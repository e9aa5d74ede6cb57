#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What a plant needs below its conversations crosses a wire unchanged, both
# ways: ARP, neighbour discovery, LLDP, a BPDU, GOOSE with its priority tag
# (VLAN 0), PROFINET. What is on no list does not cross, nor does ARP for an
# address of the other side. `layer2 drop` and `layer2 pass` change it.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc
#   frame_peer             wire                    frame_peer
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib

all=ffffffffffff
mac=02000000aa01
# Enough to be told apart, and long enough not to be padded.
rest=$(printf '%0100d' 0)
declare -A frame=(
	[ARP]="$all$mac 0806 0001 0800 0604 0001 $mac 0a14020b 000000000000 0a14030b"
	[LLDP]="0180c200000e$mac 88cc 0207040200 0000aa01 0403050000 0602 0078 0000 $rest"
	[BPDU]="0180c2000000$mac 0026 424203 0000 00 00 00 8000$mac 00000000 8000$mac 8001 0000 1400 0200 0f00"
	[GOOSE]="010ccd010001$mac 8100 8000 88b8 0001 0090 00000000 6181 86 $rest"
	[PROFINET]="010ecf000000$mac 8892 fefe 0500 01020304 0000 0000 $rest"
	[unlisted]="$all$mac 88b5 $rest"
	[PAUSE]="0180c2000001$mac 8808 0001 ffff $rest"
	[spoofed]="$all$mac 0806 0001 0800 0604 0001 $mac 0a14030b 000000000000 0a14020b"
)
frame[reversed]=${frame[spoofed]}

# As frames() prints one: no spaces, padded with zeros.
hex() {
	printf '%-120s' "${frame[$1]// /}" | tr ' ' 0
}

# from, to, kind: 1 if it got there as it was, else 0
crosses() {
	capture "$2" eth0 "$work/pcap" "ether src 02:00:00:00:aa:01"
	at "$1" "$B/tests/frame_peer" eth0 <<<"${frame[$3]}" || echo failed
	captured "$last"
	frames "$work/pcap" | grep -cx "$(hex "$3")"
}

pass_or_not() {
	local kind

	for kind in LLDP BPDU GOOSE PROFINET; do
		check "$kind passes to the PLC" is "$(crosses hmi plc $kind)" 1
		check "$kind passes back" is "$(crosses plc hmi $kind)" 1
	done
	check "ARP passes" is "$(crosses hmi plc ARP)" 1
	for kind in unlisted PAUSE; do
		check "$kind does not pass" is "$(crosses hmi plc $kind)" 0
	done
	check "ARP with an address of the other side does not pass" \
		is "$(crosses hmi plc spoofed)" 0
	check "ARP from where the address is passes" \
		is "$(crosses plc hmi reversed)" 1
	check "counted: unlisted" is "$(reason ethertype)" 1
	check "counted: spoofed" is "$(reason spoofed)" 1
	check "counted: GOOSE" is "$(metric layer2_frames_total '"goose"')" 2
}

neighbours() {
	at hmi ip neigh flush all # of what was made up
	at plc ip neigh flush all
	address hmi eth0 fd20::11/64
	address plc eth0 fd20::3:11/64
	at hmi ping -6 -c 1 -W 2 fd20::3:11 >/dev/null 2>&1
	check "neighbours find each other by IPv6" has \
		"$(at hmi ip -6 neigh show fd20::3:11)" lladdr
	check "and by ARP" quietly at hmi bash -c "ping -c 1 -W 2 $plc >&2
		ip neigh show $plc | grep lladdr"
}

plant wire
usual_policy '' <<<'allow modbus'
gate
pass_or_not
neighbours
usual_policy 'layer2 drop lldp; layer2 pass icmp-echo' <<<'allow modbus'
check "another table is applied" quietly portcullis apply
check "LLDP does not pass any more" is "$(crosses hmi plc LLDP)" 0
check "ping does now" quietly at hmi ping -c 1 -W 2 $plc
finish
