#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Ten policies in a row under full traffic, some of which refuse a part of it,
# and some that are no policies at all: what each of them allows loses no
# packet and no connection; what one refuses ends at once.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc   .11 and .12
#   pipelined, and 50
#   connections, to .11;
#   one to .12
# shellcheck disable=SC2317 # check and wait_for call functions
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib

other=10.20.3.12

usual() {
	usual_policy '' <<<'allow modbus'
}

narrow() {
	usual_policy '' <<<'allow modbus read to plc-1'
}

# Other names, numbers and rules for the same traffic.
renamed() {
	sed -i 's/line/cable/; s/supervision/level-2/g; s/modbus t/fieldbus t/
		s/allow modbus/allow fieldbus/' "$work/policy"
	for one in {1..200}; do
		echo "zone extra-$one { network 10.99.$one.0/24 }
			service extra-$one tcp $((10000 + one)) expect modbus
			conduit to-$one from level-2 to extra-$one {
				allow extra-$one
			}"
	done | sed 's/}/\n&/; s/{/{\n/' >>"$work/policy"
}

apply() {
	check "$way: apply $1" quietly portcullis apply
}

refuse() {
	portcullis apply >"$work/out" 2>&1
	check "$way: no policy is refused" is $? 3
}

still_polls() {
	kill -0 "$fourth"
}

for way in wire kernel tc; do
	plant $way
	case $way in
	wire) address plc eth0 $other/16 ;;
	*) address plc eth0 $other/24 ;;
	esac
	usual
	gate --grace 0
	modbus_server "$work/server"
	start hmi "$work/first" "$B/tests/client_peer" many "$plc" 502 50 0 5
	first=$last
	start hmi "$work/second" "$B/tests/client_peer" pipeline "$plc" 502 \
		100000000 6
	second=$last
	start hmi "$work/fourth" "$B/tests/client_peer" many $other 502 1 0 5
	fourth=$last
	sleep 0.5

	apply 'the same again'
	usual_policy 'mode monitor' <<<'allow modbus'
	apply 'monitor'
	usual
	apply 'enforce again'
	renamed
	apply 'other names, 200 more zones'
	echo 'allow everything {' >"$work/policy"
	refuse
	usual_policy '' <<<'allow modbus read'
	apply 'reads only'
	echo >"$work/policy"
	sed -i 's/.*/conduit nowhere from no-zone to cell {/' "$work/policy"
	refuse
	check "$way: the second destination is still polled" still_polls
	narrow
	apply 'the second destination is not allowed'
	check "$way: its connection ends" wait_for 2 refute still_polls
	usual_policy '' <<<'allow modbus write'
	sed -i 's/allow modbus write/&\n\t\tallow modbus read/' "$work/policy"
	apply 'more again'
	usual
	apply 'the first again'

	sleep 0.5
	stop "$first"
	check "$way: 50 connections: none has broken, none lost a packet" \
		has "$(cat "$work/first")" "broken 0 wrapped 1 lost 0"
	check "$way: the pipelined one goes on" kill -0 "$second"
	stop "$server"
	wait "$second"
	check "$way: and lost nothing" has "$(cat "$work/second")" "lost 0"
	check "$way: the one not allowed was ended" \
		has "$(cat "$work/fourth")" "broken 1"
	check "$way: nothing else was refused" \
		is "$(metric violations_total 'conduit="line"')" \
		$(($(reason no_rule) + $(reason poisoned)))
	raze
done
finish
