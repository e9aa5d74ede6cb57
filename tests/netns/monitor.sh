#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The monitor port gets exactly the offending packets, byte by byte as they
# came in, none twice: copies where the conduit says mirror, the packets
# themselves where it says divert. Production does not notice when the monitor
# port is down or gone.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc
#                        [port2]
#                           |
#                         [eth0] mon
#
# What answers a write that was not allowed is no offence of its own.
# Without super-frames: their checksums are still to be computed.
# shellcheck disable=SC2317 # check and wait_for call functions
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib

head='(tcp[12] & 0xf0) >> 2'
offends="$payload and (tcp[($head) + 2 : 2] != 0 or tcp[($head) + 7] = 6)"

offend() {
	at hmi timeout 2 mbpoll -0 -1 -q -t 4 -a 1 -o 1 "$plc"
	at hmi timeout 2 mbpoll -0 -1 -q -t 4 -a 1 -o 1 "$plc" 99
	at hmi timeout 2 mbpoll -0 -1 -q -t 4 -a 1 -o 1 "$plc"
	at hmi timeout 2 mbpoll -0 -1 -q -t 4 -a 1 -o 1 "$plc" 98
	at hmi timeout 2 curl -sS -m 1 "http://$plc:502/"
	at hmi timeout 2 ncat -w 1 "$plc" 502 <<<'uname -a'
} </dev/null >"$work/offend" 2>&1

# Frames, but of the segments sent again only the first.
first_of_each() {
	awk '{ key = substr($0, 69, 4) substr($0, 77, 8) } !seen[key]++'
}

# mirror or divert
offences() {
	local mon hmi_out plc_out

	capture mon eth0 "$work/mon.pcap" tcp
	mon=$last
	capture hmi eth0 "$work/hmi.pcap" -Q out "tcp dst port 502"
	hmi_out=$last
	capture plc eth0 "$work/plc.pcap" "tcp port 502"
	plc_out=$last
	offend
	captured "$mon"
	captured "$hmi_out"
	captured "$plc_out"
	frames "$work/hmi.pcap" "$offends" | first_of_each | sort >"$work/wanted"
	frames "$work/mon.pcap" | sort >"$work/got"
	check "$way, $1: four offences and nothing else at the monitor" \
		quietly diff "$work/wanted" "$work/got"
	check "$way, $1: as many as are counted" \
		is "$(wc -l <"$work/got")" "$(metric packets_total "\"$1\"")"
	case $1 in
	mirror)
		check "$way, mirror: all four at the PLC too" \
			is "$(packets "$work/plc.pcap" \
				"dst port 502 and $offends")" 4
		;;
	divert)
		check "$way, divert: not one at the PLC" \
			is "$(packets "$work/plc.pcap" "$offends")" 0
		;;
	esac
	check "$way, $1: the reads are answered" \
		is "$(packets "$work/plc.pcap" "src port 502 and $payload and
			tcp[($head) + 7] = 3")" 2
}

# Production while there are offences too.
goes_on() {
	offend &
	check "$way, $1: production goes on" \
		is "$(client many "$plc" 502 5 100 5 | sed 's/ wrapped.*//')" \
		"connected 5 answers 500 broken 0"
	wait $!
}

# Copies of what was shed, if the monitor's own way is at fault.
without_monitor() {
	at mon ip link set eth0 down
	goes_on "$1, the monitor's plug pulled"
	at gate ip link set port2 down
	goes_on "$1, the monitor port down"
	at gate ip link del port2
	goes_on "$1, the monitor port gone"
	# What is diverted is sent again until its sender gives up.
	[ "$1" = divert ] || check "$way, $1: without loss" \
		is "$(lost hmi) $(lost plc)" "0 0"
}

for one in 'wire mirror' 'wire divert' 'kernel mirror' 'tc-plain mirror'; do
	plant "${one% *}"
	host mon
	cable gate port2 mon eth0
	usual_policy 'monitor-port port2' <<-CONDUIT
		allow modbus read
		on mismatch ${one#* }
	CONDUIT
	gate --grace 0
	modbus_server "$work/server"
	offences "${one#* }"
	without_monitor "${one#* }"
	raze
done
finish
