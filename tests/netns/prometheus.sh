#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Debian's Prometheus scrapes the exporter, which runs as nobody: every series
# is there from the start, promtool finds nothing, the counters are the gate's.
# Without the daemon the exporter says so and goes on.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc
#                       portcullis-exporter :9917
#                       prometheus          :9090
# shellcheck disable=SC2317 # check and wait_for call functions
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib

scrape() {
	at gate curl -sf http://127.0.0.1:9917/metrics
}

# What Prometheus answers to a query, the first value.
query() {
	at gate curl -sf -G http://127.0.0.1:9090/api/v1/query \
		--data-urlencode "query=$1" |
		jq -r ".data.result[0].value[1] // empty" | grep .
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

if ! command -v prometheus promtool >/dev/null; then
	echo "skipped: no prometheus: scripts/deps"
	skipped=1
	finish
fi
plant wire
usual_policy '' <<<'allow modbus read'
gate
modbus_server "$work/server"
start gate "$work/exporter.log" "$B/portcullis-exporter" --run-dir "$work/run"
exporter=$last
wait_for 5 scrape || give_up "no exporter: $(cat "$work/exporter.log")"
check "the exporter is nobody" is "$(ps -o user= -p "$exporter")" nobody
check "it holds no capability" is \
	"$(awk '/^Cap(Prm|Eff):/ { print $2 }' "/proc/$exporter/status" |
		sort -u)" 0000000000000000

scrape >"$work/first"
check "promtool is content" quietly promtool check metrics <"$work/first"
check "and has nothing to say" is "$(cat "$work/quiet")" ''
check "a reason that nobody had yet stands at 0" quietly grep -x \
	'portcullis_packets_total{verdict="drop",reason="inflight_full"} 0' \
	"$work/first"
check "portcullis metrics prints the same series" quietly diff \
	<(sed 's/ [^ ]*$//' "$work/first" | grep -v '^#' | sort) \
	<(portcullis metrics | sed 's/ [^ ]*$//' | grep -v '^#' | sort)

prometheus
client pipeline "$plc" 502 100 4 >/dev/null
at hmi curl -sS -m 2 "http://$plc:502/" >/dev/null 2>&1
check "Prometheus: up" wait_for 5 has_value up 1
check "Prometheus: 200 reads and their answers" wait_for 5 has_value \
	'portcullis_messages_total{protocol="modbus",class="read"}' 200
check "Prometheus: a refusal" wait_for 5 has_value \
	'sum(portcullis_packets_total{reason="bad_magic"})' 1
check "as many series at the end as at the start" is \
	"$(scrape | grep -vc '^#')" "$(grep -vc '^#' "$work/first")"

stop "$daemon"
check "without the daemon: portcullis_up is 0" \
	wait_for 5 has_value portcullis_up 0
check "and promtool is content" quietly promtool check metrics < <(scrape)
gate
check "with the next one: it is 1" wait_for 5 has_value portcullis_up 1
check "and the counters went on" wait_for 5 has_value \
	'portcullis_messages_total{protocol="modbus",class="read"}' 200
finish
