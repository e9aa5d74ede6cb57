#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Two bridges joined by two wires are a loop. Their spanning tree sees it
# through the gate and opens it: a broadcast arrives once, and not for ever.
# When the wire that carries the traffic breaks, the other takes over.
#
#        left                 gate                  right
#             [one]----[l1]========[r1]----[one]
#   [br0 10.20.2.11]                            [br0 10.20.3.11]
#             [two]----[l2]========[r2]----[two]
# shellcheck disable=SC2317 # check and wait_for call functions
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib

# The shortest times that the standard allows: 2 s to listen, 2 s to learn.
switch() {
	at "$1" ip link add br0 type bridge stp_state 1 forward_delay 200 \
		hello_time 100 max_age 600
	at "$1" ip link set one master br0
	at "$1" ip link set two master br0
	at "$1" ip link set br0 up
	address "$1" br0 "$2"
}

# Ports of both bridges in this state.
ports() {
	{
		at left bridge link
		at right bridge link
	} | grep -c "state $1"
}

settled() {
	[ "$(ports forwarding) $(ports blocking)" = '3 1' ]
}

reaches() {
	at left ping -c 1 -W 1 10.20.3.11
}

host left gate right
cable left one gate l1
cable gate r1 right one
cable left two gate l2
cable gate r2 right two
policy <<'POLICY'
site "Ring" {
	forward wire l1 r1
	forward wire l2 r2
	layer2 pass icmp-echo
}
zone left {
	network 10.20.2.0/24
}
zone right {
	network 10.20.3.0/24
}
POLICY
gate
switch left 10.20.2.11/16
switch right 10.20.3.11/16
check "the spanning tree opens the loop" wait_for 20 settled
check "and the bridges reach each other" wait_for 10 reaches

capture right br0 "$work/pcap" arp
before=$(metric layer2_frames_total '"arp"')
at left ping -c 1 -W 1 -b 10.20.200.200 >/dev/null 2>&1
sleep 2
captured "$last"
check "a broadcast arrives once a try, not for ever" \
	at_most "$(packets "$work/pcap" 'arp host 10.20.200.200')" 3
check "and crosses the gate as often" \
	at_most $(($(metric layer2_frames_total '"arp"') - before)) 10

carrier=$(at left bridge link | awk '/state forwarding/ { print $2 }')
carrier=${carrier%%@*}
at left ip link set "${carrier%%:*}" down
check "the other wire takes over" wait_for 20 reaches
finish
