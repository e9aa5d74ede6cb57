#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Without a policy: one command makes a wire of two interfaces and watches it
# under a preset. Nothing is refused, all that would be is told, by its name.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc
# shellcheck disable=SC2317 # check calls functions
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib

told() {
	jq -e --arg was "$1" --argjson port "$2" 'select(.app_proto == $was and
		.dest_port == $port)' "$work/events.json" >"$work/told"
}

plant wire
echo 'site "empty" { default deny }' | policy
gate
modbus_server "$work/server"
check "nothing passes before" refute client pipeline "$plc" 502 1 1
portcullis apply --preset t0885 >"$work/out" 2>&1
check "a preset needs two interfaces" is $? 2
portcullis apply --preset t8085 port0 port1 >"$work/out" 2>&1
check "an unknown preset is named" has "$(cat "$work/out")" "presets are: t0885"
portcullis apply --preset t0885 port0 no-such-port >"$work/out" 2>&1
check "an interface that is not there is waited for or named" \
	has "$(cat "$work/out")" no-such-port
check "the preset is applied" quietly portcullis apply --preset t0885 port0 port1
check "Modbus passes on 502" has "$(client pipeline "$plc" 502 100 2)" \
	"answers 100"
check "and was judged" at_least "$(metric messages_total 'protocol="modbus"')" 100
echo 'uname -a' | at hmi timeout 2 ncat -w 1 "$plc" 502 >/dev/null 2>&1
check "a shell on 502 is told" wait_for 3 told unknown 502
start plc "$work/other" "$B/tests/server_peer" 443
wait_for 5 listens plc 443
check "Modbus on 443 passes" has "$(client pipeline "$plc" 443 10 1)" "answers 10"
check "and is told by its name" wait_for 3 told modbus 443
check "nothing was refused" is "$(metric packets_total 'verdict="drop"')" \
	"$(metric packets_total 'verdict="drop"' 'reason="no_service"')"
check "and nothing reset" is "$(metric packets_total 'verdict="reset"')" 0
raze
finish
