#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The daemon needs no root: with three capabilities, and folders that root has
# given it, a user puts the gate up, changes it, dies and takes it over again.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc
#                          wire
# shellcheck disable=SC2317 # check and wait_for call functions
cd "$(dirname "$0")/../.." || exit 1
# Who may enter the machine's own bpffs is not for a test to change.
[ "${PORTCULLIS_TEST-}" ] || exec unshare --mount --propagation private \
	env PORTCULLIS_TEST=1 bash tests/netns/unprivileged.sh
# shellcheck source=tests/netns/lib
. tests/netns/lib

three=+bpf,+net_admin,+perfmon
user=65534
# The rig takes the gate down where it stands.
pin_dir=/sys/fs/bpf/portcullis-$name/v1

start_as_user() {
	start gate "$work/daemon.log" setpriv --reuid=$user --regid=$user \
		--clear-groups --bounding-set=-all,$three --inh-caps=$three \
		--ambient-caps=$three "$B/portcullisd" \
		--policy "$work/own/policy" --run-dir "$PORTCULLIS_RUN_DIR" \
		--pin-dir "$pin_dir" --log "$work/own/events.json"
	daemon=$last
}

write_it() {
	at hmi timeout 3 mbpoll -0 -1 -q -t 4 -a 1 -o 1 "$plc" 99 </dev/null
}

ends_with() {
	wait "$daemon"
	is $? "$1"
}

mount -t bpf -o mode=711 bpf /sys/fs/bpf || give_up "no bpffs"
trap 'clean; umount /sys/fs/bpf' EXIT
plant wire
usual_policy '' <<<'allow modbus read'
install -d -o $user "$work/own" "$PORTCULLIS_RUN_DIR"
mv "$work/policy" "$work/own/"
modbus_server "$work/server"

start_as_user
check "a folder of pins that is not its own: exit code" ends_with 5
check "says what to do" has "$(cat "$work/daemon.log")" "be root, or let root"
install -d -o $user "${pin_dir%/*}"
start_as_user
check "with one of its own it stands" wait_for 10 stands
check "it is not root" is "$(awk '/^Uid/ { print $3 }' "/proc/$daemon/status")" \
	$user
check "three capabilities" is \
	"$(awk '/^CapEff/ { print $2 }' "/proc/$daemon/status")" 000000c000001000
check "reads pass" is "$(number answers <<<"$(client pipeline $plc 502 20 2)")" 20
check "a write is refused" refute quietly write_it
said=
check "allow" quietly portcullis allow modbus write
check "the write passes" quietly write_it
kill -9 "$daemon"
wait "$daemon" 2>/dev/null
start_as_user
check "killed: the next one stands" wait_for 10 stands
check "and took over" has "$(portcullis status)" "took over a running gate"
check "the write passes still" quietly write_it
check "detach" quietly portcullis detach
check "ends it well" ends_with 0
check "nothing is left of it" is \
	"$(find "$pin_dir" -mindepth 1 2>/dev/null)" ''
finish
