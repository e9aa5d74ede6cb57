#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Samba at work through the gate and nothing is refused: files by SMB 1, 2 and 3
# on 445 and 139, signed and sealed; names and datagrams of NetBIOS; DCE/RPC in
# named pipes, by the endpoint mapper and on the ports that it names.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc
#   smbclient ...  wire or routed, XDP or tc       smbd, nmbd
# shellcheck disable=SC2317,SC2086 # check calls functions; no word has blanks
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib
# shellcheck source=tests/netns/servers
. tests/netns/servers

client_conf() {
	mkdir "$work/client"
	cat >"$work/client.conf" <<-CONF
		[global]
		client min protocol = NT1
		workgroup = PLANT
		netbios name = HMI
		name resolve order = lmhosts
		lock directory = $work/client
		state directory = $work/client
		cache directory = $work/client
		private dir = $work/client
	CONF
}

# protocol port commands... : smbclient at the share
share() {
	does "$1 on $2: $3" "$4" smbclient -s "$work/client.conf" \
		-U nobody%password -I $plc -p "$2" -m "$1" "${@:6}" //PLC/share -c "$5"
}

files() {
	share "$1" "$2" put 'NOTES' "mkdir d; put $work/upload up; cd d;
		put $work/id NOTES; ls"
	share "$1" "$2" get 'getting file' "get up $work/back; allinfo up"
	check "$way: $1 on $2: it came back" cmp -s "$work/upload" "$work/back"
	share "$1" "$2" 'the rest' 'blocks available' "cd d; rename NOTES x;
		allinfo x; del x; cd ..; rmdir d; recurse; ls; du; volume; del up; ls"
	share "$1" "$2" 'no such file' NOT_FOUND 'get nothing'
	rm -f "$work/back"
}

smb_work() {
	local one port

	for one in NT1 SMB2_02 SMB2_10 SMB3_00 SMB3_11; do
		for port in 445 139; do
			files $one $port
		done
	done
	share SMB3_11 445 signed 'blocks available' ls --client-protection=sign
	share SMB3_11 445 sealed 'blocks available' "put $work/upload up; ls" \
		--client-protection=encrypt
	share SMB3_00 445 'sealed by the older cipher' 'blocks available' \
		"get up $work/back; ls" --client-protection=encrypt
	does "smb: a share only sealed" 'blocks available' smbclient -I $plc \
		-s "$work/client.conf" -U nobody%password //PLC/sealed -c ls
	does "smb: a wrong password" LOGON_FAILURE smbclient -I $plc \
		-s "$work/client.conf" -U nobody%wrong //PLC/share -c ls
	does "smb: no such share" BAD_NETWORK_NAME smbclient -I $plc \
		-s "$work/client.conf" -U nobody%password //PLC/none -c ls
	does "smb: list of shares" sealed smbclient -g -m SMB3 \
		-s "$work/client.conf" -U nobody%password -L //$plc
	does "smb: rights of a file" OWNER smbcacls -s "$work/client.conf" \
		-U nobody%password "//$plc/share" up
	does "smb: smbget" upload bash -c "echo | smbget \
		-f $work/client.conf -U nobody%password -O smb://$plc/share/up |
		cmp - $work/upload && echo upload"
	unrefused smb 200
}

names_work() {
	local n=(nmblookup -s "$work/client.conf")

	does "nbns: a name" 'PLC<00>' "${n[@]}" -U $plc PLC
	does "nbns: no such name" 'failed to find' "${n[@]}" -U $plc NOBODY
	does "nbns: status" 'PLANT           <1e>' "${n[@]}" -A $plc
	unrefused nbns 4 1 # seen once in some ten runs, and not explained yet
}

rpc() {
	does "dcerpc: $1" "$3" rpcclient -s "$work/client.conf" \
		-U "${4-nobody%password}" "$2" -c "$1"
}

rpc_work() {
	local one

	for one in "" "[sign]" "[seal]"; do
		rpc srvinfo "ncacn_np:$plc$one" platform_id
		rpc netshareenumall "ncacn_np:$plc$one" sealed
		rpc enumdomusers "ncacn_np:$plc$one" nobody
		rpc lsaquery "ncacn_np:$plc$one" PLANT
		rpc 'lookupnames nobody' "ncacn_np:$plc$one" S-1-5
		rpc enumdomusers "ncacn_ip_tcp:$plc$one" nobody
		rpc querydominfo "ncacn_ip_tcp:$plc$one" PLC
		rpc 'queryuser nobody' "ncacn_ip_tcp:$plc$one" 'User Name'
	done
	rpc enumdomusers "ncacn_ip_tcp:${plc}[ntlm,seal,bigendian]" nobody
	rpc epmmap "ncacn_ip_tcp:${plc}[135]" tower
	rpc lsaquery "ncacn_ip_tcp:$plc" DENIED
	rpc srvinfo "ncacn_ip_tcp:$plc" o
	unrefused dcerpc 50
}

need smbd=samba nmbd=samba smbclient=smbclient rpcclient=smbclient \
	nmblookup=samba-common-bin
for one in ${WAYS:-wire kernel tc}; do
	plant "$one"
	prepare
	client_conf
	head -c 3000000 /dev/urandom >"$work/upload"
	echo notes >"$work/id"
	usual_policy '' <<-RULES
		allow smb
		allow nbns
		allow nbds
		allow mapper
		allow mapped
	RULES
	# To all speaks nmbd.
	cat >>"$work/policy" <<-SERVICES
		service smb tcp 445, tcp 139 expect smb
		service nbns udp 137 expect nbns
		service nbds udp 138 expect nbds
		service mapper tcp 135 expect dcerpc
		service mapped tcp 49152-49160 expect dcerpc
		zone all { network 10.20.255.255/32, 10.20.3.255/32 }
		conduit told from cell to all { allow nbns; allow nbds }
	SERVICES
	gate --grace 0
	smb_server
	served smbd 445
	served samba-dcerpcd 135
	for part in ${PARTS:-names smb rpc}; do
		${part}_work
	done
	raze
	rm -rf "$work/client"
done
finish
