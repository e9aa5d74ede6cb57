#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The daemon's life and its control socket: start, change, fault, kill, take
# over, detach, on a wire.
#
#   client c0 ---- wire0 (gate, here) wire1 ---- s0 server
#   10.77.0.2                                    10.77.0.130
#
# timeout: 180 s
set -u
cd "$(dirname "$0")/../.." || exit 1
[ -n "${PORTCULLIS_TEST:-}" ] || exec tests/run --root "$(basename "$0" .sh)"
B=$(realpath "${O:-${B:-build}}")
PATH=$B:$PATH
dir=$(mktemp -d)
export PORTCULLIS_RUN_DIR=$dir/run
passed=0 failed=0

# What is claimed, and the command that shows it.
check() {
	local claim=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "failed: $claim: $*"
	fi
}

# The exit code that a command must have; what it said stands in $dir/out.
exits() {
	local want=$1 got=0
	shift
	"$@" >"$dir/out" 2>&1 || got=$?
	[ "$got" = "$want" ] || echo "exit code $got: $(cat "$dir/out")"
	[ "$got" = "$want" ]
}

said() {
	grep -q -- "$1" "$dir/out"
}

one_line() {
	[ "$(wc -l <"$dir/out")" = 1 ] && said "$1"
}

empty() {
	[ -z "$(ls "$1")" ]
}

no_pins() {
	! compgen -G '/sys/fs/bpf/portcullis/*/data_gate' >/dev/null
}

nobody() {
	setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

start() {
	portcullisd --policy "$dir/site.policy" --log "$dir/events.json" \
		--slots 4096 --grace 0 2>>"$dir/log" &
	daemon=$!
	for _ in $(seq 300); do
		portcullis metrics >/dev/null 2>&1 && return
		kill -0 $daemon 2>/dev/null || return
		sleep 0.1
	done
}

gone() {
	for _ in $(seq 100); do
		kill -0 "$1" 2>/dev/null || break
		sleep 0.1
	done
	! kill -0 "$1" 2>/dev/null
}

# One request with this function: how many bytes of answer the client gets.
answer() {
	printf '\0\1\0\0\0\6\1%b\0\1\0\1' "$1" |
		ip netns exec client timeout 3 socat -t 1 - TCP:10.77.0.130:502 \
			2>/dev/null | wc -c
}

reads() {
	[ "$(answer '\0003')" = 9 ]
}

no_live_change() {
	exits 0 portcullis show live --json && ! test -s "$dir/out"
}

writes() {
	[ "$(answer '\0006')" = 9 ]
}

fails() {
	! "$@"
}

# Whether some event in the file is as jq is told.
event() {
	jq -e "select($1)" "$dir/events.json" >/dev/null
}

metric() {
	portcullis metrics | sed -n "s/^$1 //p"
}

clean_up() {
	portcullis detach >/dev/null 2>&1
	[ -z "${server:-}" ] || kill "$server"
	ip netns del client
	ip netns del server
	ip link del wire0 2>/dev/null
	ip link del wire1 2>/dev/null
	rm -rf "$dir"
}
trap clean_up EXIT

for side in client:wire0:c0:10.77.0.2 server:wire1:s0:10.77.0.130; do
	IFS=: read -r ns port far address <<<"$side"
	ip netns add "$ns"
	ip link add "$port" type veth peer name "$far" netns "$ns"
	ip link set "$port" up
	ip -n "$ns" addr add "$address/24" dev "$far"
	ip -n "$ns" link set "$far" up
	# Redirected frames reach a veth only through NAPI.
	ip netns exec "$ns" ethtool -K "$far" gro on tx off >/dev/null
done
# Whatever it is asked, it answers with exception 1 to that function.
cat >"$dir/server" <<'END'
function=$(head -c 8 | tail -c 1 | od -An -tu1)
head -c 4 >/dev/null
[ -z "$function" ] || printf "\\0\\1\\0\\0\\0\\3\\1\\$(printf %o $((function + 128)))\\1"
END
ip netns exec server socat TCP-LISTEN:502,fork,reuseaddr \
	EXEC:"bash $dir/server" 2>/dev/null &
server=$!

cat >"$dir/site.policy" <<'END'
site "Test cell" {
	forward wire wire0 wire1
}
service modbus tcp 502 expect modbus
zone sup {
	interface wire0
	network 10.77.0.0/25
	asset hmi-1 10.77.0.2
}
zone cell {
	interface wire1
	network 10.77.0.128/25
	asset plc-1 10.77.0.130
}
conduit line from sup to cell {
	allow modbus read
}
END
sed 's/modbus read/modbsu read/' "$dir/site.policy" >"$dir/faulty.policy"
sed 's/wire1/wire9/' "$dir/site.policy" >"$dir/missing.policy"

# ---- without a daemon ------------------------------------------------------
check "no daemon" exits 6 portcullis status
check "one line" one_line "start portcullisd"
check "a good policy" exits 0 portcullis check "$dir/site.policy"
check "a policy with errors" exits 3 portcullis check "$dir/faulty.policy"
check "suggests a name" said "did you mean 'modbus'"
check "a wrong command" exits 2 portcullis stauts
check "suggests one" one_line "did you mean .status"
check "faulty at the start" exits 3 portcullisd --policy "$dir/faulty.policy" --log "$dir/e"
check "none at the start" exits 1 portcullisd --policy "$dir/nothing" --log "$dir/e"
check "missing interface" exits 1 portcullisd --policy "$dir/missing.policy" --log "$dir/e"
check "named" one_line wire9
check "no event file" fails test -e "$dir/e"
check "no lock, no socket" empty "$dir/run"
check "no pins" no_pins
check "no privilege" exits 5 nobody "$B/portcullisd" --policy /dev/null \
	--run-dir /tmp/portcullis-none --log /tmp/portcullis-none/e
check "said in one line" one_line CAP_BPF
rm -rf /tmp/portcullis-none

# ---- start -----------------------------------------------------------------
start
check "status" exits 0 portcullis status
check "says what it does" said "Test cell: enforcing"
check "status as JSON" exits 0 portcullis status --json
check "its schema" jq -e '.schema == "portcullis.status.1" and .ports[0].door != "detached"' "$dir/out"
check "a second daemon" exits 1 portcullisd --policy "$dir/site.policy" --log "$dir/e"
check "names the first" one_line "process $daemon"
check "a read passes" reads
timeout 20 portcullis watch >"$dir/watch" 2>/dev/null &
watcher=$!
sleep 0.5
check "a write does not" fails writes
sleep 1
check "its event" event '.portcullis.function == "write-single-register" and .app_proto == "modbus" and .portcullis.src_asset == "hmi-1" and .portcullis.conduit == "line" and .verdict.action == "reset"'
check "watched" grep -q "write-single-register is not allowed here" "$dir/watch"
kill $watcher
wait $watcher

# ---- changes ---------------------------------------------------------------
check "allow" exits 0 portcullis allow modbus write from hmi-1 to plc-1 --for 1h -m test
check "the write passes" writes
check "show live" exits 0 portcullis show live --json
check "who and why" jq -e '.id == 1 and .by == "root" and .why == "test"' "$dir/out"
check "in the file" grep -q "^allow modbus write .* # id=1 " "$dir/policy.d/90-live.policy"
check "allow with errors" exits 3 portcullis allow modbus wriet
check "revoke" exits 0 portcullis revoke 1
check "only once" exits 1 portcullis revoke 1
check "the write does not pass" fails writes
check "allow for 3 s" exits 0 portcullis allow modbus write --for 3s
check "passes now" writes
sleep 3.2
check "but not for longer" fails writes
# The kernel ends it on time; the file is tidied when the daemon comes to it.
for _ in 1 2 3 4 5; do
	no_live_change && break
	sleep 1
done
check "nor stands there" no_live_change
check "nor in the file" fails grep -q ^allow "$dir/policy.d/90-live.policy"

before=$(metric portcullis_policy_generation)
check "apply with errors" exits 3 portcullis apply "$dir/faulty.policy"
check "names the place" said "faulty.policy:[0-9]*:[0-9]*: error"
check "the policy before it stays" test "$(metric portcullis_policy_generation)" = "$before"
check "in force" reads
check "metrics say so" test "$(metric portcullis_last_apply_successful)" = 0
check "apply" exits 0 portcullis apply
check "metrics say that too" test "$(metric portcullis_last_apply_successful)" = 1
sed "s/modbus read/modbus read, write/" "$dir/site.policy" >"$dir/wide.policy"
check "apply from standard input" exits 0 portcullis apply - <"$dir/wide.policy"
check "in force too" writes
kill -HUP $daemon
sleep 1
check "SIGHUP reads the file anew" fails writes
mv "$dir/events.json" "$dir/events.old"
kill -USR1 $daemon
sleep 1
check "SIGUSR1 opens the event file anew" test -e "$dir/events.json"

chmod 755 "$dir"
check "others may not ask" exits 5 nobody "$B/portcullis" status --run-dir "$dir/run"
check "but read metrics" exits 0 nobody "$B/portcullis" metrics --run-dir "$dir/run"
chmod 666 "$dir/run/control.sock"
check "or ask, if they are let" exits 0 nobody "$B/portcullis" status --run-dir "$dir/run"
check "but change nothing" exits 5 nobody "$B/portcullis" detach --run-dir "$dir/run"

# ---- death -----------------------------------------------------------------
opened=$(metric portcullis_flows_opened_total)
kill -9 $daemon
wait $daemon 2>/dev/null
check "a read passes without a daemon" reads
check "a write does not" fails writes
check "a faulty policy" exits 3 portcullisd --policy "$dir/faulty.policy" --log "$dir/e"
check "touches nothing" said "goes on enforcing"
check "in truth" reads
start
check "taken over" exits 0 portcullis status --json
check "it says" jq -e .adopted "$dir/out"
check "counters go on" test "$(metric portcullis_flows_opened_total)" -ge $((opened + 3))
sleep 1
check "what happened meanwhile is told" event '.portcullis.function == "write-single-register" and .portcullis.src_asset == "hmi-1"'
kill $daemon
check "stopped, it exits with 0" wait $daemon
check "it leaves nothing in its folder" empty "$dir/run"
check "and the gate" reads
start
check "detach" exits 0 portcullis detach
check "ends the daemon" gone $daemon
check "well" wait $daemon
check "and the gate" no_pins
check "a wire without programs is cut" fails reads
[ $failed = 0 ] || sed 's/^/log: /' "$dir/log"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
