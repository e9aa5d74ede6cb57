#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600 s
# One TCP segment with payload in two hundred is lost, both ways: 20 MB over
# TLS, and 200 Modbus connections that poll. Behind the gate the loss costs no
# more than without a gate; before it, what it costs is measured and printed,
# and no connection dies.
#
#   client [eth0]===[port0] gate [port1]===[eth0] server
#
#   loss before the gate: between sender and gate, so of the server's segments
#   at its own end; behind it: of those that have passed, at the client's end.
#
# Times are medians of interleaved rounds and are printed. This is no bench:
# on a machine that is busy only a gross miss fails.
# shellcheck disable=SC2317 # one_round calls what it measures
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib
rounds=${ROUNDS:-2}

# host ingress|egress: that end of the cable loses.
lose() {
	at "$1" tc qdisc add dev eth0 clsact
	quietly at "$1" tc filter add dev eth0 "$2" bpf da \
		obj "$B/tests/netns/lossy.bpf.o" sec tc || give_up "$said"
}

# The server's segments are what matters, and the client's requests; each is
# lost on its own side of the gate.
lossy() {
	case $1 in
	before)
		lose plc egress
		lose hmi egress
		;;
	behind)
		lose hmi ingress
		lose plc ingress
		;;
	esac
}

servers() {
	start plc "$work/tls-server" openssl s_server -accept 443 -WWW -quiet \
		-key "$work/key" -cert "$work/cert"
	modbus_server "$work/server"
	wait_for 5 listens plc 443 || give_up "no TLS server"
}

# Milliseconds for 20 MB.
tls() {
	local begun size

	begun=$(now_ms)
	size=$(at hmi timeout 100 curl -sk "https://$plc/big" | wc -c)
	[ "$size" = 20000000 ] || {
		echo "died after $size bytes"
		return
	}
	echo $(($(now_ms) - begun))
}

# Milliseconds until 200 connections have had 20 answers each, one every 50 ms.
modbus() {
	local out

	out=$(client many "$plc" 502 200 20 50) || {
		echo "$out"
		return
	}
	number ms <<<"$out"
}

median() {
	sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

one_round() {
	local kind where

	for kind in tls modbus; do
		$kind >>"$work/$kind-$1"
	done
}

# Ways, then where: measured in turns, so that a busy minute meets all.
measure() {
	local i where one

	for ((i = 0; i < rounds; i++)); do
		for where in never behind before; do
			for one in none wire kernel tc; do
				plant "$one"
				[ "$one" = none ] || {
					usual_policy '' <<<'allow modbus; allow tls'
					gate --grace 0
				}
				servers
				lossy $where
				one_round "$where-$one"
				raze
			done
		done
	done
}

table() {
	local kind where one file

	echo
	echo "congestion control: $(sysctl -n net.ipv4.tcp_congestion_control)"
	printf "%-8s %-8s %-8s %10s %10s %10s  %s\n" \
		LOSS WHAT WAY MEDIAN_MS MIN MAX 'TIMES NO GATE'
	for where in never behind before; do
		for kind in tls modbus; do
			for one in none wire kernel tc; do
				file=$work/$kind-$where-$one
				printf '%-8s %-8s %-8s %10s %10s %10s  %s\n' \
					$where $kind $one "$(median "$file")" \
					"$(sort -n "$file" | head -n 1)" \
					"$(sort -n "$file" | tail -n 1)" \
					"$(ratio $kind $where $one)"
			done
		done
	done
	echo
}

ratio() {
	awk -v a="$(median "$work/$1-$2-$3")" \
		-v b="$(median "$work/$1-$2-none")" \
		'BEGIN { printf "%.2f", b ? a / b : 0 }'
}

head -c 20000000 /dev/zero >"$work/big"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
	-subj /CN=plc -keyout "$work/key" -out "$work/cert" 2>/dev/null
root=$PWD
cd "$work" || exit 1
measure
cd "$root" || exit 1
table

for where in never behind before; do
	for kind in tls modbus; do
		for one in none wire kernel tc; do
			check "$where, $kind, $one: no connection died" is \
				"$(grep -vc '^[0-9]*$' "$work/$kind-$where-$one")" 0
		done
	done
done
for where in never behind; do
	for kind in tls modbus; do
		for one in wire kernel tc; do
			check "$where, $kind, $one: no gross miss of 1.2 times" \
				at_most "$(ratio $kind $where $one)" 3
		done
	done
done
finish
