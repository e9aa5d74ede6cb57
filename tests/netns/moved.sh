#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Real clients and servers, each moved to the ports of all others, are refused:
# the client hears nothing, and of what it says no message reaches the server.
# Both are moved by address translation, so each believes to be where it belongs.
# A question to the NetBIOS name service is one to DNS as well (type 32, a name of
# 32 letters): it reaches the server; the answer is refused.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc
#   port to P      wire                            P to port
# shellcheck disable=SC2317,SC2086 # check calls functions; no word has blanks
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib
# shellcheck source=tests/netns/servers
. tests/netns/servers

# transport, port where it belongs, port where it goes
move() {
	at hmi nft -f - <<-NFT
		table ip move
		delete table ip move
		table ip move { chain o { type nat hook output priority -100;
			$1 dport $2 dnat to $plc:$3; }; }
	NFT
	at plc nft -f - <<-NFT
		table ip move
		delete table ip move
		table ip move { chain p { type nat hook prerouting priority -100;
			$1 dport $3 redirect to :$2; }; }
	NFT
}

# what it must hear, command: as the client of one protocol
ask() {
	local wanted=$1
	shift
	at hmi timeout 5 "$@" >"$work/out" 2>&1 </dev/null
	tr -d '\0' <"$work/out" | grep -qF -e "$wanted"
}

ask_modbus() {
	ask '[0]:' mbpoll -0 -1 -q -o 1 -t 4 -r 0 -c 5 $plc
}

ask_dns_tcp() {
	ask NOERROR dig +tcp +time=2 +tries=1 "@$plc" www.plant.test
}

ask_dns() {
	ask NOERROR dig +time=1 +tries=1 "@$plc" www.plant.test
}

ask_http() {
	ask hello curl -sS -m 3 http://$plc/
}

ask_tls() {
	ask hello curl -sSk -m 3 https://$plc/
}

ask_ssh() {
	ask hello ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no \
		-i "$work/id" -o UserKnownHostsFile=/dev/null nobody@$plc echo hello
}

ask_smb() {
	ask blocks smbclient -s "$work/client.conf" -U nobody%password -I $plc \
		-p 445 //PLC/share -c ls
}

ask_dcerpc() {
	ask tower rpcclient -s "$work/client.conf" -U nobody%password \
		"ncacn_ip_tcp:${plc}[135]" -c epmmap
}

ask_snmp() {
	ask plant snmpget -v2c -c public -t 1 -r 0 $plc 1.3.6.1.2.1.1.6.0
}

ask_snmp_3() {
	ask plant snmpget -v3 -u reader -l authPriv -a SHA -A password1 \
		-x AES -X password2 -t 1 -r 0 $plc 1.3.6.1.2.1.1.6.0
}

ask_nbns() {
	ask 'PLC<00>' nmblookup -s "$work/client.conf" -U $plc PLC
}

# The real servers, at home.
servers() {
	certificates
	folder client
	start plc "$work/modbus.log" "$B/tests/libmodbus_peer" serve 0.0.0.0 502
	snmp_server
	dns_server
	web_server
	ssh_server
	smb_server
	cat >"$work/client.conf" <<-CONF
		[global]
		workgroup = PLANT
		name resolve order = lmhosts
		lock directory = $work/client
		state directory = $work/client
		cache directory = $work/client
		private dir = $work/client
	CONF
	served modbus 502
	served named 53
	served nginx 443
	served sshd 22
	served smbd 445
	served samba-dcerpcd 135
	wait_for 10 ask_nbns || give_up "no nmbd"
	wait_for 10 ask_snmp || give_up "no snmpd"
	wait_for 10 ask_dns || give_up "no named"
}

# transport, client, its port, foreign ports...
moves() {
	local transport=$1 client=$2 home=$3 port before only=''
	shift 3

	move "$transport" "$home" "$home"
	check "$client at home on $transport $home" "ask_$client"
	[ "$transport" = udp ] || only="and $payload"
	capture plc eth0 "$work/plc.pcap" \
		"$transport and dst host $plc and not dst port $home $only"
	for port; do
		move "$transport" "$home" "$port"
		before=$(metric violations_total)
		check "$client on $transport $port: is not heard" refute "ask_$client"
		said=
		check "$client on $transport $port: counted" at_least \
			"$(metric violations_total)" $((before + 1))
	done
	captured "$last"
	for port; do
		[ "$client $port" != "nbns 53" ] || continue
		check "$client on $transport $port: no message at the server" \
			is "$(packets "$work/plc.pcap" "dst port $port")" 0
	done
}

need mbpoll=mbpoll snmpd=snmpd snmpget=snmp named=bind9 dig=bind9-dnsutils \
	nginx=nginx-light curl=curl openssl=openssl sshd=openssh-server \
	ssh=openssh-client smbd=samba smbclient=smbclient rpcclient=smbclient \
	nmblookup=samba-common-bin nft=nftables
plant wire
prepare
usual_policy '' <<-RULES
	allow modbus; allow tls; allow snmp; allow dns; allow web; allow ssh
	allow smb; allow mapper; allow nbns; allow nbds; allow iso; allow dnp3
	allow enip; allow io; allow safety
RULES
cat >>"$work/policy" <<-SERVICES
	service snmp udp 161 expect snmp
	service dns udp 53, tcp 53 expect dns
	service web tcp 80 expect http
	service ssh tcp 22 expect ssh
	service smb tcp 445, tcp 139 expect smb
	service mapper tcp 135 expect dcerpc
	service nbns udp 137 expect nbns
	service nbds udp 138 expect nbds
	service iso tcp 102 expect s7comm, mms
	service dnp3 tcp 20000, udp 20000 expect dnp3
	service enip tcp 44818, udp 44818 expect enip
	service io udp 2222 expect cipio
	service safety udp 1502 expect tristation
SERVICES
gate --grace 0
servers
moves tcp modbus 502 53 80 443 22 445 139 135 102 20000 44818
moves tcp dns_tcp 53 502 80 443 22 445 139 135 102 20000 44818
moves tcp http 80 502 53 443 22 445 139 135 102 20000 44818
moves tcp tls 443 502 53 80 22 445 139 135 102 20000 44818
moves tcp ssh 22 502 53 80 443 445 139 135 102 20000 44818
moves tcp smb 445 502 53 80 443 22 135 102 20000 44818
moves tcp dcerpc 135 502 53 80 443 22 445 139 102 20000 44818
moves udp dns 53 161 137 138 20000 44818 2222 1502
moves udp snmp 161 53 137 138 20000 44818 2222 1502
moves udp snmp_3 161 53 137 138 20000 44818 2222 1502
moves udp nbns 137 161 53 138 20000 44818 2222 1502
finish
