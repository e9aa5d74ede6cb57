#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What is not Modbus gets no answer on port 502, and no byte of it reaches the
# server that could complete a message: a capture at the server's side holds
# no payload at all. SSH, HTTP, TLS, a shell, random bytes, serial Modbus
# frames; and Modbus on 443. The event says what each really was; so it does on
# ports that no service names, where the default is to watch.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc
#   ssh curl ncat  wire or routed, XDP or tc       ncat
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib

# A server that would answer anything: what it hears, it says.
echo_server() {
	start plc "$work/echo-$1" socat "TCP-LISTEN:$1,fork,reuseaddr" EXEC:cat
	wait_for 5 listens plc "$1" || give_up "no server on $1"
}

# what, port, reason, what it really was; command
intrude() {
	local what=$1 port=$2 reason=$3 really=$4 before

	shift 4
	before=$(events)
	capture plc eth0 "$work/plc.pcap" "tcp port $port and $payload"
	at hmi timeout 4 "$@" >"$work/out" 2>"$work/err"
	wait_for 2 grown "$before"
	captured "$last"
	check "$way: $what: not a byte at the server, not a byte back" \
		is "$(packets "$work/plc.pcap")" 0
	check "$way: $what: refused for its reason, known for what it is" \
		is "$(said_of_it)" "$reason $really"
}

# The last event, but for the one that says only where it was.
said_of_it() {
	jq -r '[.portcullis.reason, .app_proto] | join(" ")' \
		"$work/events.json" | grep -v ^ics_on_foreign_port | tail -n 1
}

intruders() {
	local port

	for port in 502 443; do
		echo_server $port
	done
	intrude SSH 502 bad_magic ssh ssh -T -p 502 -o BatchMode=yes \
		-o StrictHostKeyChecking=no $plc
	intrude HTTP 502 bad_magic http curl -sS -m 2 http://$plc:502/
	intrude TLS 502 bad_magic tls \
		timeout 2 openssl s_client -connect $plc:502
	intrude 'a shell' 502 bad_magic unknown \
		bash -c "exec bash -i <>/dev/tcp/$plc/502 >&0 2>&0"
	intrude 'random bytes' 502 bad_magic unknown ncat -w 2 -c \
		"head -c 3000 $work/random" $plc 502
	intrude 'Modbus RTU over TCP' 502 bad_function unknown ncat -w 2 -c \
		"cat $work/rtu" $plc 502
	intrude 'Modbus' 443 bad_magic modbus mbpoll -0 -1 -q -o 1 -p 443 $plc
}

# All events of a reason: what each was seen to be.
seen() {
	events_of "$1" | jq -r '.app_proto // ""' | sort | uniq -c |
		awk '{ print $1, $2 }' | paste -sd ' '
}

events_of() {
	jq -c --arg reason "$1" 'select(.portcullis.reason == $reason and
		(.payload // "") != "")' "$work/events.json"
}

# port; standard input is said: it arrives, and comes back.
speak() {
	local before

	before=$(events)
	at hmi timeout 4 ncat -w 1 $plc "$1" >"$work/back"
	wait_for 2 grown "$before"
}

# No service names these ports, and nothing is refused.
watched() {
	local port

	for port in 4444 4445; do
		echo_server $port
	done
	printf '\0\1\0\0\0\6\1\3\0\0\0\12' >"$work/read"
	for port in 4444 4444 4445; do
		speak $port <"$work/read"
		check "$way: watched: Modbus on $port passes" \
			quietly cmp "$work/read" "$work/back"
	done
	speak 4445 <<<'SSH-2.0-x'
	speak 4445 <<<'uname -a; id'
	wait_for 2 is "$(seen no_service)" "3 modbus 1 ssh 1 unknown"
	check "$way: watched: each conversation is known for what it is, once" \
		is "$(seen no_service)" "3 modbus 1 ssh 1 unknown"
	check "$way: watched: an event of its own where Modbus is not at home" \
		is "$(seen ics_on_foreign_port)" "3 modbus"
}

# From a file, for a packet of random bytes is Modbus once in 65536 times.
openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null |
	head -c 3000 >"$work/random"
# Unit 1, function 3, address 0, 10 registers, CRC.
printf '\1\3\0\0\0\12\305\315' >"$work/rtu"

for one in wire kernel tc; do
	plant $one
	usual_policy '' <<<'allow modbus; allow tls'
	gate --every-event
	intruders
	check "$way: only handshakes passed" \
		is "$(metric messages_total)" 0
	check "$way: Modbus on 443 raised an event of its own" \
		is "$(seen ics_on_foreign_port)" "1 modbus"
	raze
	rm "$work/events.json"
	plant $one
	usual_policy 'default monitor' <<<'allow modbus; allow tls'
	gate --every-event
	watched
	raze
	rm "$work/events.json"
done
finish
