#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What becomes of tunnels through the ports of a plant. For each: refused (its
# client carried nothing), or passed, for what it says is what the port is for.
# The table is that of portcullis-tunnels(7); `make tunnels` writes it there.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc
#   iodine, ssh    wire                            their servers
# shellcheck disable=SC2317,SC2086 # check calls functions; no word has blanks
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib
# shellcheck source=tests/netns/servers
. tests/netns/servers

# transport, port where the client speaks, port of its server at the PLC
lead() {
	at plc nft -f - <<-NFT
		table ip lead
		delete table ip lead
		table ip lead { chain p { type nat hook prerouting priority -100;
			$1 dport $2 redirect to :$3; }; }
	NFT
}

# Without a gate there are none.
refusals() {
	if [ $way = none ]; then
		echo 0
	else
		metric violations_total
	fi
}

# tunnel, transport, port, its server's port, word that proves it, command
try() {
	local what=$1 transport=$2 port=$3 wanted=$5 before refused verdict
	before=$(refusals)

	lead $transport $port $4
	shift 5
	at hmi timeout 8 "$@" >"$work/out" 2>&1 </dev/null
	sleep 0.2
	refused=$(($(refusals) - before))
	if tr -d '\0' <"$work/out" | grep -qF -e "$wanted"; then
		verdict=passed
	elif [ $refused = 0 ]; then
		verdict='failed by itself'
	else
		verdict=refused
	fi
	printf '%-22s %-4s %-6s %s\n' "$what" $transport $port "$verdict" \
		>>"$work/table"
}

tunnels() {
	local port
	local o=(-F none -o BatchMode=yes -o StrictHostKeyChecking=no -i "$work/id"
		-o UserKnownHostsFile=/dev/null)

	for port; do
		try 'SSH' tcp $port 22 hello ssh "${o[@]}" -p $port nobody@$plc echo hello
		try 'SSH inside TLS' tcp $port 8443 hello ssh "${o[@]}" -o \
			ProxyCommand="openssl s_client -quiet -connect $plc:$port" \
			nobody@plc echo hello
		try 'shell (ncat)' tcp $port 9000 'uid=' bash -c \
			"{ echo id; sleep 1; } | ncat -w 3 $plc $port"
		try 'shell in TLS (ncat)' tcp $port 9001 'uid=' bash -c \
			"{ echo id; sleep 1; } | ncat --ssl -w 3 $plc $port"
	done
	# It goes into the background under another number.
	try 'SSH over httptunnel' tcp 80 8888 SSH-2.0 bash -c \
		"htc -F 2222 $plc:80 & sleep 0.5
		pid=\$(ss -Hltnp 'sport = :2222' | grep -o 'pid=[0-9]*')
		sleep 3 | ncat -w 4 127.0.0.1 2222; kill \${pid#pid=}"
	try 'SSH over dns2tcp' udp 53 5353 SSH-2.0 bash -c \
		"dns2tcpc -z t.test -k key -r ssh -l 2223 -T TXT $plc & sleep 0.5
		sleep 4 | ncat -w 5 127.0.0.1 2223; kill \$!"
	try 'iodine, NULL' udp 53 5354 'Connection setup complete' \
		iodine -f -m 1000 -P secret -r -T NULL -I 1 -d dns0 $plc t.test
	try 'iodine, TXT' udp 53 5354 'Connection setup complete' \
		iodine -f -m 1000 -P secret -r -T TXT -I 1 -d dns0 $plc t.test
}

page=user/portcullis-tunnels.7.scd
fenced() {
	sed -n '/^```/,/^```/{/^```/!p}' $page
}

write() {
	awk -v table="$work/table" '
		/^```/ && !inside++ { print; while ((getline line < table) > 0) print line; next }
		inside == 1 && !/^```/ { next }
		/^```/ { inside = 2 }
		{ print }' $page >"$work/page" && cp "$work/page" $page
}

servers() {
	certificates
	ssh_server
	served sshd 22
	cat >"$work/stunnel.conf" <<-CONF
		foreground = yes
		pid =
		[ssh]
		accept = 8443
		connect = $plc:22
		cert = $work/cert.pem
		key = $work/key.pem
	CONF
	serve "$work/stunnel.log" stunnel4 "$work/stunnel.conf"
	serve "$work/ncat.log" ncat -lk 9000 -e /bin/sh
	serve "$work/ncats.log" ncat --ssl --ssl-cert "$work/cert.pem" \
		--ssl-key "$work/key.pem" -lk 9001 -e /bin/sh
	serve "$work/hts.log" hts -F $plc:22 8888 -w
	cat >"$work/dns2tcpd.conf" <<-CONF
		listen = $plc
		port = 5353
		user = nobody
		chroot = $work/home
		domain = t.test
		key = key
		resources = ssh:$plc:22
	CONF
	start plc "$work/dns2tcpd.log" timeout 200 dns2tcpd -F -f "$work/dns2tcpd.conf"
	# It makes an interface, and so needs root.
	start plc "$work/iodined.log" timeout 200 iodined -f -c -P secret \
		-l $plc -p 5354 -d dns0 10.99.0.1/24 t.test
	served stunnel 8443
	served ncat 9000
}

need sshd=openssh-server ssh=openssh-client ncat=ncat stunnel4=stunnel4 \
	hts=httptunnel htc=httptunnel dns2tcpd=dns2tcp dns2tcpc=dns2tcp \
	iodine=iodine iodined=iodine nft=nftables openssl=openssl
# First without a gate: each works.
plant none
prepare
servers
tunnels 443
check "without a gate each works" is "$(grep -vc ' passed$' "$work/table")" 0
raze

rm "$work/table"
plant wire
prepare
usual_policy '' <<<'allow modbus; allow tls; allow web; allow dns'
cat >>"$work/policy" <<-SERVICES
	service web tcp 80 expect http
	service dns udp 53, tcp 53 expect dns
SERVICES
gate --grace 0
servers
tunnels 443 80 502 53
[ -z "${PORTCULLIS_WRITE-}" ] || write
check "the table is that of portcullis-tunnels(7)" \
	quietly diff <(fenced) "$work/table"
finish
