#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Metrics from the kernel to a real Prometheus: born at 0, so that the first
# violation is an increase; unprivileged; honest without a daemon.
#
#   client c0 ---- gate0 (here, forward kernel)
#   10.78.0.2      10.78.0.1
#
# timeout: 120 s
set -u
cd "$(dirname "$0")/../.." || exit 1
[ -n "${PORTCULLIS_TEST:-}" ] || exec tests/run --root "$(basename "$0" .sh)"
B=$(realpath "${O:-${B:-build}}")
PATH=$B:$PATH
dir=$(mktemp -d)
chmod 755 "$dir"
export PORTCULLIS_RUN_DIR=$dir/run
passed=0 failed=0 prometheus='' exporter=''

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

start() {
	portcullisd --policy "$dir/site.policy" --log "$dir/events.json" \
		--slots 4096 2>>"$dir/log" &
	daemon=$!
	for _ in $(seq 300); do
		portcullis metrics >/dev/null 2>&1 && return
		sleep 0.1
	done
}

query() {
	curl -s --data-urlencode "query=$1" http://127.0.0.1:9090/api/v1/query |
		jq -r '.data.result[0].value[1] // "none"'
}

# Until a query gives what is wanted, or ten seconds have passed.
becomes() {
	for _ in $(seq 50); do
		[ "$(query "$1")" = "$2" ] && return
		sleep 0.2
	done
	echo "query $1: $(query "$1"), not $2"
	return 1
}

series() {
	grep -o '^[a-z_]*{*[^}]*}*' | sort
}

same_series() {
	cmp <(portcullis metrics | series) \
		<(curl -s http://127.0.0.1:9917/metrics | series)
}

# path, status that it must have, options of curl
http() {
	local path=$1 want=$2 got
	shift 2
	got=$(curl -s -m 3 -o "$dir/page" -w '%{http_code}' "$@" \
		"http://127.0.0.1:9917$path")
	[ "$got" = "$want" ] || echo "$path: $got"
	[ "$got" = "$want" ]
}

port_taken() {
	! portcullis-exporter 2>"$dir/second.log" &&
		[ "$(wc -l <"$dir/second.log")" = 1 ] &&
		grep -q "127.0.0.1:9917 is taken" "$dir/second.log"
}

clean_promtool() {
	promtool check metrics <"$dir/page" >"$dir/out" 2>&1 && [ ! -s "$dir/out" ]
}

clean_up() {
	[ -z "$prometheus" ] || kill "$prometheus"
	[ -z "$exporter" ] || kill "$exporter"
	portcullis detach >/dev/null 2>&1
	wait
	ip netns del client
	ip link del gate0 2>/dev/null
	rm -rf "$dir"
}
trap clean_up EXIT

ip netns add client
ip link add gate0 type veth peer name c0 netns client
ip link set gate0 up
ip addr add 10.78.0.1/24 dev gate0
ip -n client addr add 10.78.0.2/24 dev c0
ip -n client link set c0 up
ip -n client route add default via 10.78.0.1

cat >"$dir/site.policy" <<'END'
site "Exported" {
	forward kernel
}
service dns udp 53 expect dns
zone sup {
	interface gate0
	network 10.78.0.2/32
}
zone cell {
	network 10.79.0.0/24
}
conduit line from sup to cell {
	allow dns
}
END
cat >"$dir/prometheus.yml" <<'END'
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: portcullis
    static_configs:
      - targets: ["127.0.0.1:9917"]
END

portcullis-exporter 2>"$dir/exporter.log" &
exporter=$!
prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/data" \
	--web.listen-address=127.0.0.1:9090 >"$dir/prometheus.log" 2>&1 &
prometheus=$!
for _ in $(seq 100); do
	curl -sf http://127.0.0.1:9090/-/ready >/dev/null && break
	sleep 0.1
done

check "the scrape works" becomes up 1
check "without a daemon" becomes portcullis_up 0
check "taken port" port_taken
check "not root" test "$(stat -c %U /proc/$exporter)" = nobody
check "no capability" grep -q "^CapPrm:.0*$" /proc/$exporter/status
start
check "with a daemon" becomes portcullis_up 1
check "metrics" http /metrics 200 -D "$dir/head"
check "content type" grep -qi "^content-type: text/plain; version=0.0.4; charset=utf-8" "$dir/head"
check "promtool" clean_promtool
check "the same series" same_series
check "an index page" http / 200
check "it leads there" grep -q 'href="/metrics"' "$dir/page"
check "nothing else" http /etc/passwd 404
check "nothing to write" http /metrics 405 -d x
check "born at 0" becomes 'portcullis_violations_total{conduit="line",reason="mismatch"}' 0
refused='sum(portcullis_packets_total{verdict="drop",reason="no_service"})'
check "a refusal at 0" becomes "$refused" 0
sleep 2
echo | ip netns exec client socat -u - UDP-SENDTO:10.79.0.5:9
check "the first refusal" becomes "$refused" 1
check "is an increase" becomes "increase(($refused)[1m:1s]) > bool 0" 1

# Clients that send nothing must not hold the others.
silent=()
for _ in $(seq 20); do
	sleep 20 >/dev/tcp/127.0.0.1/9917 &
	silent+=($!)
done
check "silent clients" http /metrics 200
kill "${silent[@]}"
wait "${silent[@]}" 2>/dev/null

kill -9 $daemon
wait $daemon 2>/dev/null
check "down again" becomes portcullis_up 0
start
check "up again" becomes portcullis_up 1
check "counters go on" becomes "$refused" 1
[ $failed = 0 ] || sed 's/^/log: /' "$dir/log" "$dir/exporter.log"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
