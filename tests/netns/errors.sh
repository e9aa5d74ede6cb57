#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What goes wrong at the start is said in one line that tells what to do, with
# the exit code of the manual, and leaves nothing behind: no pin, no program on
# a port, no nftables table, no socket, no lock. A gate that stands already is
# not touched.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc
#                          wire or routed
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib

# The daemon at the gate, by whatever is put before it.
daemon=("$B/portcullisd" --policy "$work/policy" --run-dir "$work/run"
	--pin-dir "$pin_dir" --log "$work/log/events.json")

left_behind() {
	find "$pin_dir" "$work/run" "$work/log" 2>/dev/null
	at gate nft list tables | grep portcullis
	at gate ip link | grep prog/xdp
	at gate tc filter show dev port0 ingress
}

# what, exit code, words, command
fails() {
	local what=$1 code=$2 words=$3 status=0

	shift 3
	at gate timeout 10 "$@" >"$work/out" 2>"$work/err" || status=$?
	check "$what: exit code" is $status "$code"
	check "$what: says so" has "$(cat "$work/err")" "$words"
	check "$what: in one line" is "$(grep -c . "$work/err")" 1
}

clean_after() {
	check "$1: nothing is left behind" is "$(left_behind)" "${2-}"
}

good() {
	usual_policy '' <<<'allow modbus'
}

plant wire
mkdir "$work/seeds"
"$B/tests/replay_test" --seeds "$work/seeds" || give_up "no captures"
mv "$work/seeds/modbus-read" "$work/capture"
printf 'zone {{\nallow everything \377\n' >"$work/policy"
status=0
at gate "${daemon[@]}" >"$work/out" 2>"$work/err" || status=$?
check "garbage: exit code" is $status 3
check "garbage: the place" has "$(cat "$work/err")" "$work/policy:1:6: error:"
check "garbage: says what to do" \
	has "$(tail -n 1 "$work/err")" "correct them first"
clean_after garbage

good
sed -i 's/wire port0 port1/wire port0 port9/; s/interface port1/interface port9/' \
	"$work/policy"
fails "missing interface" 1 "port9" "${daemon[@]}"
clean_after "missing interface"
good

mv "$work/policy" "$work/policy.away"
fails "no policy" 1 "write it, or name another" "${daemon[@]}"
fails "no policy, CLI" 1 "write it, or name another" \
	"$B/portcullis" check "$work/policy"
mv "$work/policy.away" "$work/policy"
clean_after "no policy"

fails "bpf(2) is not there" 1 "one with CONFIG_BPF_SYSCALL is needed" \
	"$B/tests/nobpf_peer" ENOSYS "${daemon[@]}"
clean_after "bpf(2) is not there"
fails "bpf(2) is forbidden" 5 "run outside of the container" \
	"$B/tests/nobpf_peer" EPERM "${daemon[@]}"
clean_after "bpf(2) is forbidden"
fails "bpf(2) is not there, replay" 1 "cannot open the engine" \
	"$B/tests/nobpf_peer" ENOSYS "$B/portcullis" replay --engine bpf \
	"$work/capture"
# Linux says 2.6 to those who ask for it: the daemon goes by what it says.
fails "kernel too old" 1 "kernel 2.6." setarch --uname-2.6 "${daemon[@]}"
check "kernel too old: which one is needed" \
	has "$(cat "$work/err")" "6.1 or newer is needed"
clean_after "kernel too old"

at gate ip link set port1 xdp obj "$B/tests/netns/pass.bpf.o" sec xdp
before=$(at gate ip link show port1 | grep -o 'prog/xdp id [0-9]*')
fails "someone else's XDP program" 1 \
	"port1: XDP program ${before##* } of somebody else is attached" \
	"${daemon[@]}"
clean_after "someone else's XDP program" "$(at gate ip link | grep prog/xdp)"
check "someone else's XDP program: is still there" \
	is "$(at gate ip link show port1 | grep -o 'prog/xdp id [0-9]*')" "$before"
at gate ip link set port1 xdp off

unprivileged=(setpriv --reuid=65534 --regid=65534 --clear-groups
	--bounding-set=-all --inh-caps=-all)
fails "no privilege" 5 "be root" "${unprivileged[@]}" "${daemon[@]}"
clean_after "no privilege"
chmod 777 "$work"
mkdir -m 777 "$work/run"
fails "no privilege, folders of its own" 5 "CAP_BPF" \
	"${unprivileged[@]}" "${daemon[@]}"
chmod 600 "$work/policy"
fails "a policy for root alone" 5 "be root" "${unprivileged[@]}" "${daemon[@]}"
chmod 644 "$work/policy"
chmod 711 "$work"
clean_after "no privilege, folders of its own" "$work/run"
rmdir "$work/run"

at gate ip link set port1 mtu 1400
fails "unequal MTU" 1 "1400" "${daemon[@]}"
clean_after "unequal MTU"
at gate ip link set port1 mtu 1500

# In a mount namespace of its own there is none until it mounts one.
at gate unshare -m --propagation private bash -c '
	umount -l /sys/fs/bpf 2>/dev/null
	"$@" 2>&1 &
	for i in {1..50}; do
		[ -S '"$work"'/run/control.sock ] && break
		sleep 0.1
	done
	'"$B"'/portcullis status
	echo "status $?"
	stat -f -c %T /sys/fs/bpf
	'"$B"'/portcullis detach
	wait' - "${daemon[@]}" >"$work/out" 2>&1
check "bpffs absent: it mounts one" has "$(cat "$work/out")" bpf_fs
check "bpffs absent: and the gate stands" has "$(cat "$work/out")" "status 0"
rm -rf "$work/log"
rmdir "$work/run"
clean_after "bpffs absent"

fails "bpffs absent, and none may be mounted" 5 "mount -t bpf bpffs /sys/fs/bpf" \
	unshare -m --propagation private bash -c '
		umount -l /sys/fs/bpf 2>/dev/null
		exec setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "$@"' \
	- "${daemon[@]}"
clean_after "bpffs absent, and none may be mounted"

fails "a wire by tc" 1 "a wire needs XDP" "${daemon[@]}" --door tc
clean_after "a wire by tc"
fails "no such option" 2 "--slot" "${daemon[@]}" --slot
fails "pins on no bpffs" 1 "$work/pins is not on a bpffs" "${daemon[@]}" --pin-dir "$work/pins"
clean_after "pins on no bpffs"

start gate "$work/daemon.log" "${daemon[@]}"
wait_for 10 stands || give_up "the gate does not stand"
generation=$(metric policy_generation)
fails "two daemons" 1 "already running as process $last" "${daemon[@]}"
fails "two daemons, other folders" 1 "another gate, pinned elsewhere" "$B/portcullisd" \
	--policy "$work/policy" --run-dir "$work/run2" \
	--pin-dir "$pin_dir-2" --log "$work/events2.json"
check "two daemons: the first still stands" stands
check "two daemons: nothing of the second" is \
	"$(ls -d "$pin_dir-2" "$work/run2" "$work/events2.json" 2>/dev/null)" ''
sed 's/port1/port9/' "$work/policy" >"$work/other"
fails "apply, missing interface" 1 "port9" "$B/portcullis" apply "$work/other"
mv "$work/policy" "$work/policy.away"
fails "apply, no policy" 1 "No such file" "$B/portcullis" apply
mv "$work/policy.away" "$work/policy"
check "the policy in force stays" is "$(metric policy_generation)" "$generation"
start gate "$work/taken" socat tcp-listen:9917,fork,reuseaddr PIPE
wait_for 5 listens gate 9917
fails "exporter port taken" 1 "127.0.0.1:9917" "$B/portcullis-exporter" \
	--run-dir "$work/run"
check "detach" quietly portcullis detach
wait_for 5 refute kill -0 "$last"
rm -rf "$work/log"
rmdir "$work/run"
fails "status with no daemon" 6 "start portcullisd" "$B/portcullis" status
fails "no such command" 2 "frobnicate" "$B/portcullis" frobnicate
clean_after "detach"
check "the wire is cut" refute quietly at hmi ping -c 1 -W 1 $plc
said=
raze

plant kernel
good
sed -i 's/interface port1/interface port9/' "$work/policy"
fails "routed, missing interface" 1 "port9" "${daemon[@]}"
clean_after "routed, missing interface"
finish
