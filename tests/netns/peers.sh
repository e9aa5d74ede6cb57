#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Debian's own clients and servers do their normal work through the gate and
# nothing is refused: libmodbus and mbpoll, net-snmp, BIND and dig, OpenSSH.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc
#   clients        wire or routed, XDP or tc       servers
# shellcheck disable=SC2317,SC2086 # check calls functions; no word has blanks
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib
# shellcheck source=tests/netns/servers
. tests/netns/servers

modbus_work() {
	local m=(mbpoll -0 -1 -q -a 1)

	start plc "$work/modbus.log" "$B/tests/libmodbus_peer" serve 0.0.0.0 502
	served modbus 502
	does "modbus: coils" '[0]:' "${m[@]}" -t 0 -r 0 -c 20 $plc
	does "modbus: discrete inputs" '[0]:' "${m[@]}" -t 1 -r 0 -c 20 $plc
	does "modbus: input registers" '[9]:' "${m[@]}" -t 3 -r 0 -c 10 $plc
	does "modbus: 125 holding registers" '[99]:' "${m[@]}" -t 4 -r 0 -c 100 $plc
	does "modbus: floats" '[0]:' "${m[@]}" -t 4:float -r 0 -c 4 $plc
	does "modbus: a register written" Written "${m[@]}" -t 4 -r 1 $plc 7
	does "modbus: registers written" Written "${m[@]}" -t 4 -r 1 $plc 7 8 9
	does "modbus: a coil written" Written "${m[@]}" -t 0 -r 1 $plc 1
	does "modbus: coils written" Written "${m[@]}" -t 0 -r 1 $plc 1 0 1 1
	does "modbus: an exception" 'Illegal data address' \
		"${m[@]}" -t 4 -r 60000 -c 5 $plc
	does "modbus: another unit" '[0]:' mbpoll -0 -1 -q -a 17 -t 4 -r 0 $plc
	unrefused modbus 20
}

snmp_work() {
	local c v3

	snmp_server
	wait_for 10 at hmi snmpget -v2c -c public -t 1 -r 0 $plc 1.3.6.1.2.1.1.6.0 ||
		give_up "no snmpd: $(tail -n 3 "$work/snmpd.log")"
	for c in "-v1 -c public" "-v2c -c public" \
		"-v3 -u signer -l authNoPriv -a SHA -A password1" \
		"-v3 -u reader -l authPriv -a SHA -A password1 -x AES -X password2"; do
		read -ra v3 <<<"$c"
		does "snmp: get ${c%% *}" plant snmpget "${v3[@]}" $plc \
			1.3.6.1.2.1.1.6.0 1.3.6.1.2.1.1.5.0
		does "snmp: getnext" STRING snmpgetnext "${v3[@]}" $plc 1.3.6.1.2.1.1
		does "snmp: walk" 1.3.6.1.2.1.2.2.1 snmpwalk -On "${v3[@]}" $plc \
			1.3.6.1.2.1
		does "snmp: no such object" o snmpget "${v3[@]}" $plc 1.3.6.1.2.1.1.99.0
	done
	for c in "-v2c -c public" \
		"-v3 -u reader -l authPriv -a SHA -A password1 -x AES -X password2"; do
		read -ra v3 <<<"$c"
		does "snmp: bulk" STRING snmpbulkget -Cn1 -Cr50 "${v3[@]}" $plc \
			1.3.6.1.2.1.1.6 1.3.6.1.2.1.2.2
		does "snmp: bulk walk" 1.3.6.1.2.1.2.2.1 snmpbulkwalk -On -Cr10 \
			"${v3[@]}" $plc 1.3.6.1.2.1
	done
	does "snmp: set" new snmpset -v2c -c private $plc 1.3.6.1.2.1.1.4.0 s new
	does "snmp: set refused by the agent" o \
		snmpset -v1 -c public $plc 1.3.6.1.2.1.1.4.0 s new
	unrefused snmp 200
}

does_dig() {
	does "dns: $1" "$2" dig +time=3 +tries=1 "@$plc" "${@:3}"
}

dns_work() {
	local type

	dns_server
	served named 53
	wait_for 10 dig_signed || give_up "zone not signed: $(grep -i error "$work/named.log")"
	for type in A AAAA NS SOA MX CNAME ANY TXT DNSKEY DS NSEC HTTPS SRV; do
		does_dig "$type" NOERROR $type www.plant.test
		does_dig "$type signed" RRSIG $type plant.test +dnssec +bufsize=4096
		does_dig "$type by TCP" NOERROR $type plant.test +tcp +dnssec
	done
	for type in naptr caa loc text _opc._tcp any; do
		does_dig "all of $type" NOERROR ANY $type.plant.test
	done
	does_dig "no such name" NXDOMAIN nobody.plant.test +dnssec
	does_dig "another's name" REFUSED example.com
	does_dig "truncated, then TCP" ccc big.plant.test TXT
	does_dig "without EDNS" "aa tc" big.plant.test TXT +noedns +ignore
	does_dig "cookie, NSID, padding, subnet" NOERROR www.plant.test +nsid \
		+cookie=0123456789abcdef +subnet=10.0.0.0/8 +padding=128
	does_dig "chaos" bind version.bind TXT CH
	does_dig "many names in one connection" NOERROR +tcp +keepopen \
		host-1.plant.test host-2.plant.test host-3.plant.test
	does_dig "keepalive" NOERROR +tcp +keepalive www.plant.test
	does_dig "transfer" "host-89.plant.test" plant.test AXFR
	does_dig "transfer of changes" SOA plant.test IXFR=1
	does_dig "reverse" REFUSED -x $plc
	does "dns: update" NOERROR bash -c "printf '%s\n' 'server $plc' \
		'update add new.plant.test 60 A 10.0.0.1' send answer | nsupdate -d"
	does "dns: delv" www delv "@$plc" +noroot +nodnssec www.plant.test
	does "dns: host" mail host -a plant.test $plc
	unrefused dns 120
}

dig_signed() {
	at hmi dig +time=1 +tries=1 "@$plc" plant.test +dnssec | grep -q RRSIG
}

ssh_work() {
	local o=(-F none -o BatchMode=yes -o StrictHostKeyChecking=no -i "$work/id"
		-o UserKnownHostsFile="$work/known") one

	rm -f "$work/known" # of another way's server
	ssh_server
	served sshd 22
	does "ssh: a command" hello ssh "${o[@]}" nobody@$plc echo hello
	does "ssh: 8 MB and new keys each megabyte" 8000000 ssh "${o[@]}" \
		-o RekeyLimit=1M nobody@$plc "head -c 8000000 /dev/zero" \| wc -c
	check "$way: ssh: scp with rekeying" quietly at hmi scp "${o[@]}" \
		-o RekeyLimit=512K "$work/upload" nobody@$plc:upload
	check "$way: ssh: scp by its old protocol" quietly at hmi \
		scp -O "${o[@]}" nobody@$plc:upload "$work/back"
	check "$way: ssh: it came back" cmp -s "$work/upload" "$work/back"
	does "ssh: sftp" upload bash -c "echo ls | sftp ${o[*]} nobody@$plc"
	for one in aes128-ctr aes256-gcm@openssh.com chacha20-poly1305@openssh.com; do
		does "ssh: $one" hello ssh "${o[@]}" -c $one nobody@$plc echo hello
	done
	for one in curve25519-sha256 ecdh-sha2-nistp256 \
		diffie-hellman-group14-sha256 diffie-hellman-group-exchange-sha256 \
		sntrup761x25519-sha512@openssh.com; do
		does "ssh: $one" hello ssh "${o[@]}" -o KexAlgorithms=$one nobody@$plc echo hello
	done
	does "ssh: compressed" hello ssh "${o[@]}" -C nobody@$plc echo hello
	does "ssh: no key" denied ssh "${o[@]}" -o PubkeyAuthentication=no \
		nobody@$plc echo hello
	does "ssh: a port forwarded" SSH-2.0-OpenSSH ssh "${o[@]}" -W $plc:22 \
		nobody@$plc
	does "ssh: keyscan" ssh-ed25519 ssh-keyscan -T 5 $plc
	unrefused ssh 20
}

need mbpoll=mbpoll snmpd=snmpd snmpget=snmp named=bind9 dig=bind9-dnsutils \
	sshd=openssh-server ssh=openssh-client
for one in ${WAYS:-wire kernel tc}; do
	plant "$one"
	prepare
	head -c 2000000 /dev/zero >"$work/upload"
	usual_policy '' <<-RULES
		allow modbus
		allow snmp
		allow dns
		allow ssh
	RULES
	cat >>"$work/policy" <<-SERVICES
		service snmp udp 161 expect snmp
		service dns udp 53, tcp 53 expect dns
		service ssh tcp 22 expect ssh
	SERVICES
	gate --grace 0
	for part in ${PARTS:-modbus snmp dns ssh}; do
		${part}_work
	done
	raze
done
finish
