#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Full disks, kill -9 and many at once: the gate goes on, what is on disk stays
# whole, and whoever is concerned is told.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc
#                          wire
# shellcheck disable=SC2317 # check and wait_for call functions
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib
trap 'umount -l "$work/small" 2>/dev/null; clean' EXIT

read_it() {
	at hmi timeout 3 mbpoll -0 -1 -q -t 4 -a 1 -o 1 "$plc" </dev/null
}

write_it() {
	at hmi timeout 3 mbpoll -0 -1 -q -t 4 -a 1 -o 1 "$plc" 99 </dev/null
}

enforces() {
	check "$1: a read passes" quietly read_it
	check "$1: a write is refused" refute quietly write_it
	said=
}

live() {
	portcullis show live --json | grep -c .
}

fill() {
	dd if=/dev/zero of="$work/small/fill" bs=4k 2>/dev/null
	! echo more 2>/dev/null >"$work/small/more"
}

# A disk of 128 kB under the events, the policy and what stands beside it.
full_disk() {
	mkdir "$work/small"
	mount -t tmpfs -o size=128k tmpfs "$work/small" || give_up "no tmpfs"
	mv "$work/policy" "$work/small/policy"
	ln -s small/policy "$work/policy"
	start gate "$work/daemon.log" "$B/portcullisd" \
		--policy "$work/small/policy" --run-dir "$PORTCULLIS_RUN_DIR" \
		--pin-dir "$pin_dir" --log "$work/small/events.json" --every-event
	daemon=$last
	wait_for 10 stands || give_up "the gate does not stand"
	check "allow, with room" quietly portcullis allow modbus diagnostics -m CHG-1
	cp "$work"/small/policy.d/*.policy "$work/before"
	fill || give_up "the disk does not fill"

	enforces "full disk"
	check "it says so once" wait_for 3 grep -q \
		'events.json: No space left on device: events are lost until it can' \
		"$work/daemon.log"
	check "and counts them" wait_for 3 lost_some
	portcullis allow modbus write >"$work/out" 2>"$work/err"
	check "allow fails" is $? 1
	check "it says why, in one line" is "$(cat "$work/err")" "portcullis: cannot\
 write $work/small/policy.d/90-live.policy: No space left on device: nothing was\
 changed"
	enforces "after that"
	check "the file beside the policy is as it was" \
		quietly cmp "$work/before" "$work"/small/policy.d/*.policy
	check "and alone there" is "$(find "$work/small/policy.d" -type f | wc -l)" 1
	check "so is what is in force" is "$(live)" 1

	rm "$work/small/fill"
	enforces "room again"
	check "events are written again" wait_for 3 grep -q \
		write-single-register "$work/small/events.json"
	check "each a whole line" quietly jq -e . "$work/small/events.json"
	check "said once in all" is \
		"$(grep -c 'No space left' "$work/daemon.log")" 1
	stop "$daemon"
}

lost_some() {
	[ "$(metric events_lost_total 'stage="file"')" -ge 1 ]
}

many_at_once() {
	local i asked=()

	for ((i = 0; i < 8; i++)); do
		"$B/portcullis" allow modbus diagnostics -m "CHG-$i" \
			>"$work/asked.$i" 2>&1 &
		asked+=($!)
	done
	for ((i = 0; i < 10; i++)); do
		"$B/portcullis" apply >/dev/null 2>"$work/applied.$i" &
		asked+=($!)
	done
	wait "${asked[@]}"
	check "8 changes at once, 10 applies: all are in force" is "$(live)" 9
	check "each with a number of its own" is "$(portcullis show live --json |
		jq .id | sort -u | wc -l)" 9
	check "all stand beside the policy" is \
		"$(grep -c '^allow' "$work"/policy.d/*.policy)" 9
	check "no apply failed" is "$(cat "$work"/applied.*)" ''
}

# Descriptors that the daemon holds.
held() {
	find "/proc/$daemon/fd" -mindepth 1 | wc -l
}

holds() {
	[ "$(held)" -le "$1" ]
}

killed_clients() {
	local before i asked=()

	before=$(held)
	for ((i = 0; i < 30; i++)); do
		"$B/portcullis" watch >/dev/null 2>&1 &
		asked+=($!)
	done
	wait_for 5 refute holds $((before + 20)) || give_up "nobody watches"
	kill -9 "${asked[@]}"
	wait "${asked[@]}" 2>/dev/null
	check "30 watchers are killed: the daemon lets go of them" \
		wait_for 3 holds "$before"
	enforces "after them"
}

changes() {
	local id

	while id=$("$B/portcullis" allow modbus diagnostics |
		sed -n 's/^allowed as \([0-9]*\):.*/\1/p') && [ -n "$id" ]; do
		"$B/portcullis" revoke "$id" || break
	done
}

# In the middle of changes: what is on disk is what is in force afterwards.
killed_daemon() {
	local i changer

	for i in 1 2 3 4; do
		changes >"$work/changes" 2>&1 &
		changer=$!
		check "changes, $i" wait_for 10 grep revoked "$work/changes"
		sleep 0.0$((i * 2))
		kill -9 "$daemon"
		wait "$daemon" "$changer" 2>/dev/null
		gate
		check "killed amid changes, $i: in force is what is on disk" is \
			"$(live)" "$(grep -c '^allow' "$work"/policy.d/*.policy)"
	done
	enforces "after these"
}

# At any moment of its start: the next one starts all the same.
killed_starts() {
	local i

	for i in 02 05 1 2 3 5 8; do
		start gate "$work/killed.log" "$B/portcullisd" \
			--policy "$work/policy" --run-dir "$PORTCULLIS_RUN_DIR" \
			--pin-dir "$pin_dir" --log "$work/events.json"
		sleep 0.$i
		kill -9 "$last"
		wait "$last" 2>/dev/null
		[ "$i" != 3 ] || portcullis detach --pin-dir "$pin_dir" 2>/dev/null
	done
	gate
	enforces "after starts that were killed"
	stop "$daemon"
	quietly portcullis detach --pin-dir "$pin_dir"
}

running() {
	local pid n=0

	for pid in "${starters[@]}"; do
		kill -0 "$pid" 2>/dev/null && n=$((n + 1))
	done
	echo "$n"
}

one_runs() {
	[ "$(running)" = 1 ]
}

starts_at_once() {
	local i

	starters=()
	for i in 1 2 3 4; do
		start gate "$work/starter.$i" "$B/portcullisd" \
			--policy "$work/policy" --run-dir "$PORTCULLIS_RUN_DIR" \
			--pin-dir "$pin_dir" --log "$work/events.json"
		starters+=("$last")
	done
	check "four daemons at once: one stays" wait_for 10 one_runs
	check "and stands" wait_for 10 stands
	check "the others say who runs" is \
		"$(cat "$work"/starter.* | grep -c 'already running as process')" 3
	enforces "after these"
}

plant wire
usual_policy '' <<<'allow modbus read'
modbus_server "$work/server"
full_disk
rm "$work/policy"
mv "$work/small/policy" "$work/policy"
mv "$work/small/policy.d" "$work/"
umount "$work/small"
gate
many_at_once
killed_clients
killed_daemon
kill -9 "$daemon"
wait "$daemon" 2>/dev/null
killed_starts
starts_at_once
finish
