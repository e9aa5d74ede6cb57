#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A web server at work through the gate and nothing is refused: nginx with curl
# and openssl, by HTTP/1 in all its forms of a body, by TLS 1.2 and 1.3 resumed,
# renegotiated, with certificates of clients and HTTP/2 inside.
#
#   hmi [eth0]-----[port0] gate [port1]-----[eth0] plc
#   curl, openssl  wire or routed, XDP or tc       nginx
# shellcheck disable=SC2317,SC2086 # check calls functions; no word has blanks
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/netns/lib
. tests/netns/lib
# shellcheck source=tests/netns/servers
. tests/netns/servers

web_work() {
	local c=(curl -sS -m 10) one

	web_server
	served nginx 80
	does "http: get" hello "${c[@]}" http://$plc/
	does "http: 1.0" hello "${c[@]}" -0 http://$plc/
	does "http: head" '200 OK' "${c[@]}" -I http://$plc/big
	does "http: 3 MB" "200 3000000" "${c[@]}" -o /dev/null \
		-w '%{http_code} %{size_download}' http://$plc/big
	does "http: keep-alive" "1000" "${c[@]}" -w '%{num_connects}' \
		-o /dev/null -o /dev/null -o /dev/null -o /dev/null \
		"http://$plc/[1-4]"
	does "http: ranges" 'multipart' "${c[@]}" -i -r 0-9,20-29 http://$plc/big
	does "http: chunked gzip" "200" "${c[@]}" --compressed -o /dev/null \
		-w '%{http_code}' http://$plc/gzip
	does "http: put with 100-continue" "PUT 2000000" "${c[@]}" \
		-T "$work/upload" http://$plc/put
	does "http: chunked put" "PUT" bash -c \
		"curl -sS -m 10 -T - http://$plc/put <$work/upload"
	does "http: post" "POST 9" "${c[@]}" -d a=1\&b=2+3 http://$plc/put
	does "http: form" POST "${c[@]}" -F "f=@$work/web/big" http://$plc/put
	for one in PATCH DELETE OPTIONS PROPFIND; do
		does "http: $one" '[' "${c[@]}" -X $one -w '[%{http_code}' http://$plc/put
	done
	does "http: authorisation" 401 "${c[@]}" -i -u a:b http://$plc/auth
	does "http: moved" hello "${c[@]}" -L http://$plc/moved
	does "http: no content" 204 "${c[@]}" -i http://$plc/none
	does "http: not modified" 304 "${c[@]}" -i http://$plc/ \
		-z "$work/web/index.html"
	does "http: cookies and a long head" 200 "${c[@]}" -i -b "a=$(printf 'x%.0s' {1..3000})" \
		-A "$(printf 'y%.0s' {1..1500})" http://$plc/
	does "http: upgrade offered and not taken" hello "${c[@]}" --http2 http://$plc/
	unrefused http 25
}

tls_work() {
	local c=(curl -sS -m 10 --cacert "$work/cert.pem") one
	local s=(timeout 5 openssl s_client -connect "$plc:443")

	for one in 1.2 1.3; do
		does "tls: $one" hello "${c[@]}" --tlsv$one --tls-max $one https://$plc/
		does "tls: $one: HTTP/2" "2 3000000" "${c[@]}" --tls-max $one --http2 \
			-o /dev/null -w '%{http_version} %{size_download}' https://$plc/big
		does "tls: $one: client certificate" CN=hmi "${c[@]}" --tls-max $one -k \
			--cert "$work/client.pem" --key "$work/client-key.pem" https://$plc/who
		does "tls: $one: upload" PUT "${c[@]}" --tls-max $one \
			-T "$work/upload" https://$plc/put
		does "tls: $one: resumed" Reused bash -c "sleep 0.5 | ${s[*]} \
			-tls${one/./_} -sess_out $work/session >/dev/null 2>&1
			${s[*]} -tls${one/./_} -sess_in $work/session"
		does "tls: $one: keys changed" CONNECTED bash -c "{ sleep 0.3; echo K; \
			sleep 0.3; echo Q; } | ${s[*]} -tls${one/./_}"
	done
	does "tls: renegotiation" CONNECTED bash -c "{ sleep 0.3; echo R; \
		sleep 0.5; } | ${s[*]} -tls1_2"
	does "tls: early data offered" Reused bash -c "sleep 1 | ${s[*]} \
		-sess_out $work/session >/dev/null 2>&1; sleep 0.3 | ${s[*]} \
		-sess_in $work/session -early_data $work/id"
	for one in ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-SHA \
		ECDHE-ECDSA-CHACHA20-POLY1305; do
		does "tls: $one" "Cipher is" "${s[@]}" -tls1_2 -cipher $one
	done
	for one in X25519 P-256 P-384 P-521; do
		does "tls: $one" CONNECTED "${s[@]}" -groups $one -servername plc
	done
	does "tls: not trusted: an alert" 'self-signed' curl -sS -m 5 https://$plc/
	does "tls: no version in common" alert "${s[@]}" -tls1_1 -cipher ALL:@SECLEVEL=0
	does "tls: split into small records" hello bash -c "printf \
		'GET /index.html HTTP/1.0\r\n\r\n' | ${s[*]} -quiet -max_send_frag 512 -split_send_frag 512"
	unrefused tls 0
}

need nginx=nginx-light curl=curl openssl=openssl
for one in ${WAYS:-wire kernel tc}; do
	plant "$one"
	prepare
	certificates
	head -c 2000000 /dev/zero >"$work/upload"
	usual_policy '' <<-RULES
		allow tls
		allow web
	RULES
	cat >>"$work/policy" <<-SERVICES
		service web tcp 80 expect http
	SERVICES
	gate --grace 0
	for part in ${PARTS:-web tls}; do
		${part}_work
	done
	raze
done
finish
