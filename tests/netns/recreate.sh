#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Where the kernel forwards, an interface of the policy may go and come back
# under traffic: nothing is forwarded unverified, not for a moment, with the
# daemon or without it. With it, legal traffic passes again within seconds.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc
#   Modbus, and a flood    routes, fail closed     server; counts
#   of UDP that no rule                            datagrams for
#   allows                                         closed ports
#
# The flood is the witness: it is legal nowhere, so a single datagram of it at
# the PLC has come through a gap.
# shellcheck disable=SC2317 # check and wait_for call functions
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib

# Without an end, whatever becomes of the interface.
flood() {
	start hmi "$work/flood" bash -c "while :; do
		for i in {1..50}; do echo unverified >/dev/udp/$plc/7777; done
		sleep 0.01
	done"
}

arrived() {
	at plc nstat -asz UdpNoPorts | awk '/UdpNoPorts/ { print $2 }'
}

some_arrived() {
	[ "$(arrived)" -gt 0 ]
}

refused() {
	[ "$(reason no_service)" -gt "$1" ]
}

# A cable is cut and laid again, as a driver that is reloaded does it.
lay_cell() {
	at gate ip link del port1
	cable gate port1 plc eth0
	address gate port1 10.20.3.1/24
	address plc eth0 "$plc/24"
	at plc ip route add default via 10.20.3.1
}

lay_supervision() {
	at gate ip link del port0
	cable hmi eth0 gate port0
	address gate port0 10.20.2.1/24
	address hmi eth0 "$hmi/24"
	at hmi ip route add default via 10.20.2.1
}

modbus_passes() {
	client pipeline "$plc" 502 5 1
}

again_and_again() {
	local before

	before=$(arrived)
	for _ in 1 2 3; do
		lay_cell
		sleep 0.5
		lay_supervision
		sleep 0.5
	done
	check "$1: both ports re-made three times, nothing unverified at the PLC" \
		is $(($(arrived) - before)) 0
}

# That the witness is one.
without_a_gate() {
	check "$way: without a gate the flood arrives" wait_for 3 some_arrived
}

for one in kernel tc; do
	plant $one
	usual_policy '' <<<'allow modbus'
	flood
	without_a_gate
	gate
	modbus_server "$work/server"
	check "$way: Modbus passes" quietly modbus_passes
	check "$way: the flood is refused" wait_for 3 refused 10
	again_and_again "$way with the daemon"
	check "$way: Modbus passes again" wait_for 5 modbus_passes
	check "$way: the flood is still there" wait_for 3 \
		refused "$(reason no_service)"

	kill -9 "$daemon"
	wait "$daemon" 2>/dev/null
	again_and_again "$way without it"
	check "$way without it: nor does Modbus pass" \
		refute quietly at hmi timeout 2 ncat -z -w 1 "$plc" 502
	said=
	gate
	check "$way: a new daemon: Modbus passes" wait_for 5 modbus_passes
	raze
done
finish
