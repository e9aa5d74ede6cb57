#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A wire carries the state of its links: when one end is pulled, the other goes
# down within a second, and comes back with it. Then traffic passes again.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc
#                          wire
# shellcheck disable=SC2317 # check and wait_for call functions
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib

has_link() {
	at "$1" ip link show eth0 | grep -q 'state UP'
}

# host that pulls its plug, host that must see it
pull() {
	local start

	start=$(now_ms)
	at "$1" ip link set eth0 down
	check "$1 pulls its plug: $2 sees it" wait_for 3 refute has_link "$2"
	check "within a second" at_most $(($(now_ms) - start)) 1000
	start=$(now_ms)
	at "$1" ip link set eth0 up
	check "$1 plugs in: $2 sees it" wait_for 3 has_link "$2"
	check "within a second" at_most $(($(now_ms) - start)) 1000
	check "and Modbus passes" wait_for 5 client pipeline $plc 502 10 1
}

plant wire
usual_policy '' <<<'allow modbus'
gate
modbus_server "$work/server"
check "Modbus passes" quietly client pipeline $plc 502 10 1
pull plc hmi
pull hmi plc
check "status calls both up" is \
	"$(portcullis status --json | jq -r '[.. | .up? // empty] | unique[]' |
		tr '\n' ' ')" "true "
kill -9 "$daemon"
check "with the daemon killed Modbus passes" \
	quietly client pipeline $plc 502 10 1
finish
