#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Metrics from the kernel to Debian's Prometheus, by an exporter that runs as
# nobody: every series is there from the start, at 0, so that the first refusal
# is an increase; promtool finds nothing; the counters are the gate's. Without a
# daemon the exporter says so and goes on. Clients that send nothing, or ask for
# something else, hold nobody up.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc
#                       portcullis-exporter :9917
#                       prometheus          :9090
# shellcheck disable=SC2317 # check and wait_for call functions
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib

# path, options of curl: the status of the answer, which stands in $work/page
http() {
	at gate curl -s -m 3 -o "$work/page" -D "$work/head" \
		-w '%{http_code}' "${@:2}" "http://127.0.0.1:9917$1"
}

scrape() {
	at gate curl -sf -m 3 http://127.0.0.1:9917/metrics
}

# What Prometheus answers to a query, the first value.
query() {
	at gate curl -sf -G http://127.0.0.1:9090/api/v1/query \
		--data-urlencode "query=$1" |
		jq -r ".data.result[0].value[1] // empty" | grep .
}

becomes() {
	wait_for 10 has_value "$@" || {
		said="$1 is $(query "$1"), not $2"
		false
	}
}

has_value() {
	[ "$(query "$1")" = "$2" ]
}

prometheus() {
	cat >"$work/prometheus.yml" <<-YML
		global: { scrape_interval: 1s, scrape_timeout: 1s }
		scrape_configs:
		  - job_name: portcullis
		    static_configs: [ { targets: [ "127.0.0.1:9917" ] } ]
	YML
	start gate "$work/prometheus.log" prometheus \
		--config.file="$work/prometheus.yml" \
		--storage.tsdb.path="$work/tsdb" --web.listen-address=127.0.0.1:9090
	wait_for 20 query up || give_up "no Prometheus: $(tail -n 3 "$work/prometheus.log")"
}

# Before there is a daemon.
alone() {
	check "the scrape works" becomes up 1
	check "without a daemon: portcullis_up is 0" becomes portcullis_up 0
	check "promtool is content" quietly promtool check metrics < <(scrape)
	check "it is nobody" is "$(stat -c %U "/proc/$exporter")" nobody
	check "it holds no capability" is \
		"$(awk '/^Cap(Prm|Eff):/ { print $2 }' "/proc/$exporter/status" |
			sort -u)" 0000000000000000
}

pages() {
	check "metrics" is "$(http /metrics)" 200
	check "metrics: their type" quietly grep -qi \
		"^content-type: text/plain; version=0.0.4; charset=utf-8" "$work/head"
	check "an index" is "$(http /)" 200
	check "it leads there" quietly grep 'href="/metrics"' "$work/page"
	check "nothing else" is "$(http /etc/passwd)" 404
	check "nothing to write" is "$(http /metrics -d x)" 405
}

series() {
	sed 's/ [^ ]*$//' | grep -v '^#' | sort
}

text() {
	scrape >"$work/first"
	check "promtool is content" quietly promtool check metrics <"$work/first"
	check "and has nothing to say" is "$(cat "$work/quiet")" ''
	check "portcullis metrics prints the same series" quietly diff \
		<(series <"$work/first") <(portcullis metrics | series)
	check "a reason that nobody had yet stands at 0" quietly grep -x \
		'portcullis_packets_total{verdict="drop",reason="inflight_full"} 0' \
		"$work/first"
	check "so does one of a conduit" becomes \
		'portcullis_violations_total{conduit="line",reason="mismatch"}' 0
}

traffic() {
	local refused='sum(portcullis_packets_total{reason="bad_magic"})'

	check "refusals at 0" becomes "$refused" 0
	sleep 2
	client pipeline "$plc" 502 100 4 >/dev/null
	at hmi curl -sS -m 2 "http://$plc:502/" >/dev/null 2>&1
	check "200 reads and their answers" becomes "$messages" 200
	check "the first refusal" becomes "$refused" 1
	check "is an increase" becomes "increase(($refused)[1m:1s]) > bool 0" 1
	check "as many series as at the start" is \
		"$(scrape | grep -vc '^#')" "$(grep -vc '^#' "$work/first")"
}

silent_clients() {
	local i

	for ((i = 0; i < 20; i++)); do
		start gate "$work/silent" \
			bash -c 'exec sleep 20 >/dev/tcp/127.0.0.1/9917'
	done
	wait_for 5 established 20
	check "20 clients that send nothing" is "$(http /metrics)" 200
}

established() {
	[ "$(at gate ss -Htn state established 'dport = :9917' | wc -l)" -ge "$1" ]
}

if ! command -v prometheus promtool >/dev/null; then
	echo "skipped: no prometheus: scripts/deps"
	skipped=1
	finish
fi
messages='portcullis_messages_total{protocol="modbus",class="read"}'
plant wire
usual_policy '' <<<'allow modbus read'
start gate "$work/exporter.log" "$B/portcullis-exporter" --run-dir "$work/run"
exporter=$last
wait_for 5 scrape || give_up "no exporter: $(cat "$work/exporter.log")"
prometheus
alone
gate
modbus_server "$work/server"
check "with a daemon: portcullis_up is 1" becomes portcullis_up 1
pages
text
traffic
silent_clients

kill -9 "$daemon"
wait "$daemon" 2>/dev/null
check "the daemon is killed: portcullis_up is 0" becomes portcullis_up 0
gate
check "with the next one: it is 1" becomes portcullis_up 1
check "and the counters went on" becomes "$messages" 200
kill -9 "$exporter"
wait "$exporter" 2>/dev/null
start gate "$work/exporter.log" "$B/portcullis-exporter" --run-dir "$work/run"
check "the exporter is killed: the next one takes its port" wait_for 5 scrape
finish
