/* SPDX-License-Identifier: GPL-2.0-only */
/* Each test asks for at least some 16 bits that chance would not give: a magic
 * number, or a length field that agrees with what is there. Nothing is allowed
 * or refused by them.
 */
#include "foreign.h"

#include <ctype.h>
#include <string.h>

#include "protocols.h"

/* What is known of a payload. `cut`: perhaps there was more of it. */
struct sample {
	const uint8_t *b;
	size_t n;
	bool cut;
	bool from_server;
};

enum { CUT_FROM = 180 }; /* evidence of a packet is no shorter */

static uint16_t be16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static uint16_t le16(const uint8_t *p)
{
	return p[1] << 8 | p[0];
}

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)le16(p + 2) << 16 | le16(p);
}

/* The message is `length` bytes long, and that is what is there. */
static bool is_whole(const struct sample *s, size_t length)
{
	return length == s->n || (s->cut && length > s->n);
}

/* In a stream others may follow. */
static bool begins(const struct sample *s, size_t length)
{
	return length <= s->n || s->cut;
}

/* The first message of a stream alone. */
static struct sample first_of(const struct sample *s, size_t length)
{
	struct sample one = *s;

	if (length < one.n)
		one.n = length;
	return one;
}

static bool has(const struct sample *s, size_t at, const char *bytes,
		size_t len)
{
	return at + len <= s->n && !memcmp(s->b + at, bytes, len);
}

#define HAS(s, at, text) has(s, at, text, sizeof(text) - 1)

/* Is the text in the first line? */
static bool line_has(const struct sample *s, const char *text)
{
	const uint8_t *end = memchr(s->b, '\n', s->n);
	size_t line = end ? (size_t)(end - s->b) : s->n;

	return memmem(s->b, line, text, strlen(text)) != NULL;
}

static bool starts_word(const struct sample *s, const char *const *words)
{
	for (; *words; words++) {
		size_t n = strlen(*words);

		if (s->n > n && !strncasecmp((const char *)s->b, *words, n) &&
		    isspace(s->b[n]))
			return true;
	}
	return false;
}

static uint16_t crc16(const uint8_t *p, size_t n, uint16_t crc, uint16_t poly,
		      bool reflected)
{
	while (n--) {
		crc ^= reflected ? *p++ : *p++ << 8;
		for (int i = 0; i < 8; i++) {
			bool out = crc & (reflected ? 1 : 0x8000);

			crc = reflected ? crc >> 1 : crc << 1;
			crc ^= out ? poly : 0;
		}
	}
	return crc;
}

/* X.690 8.1.3: the length behind a tag; *ret_head is how long tag and length
 * are. -1: none. */
static long ber_length(const uint8_t *p, size_t n, size_t *ret_head)
{
	unsigned int bytes, length = 0;

	if (n < 2)
		return -1;
	*ret_head = 2;
	if (p[1] < 0x80)
		return p[1];
	bytes = p[1] & 0x7f;
	if (!bytes || bytes > 4 || n < 2 + bytes)
		return -1;
	for (unsigned int i = 0; i < bytes; i++)
		length = length << 8 | p[2 + i];
	*ret_head += bytes;
	return length > 1 << 24 ? -1 : (long)length;
}

/* ---- plants ------------------------------------------------------------ */

/* IEC 60870-5-104: APDUs one behind the other, each of one of three formats. */
static bool is_iec104(const struct sample *s)
{
	size_t at = 0;

	while (at < s->n) {
		const uint8_t *p = s->b + at;
		bool numbered, supervisory, unnumbered;

		if (p[0] != 0x68 || s->n - at < 6 || p[1] < 4 || p[1] > 253)
			return false;
		numbered = !(p[2] & 1) && !(p[4] & 1) && p[1] >= 10;
		supervisory = p[2] == 1 && !p[3] && !(p[4] & 1) && p[1] == 4;
		unnumbered =
		    (p[2] & 3) == 3 && !p[3] && !p[4] && !p[5] && p[1] == 4;
		if (!numbered && !supervisory && !unnumbered)
			return false;
		at += 2U + p[1];
	}
	return at == s->n || (s->cut && at > 2U + s->b[1]);
}

/* OPC UA 1.05 part 6, 7.1.2: type, chunk, size. */
static bool is_opcua(const struct sample *s)
{
	static const char types[][4] = { "HEL", "ACK", "ERR", "RHE",
					 "OPN", "CLO", "MSG" };
	bool known = false;

	if (s->n < 8)
		return false;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		known |= has(s, 0, types[i], 3);
	return known && strchr("FCA", s->b[3]) && s->b[3] &&
	       begins(s, le32(s->b + 4)) && le32(s->b + 4) >= 8;
}

/* AMS/TCP: a length, then an AMS header with a length of its own. */
static bool is_ads(const struct sample *s)
{
	return s->n >= 38 && le16(s->b) == 0 && le32(s->b + 2) >= 32 &&
	       le32(s->b + 2) - 32 == le32(s->b + 26) && le16(s->b + 22) <= 9 &&
	       !(le16(s->b + 24) & ~0x1ff);
}

/* UDP 48899: magic, then an operation. */
static bool is_ads_discovery(const struct sample *s)
{
	return s->n >= 24 && le32(s->b) == 0x71146603;
}

/* IEEE C37.118.2: sync, type, size, check sum. */
static bool is_c37118(const struct sample *s)
{
	size_t size;

	if (s->n < 16 || s->b[0] != 0xaa || (s->b[1] & 0x80) ||
	    (s->b[1] >> 4) > 5 || (s->b[1] & 15) < 1 || (s->b[1] & 15) > 2)
		return false;
	size = be16(s->b + 2);
	if (size > s->n)
		return s->cut && size <= 1024;
	return size >= 16 && crc16(s->b, size - 2, 0xffff, 0x1021, false) ==
				 be16(s->b + size - 2);
}

/* Omron W342: over TCP a header of its own. */
static bool is_fins_tcp(const struct sample *s)
{
	return HAS(s, 0, "FINS\0") && s->n >= 16;
}

static bool is_fins_udp(const struct sample *s)
{
	return s->n >= 12 && (s->b[0] & 0xbe) == 0x80 && s->b[1] == 0 &&
	       s->b[2] <= 7 && s->b[3] < 128 && s->b[6] < 128 && s->b[10] &&
	       s->b[10] < 0x27 && s->b[11] < 0x32;
}

/* FieldComm TS20085: version, type, id, status, sequence, byte count. */
static bool is_hartip(const struct sample *s)
{
	return s->n >= 8 && (s->b[0] == 1 || s->b[0] == 2) &&
	       (s->b[1] <= 3 || s->b[1] == 15) &&
	       (s->b[2] <= 5 || s->b[2] == 128) && s->b[3] <= 30 &&
	       be16(s->b + 6) >= 8 && be16(s->b + 6) <= 1024 &&
	       begins(s, be16(s->b + 6));
}

/* ASHRAE 135 annex J: type, function, length, then NPDU version 1. */
static bool is_bacnet(const struct sample *s)
{
	return s->n >= 6 && s->b[0] == 0x81 && s->b[1] <= 0x0c &&
	       (s->b[1] < 0x0a || s->b[4] == 1) && is_whole(s, be16(s->b + 2));
}

static bool is_codesys_datagram(const struct sample *s, size_t at)
{
	return s->n >= at + 8 && s->b[at] == 0xc5 && (s->b[at + 1] & 7) == 3 &&
	       !(s->b[at + 2] & 15) &&
	       ((s->b[at + 3] >= 1 && s->b[at + 3] <= 4) ||
		s->b[at + 3] == 0x40);
}

static bool is_codesys_udp(const struct sample *s)
{
	return is_codesys_datagram(s, 0);
}

static bool is_codesys_tcp(const struct sample *s)
{
	return HAS(s, 0, "\0\1\x17\xe8") && is_codesys_datagram(s, 8);
}

/* Connectionless DCE/RPC (C706 12.5) of one of PROFINET's interfaces, whose
 * identifiers differ in one byte. */
static bool is_profinet_cm(const struct sample *s)
{
	static const char big[] =
	    "\x6c\x97\x11\xd1\x82\x71\x00\xa0\x24\x42\xdf\x7d";
	static const char little[] =
	    "\x97\x6c\xd1\x11\x82\x71\x00\xa0\x24\x42\xdf\x7d";

	if (s->n < 80 || s->b[0] != 4 || s->b[1] > 10)
		return false;
	return has(s, 28, s->b[4] & 0x10 ? little : big, 12);
}

/* IEEE 1588: version 2 in the low half, length. */
static bool is_ptp(const struct sample *s)
{
	uint8_t type = s->n ? s->b[0] & 15 : 4;

	return s->n >= 44 && (s->b[1] & 15) == 2 &&
	       (type <= 3 || (type >= 8 && type <= 13)) &&
	       be16(s->b + 2) <= s->n && s->n - be16(s->b + 2) < 16;
}

/* IEC 62056-4-7: version, two wrapper ports, length. */
static bool is_dlms_wrapped(const struct sample *s)
{
	return s->n >= 9 && be16(s->b) == 1 && be16(s->b + 6) >= 1 &&
	       begins(s, 8U + be16(s->b + 6)) && be16(s->b + 6) <= 2048 &&
	       strchr("\x60\x61\x62\x63\xc0\xc1\xc3\xc4\xc5\xc7\xd8\x05\x06"
		      "\x0c\x0d\x0f\xdb",
		      s->b[8]) &&
	       s->b[8];
}

/* HDLC, IEC 62056-46: flags around, frame format 3, length. */
static bool is_dlms_hdlc(const struct sample *s)
{
	size_t length;
	uint16_t sum;

	if (s->n < 9 || s->b[0] != 0x7e || (s->b[1] & 0xf0) != 0xa0)
		return false;
	length = be16(s->b + 1) & 0x7ff;
	if (length < 7 || length + 2 > s->n || s->b[length + 1] != 0x7e)
		return false;
	sum = ~crc16(s->b + 1, length - 2, 0xffff, 0x8408, true);
	return sum == le16(s->b + length - 1);
}

static bool is_dlms(const struct sample *s)
{
	return is_dlms_wrapped(s) || is_dlms_hdlc(s);
}

/* ROC Plus: addresses, opcode, data length, data, check sum. */
static bool is_rocplus(const struct sample *s)
{
	size_t size;

	if (s->n < 8)
		return false;
	size = 8U + s->b[5];
	return size <= s->n && crc16(s->b, size - 2, 0xffff, 0xa001, true) ==
				   le16(s->b + size - 2);
}

/* Tridium: a line that begins with its name. */
static bool is_fox(const struct sample *s)
{
	return HAS(s, 0, "fox a ");
}

/* MELSEC 3E and 4E: subheader, access route, length. */
static bool is_slmp(const struct sample *s)
{
	return s->n >= 11 &&
	       ((be16(s->b) == 0x5000 && is_whole(s, 9U + le16(s->b + 7))) ||
		(be16(s->b) == 0xd000 && is_whole(s, 9U + le16(s->b + 7))));
}

/* KNXnet/IP: header length, version, service, total length. */
static bool is_knxnetip(const struct sample *s)
{
	return s->n >= 6 && be16(s->b) == 0x0610 && is_whole(s, be16(s->b + 4));
}

/* MQTT 3.1.1 3.1, 3.2: CONNECT and CONNACK. */
static bool is_mqtt(const struct sample *s)
{
	size_t at = 1;

	if (s->n < 4)
		return false;
	if (s->b[0] == 0x20)
		return s->b[1] >= 2 && s->b[1] < 128 && s->b[2] <= 1 &&
		       is_whole(s, 2U + s->b[1]);
	while (at < 5 && at < s->n && s->b[at] & 0x80)
		at++;
	at++;
	return s->b[0] == 0x10 &&
	       (HAS(s, at, "\0\4MQTT") || HAS(s, at, "\0\6MQIsdp"));
}

/* ---- offices ------------------------------------------------------------- */

/* RFC 3261 7: request or status line. */
static bool is_sip(const struct sample *s)
{
	return HAS(s, 0, "SIP/2.0 ") || line_has(s, " SIP/2.0\r");
}

static bool is_rtsp(const struct sample *s)
{
	return HAS(s, 0, "RTSP/1.0 ") || line_has(s, " RTSP/1.0\r");
}

/* RFC 4511 4.1.1: a message id, then an operation. */
static bool is_ldap(const struct sample *s)
{
	size_t head, id_head;
	long length = ber_length(s->b, s->n, &head), id;

	if (s->n < 7 || s->b[0] != 0x30 || length < 5 ||
	    !begins(s, head + length) || s->n < head + 4 || s->b[head] != 2)
		return false;
	id = ber_length(s->b + head, s->n - head, &id_head);
	if (id < 1 || id > 4 || head + id_head + id >= s->n)
		return false;
	head += id_head + id;
	return (s->b[head] >= 0x60 && s->b[head] <= 0x79) ||
	       s->b[head] == 0x42 || s->b[head] == 0x4a || s->b[head] == 0x50;
}

/* RFC 4120 5.10: an application tag, a sequence, and version 5 first. */
static bool is_kerberos_at(const struct sample *s, size_t at)
{
	struct sample rest = { s->b + at, s->n - at, s->cut, s->from_server };
	size_t head, inner;
	long length;

	if (s->n < at + 12)
		return false;
	length = ber_length(rest.b, rest.n, &head);
	if (rest.b[0] < 0x6a || rest.b[0] > 0x7e || length < 8 ||
	    !begins(&rest, head + length) || head + 8 > rest.n ||
	    rest.b[head] != 0x30 ||
	    ber_length(rest.b + head, rest.n - head, &inner) < 0)
		return false;
	head += inner;
	return HAS(&rest, head, "\xa0\3\2\1\5") ||
	       HAS(&rest, head, "\xa1\3\2\1\5");
}

static bool is_kerberos_tcp(const struct sample *s)
{
	return s->n >= 16 && begins(s, 4 + (size_t)be32(s->b)) &&
	       is_kerberos_at(s, 4);
}

static bool is_kerberos_udp(const struct sample *s)
{
	return is_kerberos_at(s, 0);
}

/* MS-RDPBCGR 2.2.1.1: a connect request with a cookie or a negotiation. */
static bool is_rdp(const struct sample *s)
{
	struct sample one;

	if (s->n < 11 || be16(s->b) != 0x0300 || !begins(s, be16(s->b + 2)))
		return false;
	one = first_of(s, be16(s->b + 2));
	if (one.n < 11 || one.b[4] != one.n - 5)
		return false;
	if (one.b[5] == 0xe0)
		return HAS(&one, 11, "Cookie: ") ||
		       (one.n >= 19 && HAS(&one, one.n - 8, "\1") &&
			HAS(&one, one.n - 6, "\x08\0"));
	return one.b[5] == 0xd0 && one.n == 19 &&
	       (one.b[11] == 2 || one.b[11] == 3) && HAS(&one, 13, "\x08\0");
}

/* What RFC 4253 5.1 leaves behind. */
static bool is_ssh_1(const struct sample *s)
{
	return HAS(s, 0, "SSH-1.");
}

static bool is_vnc(const struct sample *s)
{
	return s->n >= 12 && HAS(s, 0, "RFB 00") && s->b[11] == '\n';
}

static bool greets(const struct sample *s)
{
	return s->from_server && (HAS(s, 0, "220 ") || HAS(s, 0, "220-"));
}

/* RFC 5321 4.1, 4.2; RFC 959 4.1: both greet with 220. */
static bool is_smtp(const struct sample *s)
{
	static const char *const words[] = { "EHLO", "HELO", NULL };

	if (s->from_server)
		return greets(s) &&
		       (line_has(s, "SMTP") || line_has(s, "mail") ||
			line_has(s, "Mail"));
	return starts_word(s, words);
}

static bool is_ftp(const struct sample *s)
{
	static const char *const words[] = { "USER", "PASS", "SYST", "FEAT",
					     "PASV", "RETR", "STOR", NULL };

	return greets(s) || (!s->from_server && starts_word(s, words)) ||
	       HAS(s, 0, "AUTH TLS\r\n");
}

static bool is_imap(const struct sample *s)
{
	return s->from_server && HAS(s, 0, "* OK");
}

static bool is_pop3(const struct sample *s)
{
	return s->from_server && HAS(s, 0, "+OK");
}

/* MySQL: a packet of number 0, protocol version 10 and the server's; or the
 * client's answer, number 1. */
static bool is_mysql(const struct sample *s)
{
	size_t length;

	if (s->n < 37)
		return false;
	length = le32(s->b) & 0xffffff;
	if (!begins(s, 4 + length))
		return false;
	if (s->from_server)
		return s->b[3] == 0 && s->b[4] == 10 && isdigit(s->b[5]);
	return s->b[3] == 1 && s->b[4] & 0x05 && !be32(s->b + 24);
}

/* PostgreSQL 55.2: version 3.0 or a request for encryption. */
static bool is_postgresql(const struct sample *s)
{
	if (s->n < 8)
		return false;
	if (be32(s->b) == 8)
		return be32(s->b + 4) >> 2 == 80877103 >> 2 ||
		       be32(s->b + 4) == 80877104;
	return be32(s->b + 4) == 196608 && begins(s, be32(s->b));
}

/* MS-TDS 2.2.3.1: type, status, length, channel, packet, window 0. */
static bool is_tds(const struct sample *s)
{
	return s->n >= 8 && s->b[0] &&
	       strchr("\1\2\3\4\6\7\x0e\x10\x11\x12", s->b[0]) &&
	       s->b[1] <= 1 && s->b[7] == 0 && be16(s->b + 2) > 8 &&
	       be16(s->b + 2) <= 4096 && begins(s, be16(s->b + 2));
}

/* OpenVPN: a hard reset, perhaps with a keyed digest within, ends with its
 * acknowledgements and packet number 0: a client has none, a server one, of
 * packet 0 of the other session. */
static bool is_openvpn_at(const struct sample *s, size_t at)
{
	if (s->n < at + 14 || s->n > at + 120)
		return false;
	if (s->b[at] == 0x38 || s->b[at] == 0x50)
		return HAS(s, s->n - 5, "\0\0\0\0\0");
	return s->b[at] == 0x40 && s->n >= at + 26 &&
	       HAS(s, s->n - 17, "\1\0\0\0\0") && HAS(s, s->n - 4, "\0\0\0\0");
}

static bool is_openvpn_tcp(const struct sample *s)
{
	struct sample one;

	if (s->n < 16 || !begins(s, 2U + be16(s->b)))
		return false;
	one = first_of(s, 2U + be16(s->b));
	return is_openvpn_at(&one, 2);
}

static bool is_openvpn_udp(const struct sample *s)
{
	return is_openvpn_at(s, 0);
}

/* RFC 2131 2, 3: the magic cookie behind the fixed part. */
static bool is_dhcp(const struct sample *s)
{
	if (s->n < 28 || s->b[0] < 1 || s->b[0] > 2 || s->b[1] != 1 ||
	    s->b[2] != 6)
		return false;
	return s->n < 240 ? s->cut : be32(s->b + 236) == 0x63825363;
}

/* RFC 7296 3.1, RFC 2408 3.1; RFC 3948 2.2 puts four zeros in front. */
static bool is_ike(const struct sample *s)
{
	struct sample rest = *s;

	if (s->n >= 32 && !be32(s->b)) {
		rest.b += 4;
		rest.n -= 4;
	}
	return rest.n >= 28 && (rest.b[17] == 0x10 || rest.b[17] == 0x20) &&
	       be32(rest.b + 24) < 1 << 16 &&
	       is_whole(&rest, be32(rest.b + 24));
}

/* RFC 5905 7.3: 48 bytes, or those and a digest or extensions. */
static bool is_ntp(const struct sample *s)
{
	uint8_t version, mode;

	if (s->n < 48 || s->n % 4)
		return false;
	version = s->b[0] >> 3 & 7;
	mode = s->b[0] & 7;
	return version >= 1 && version <= 4 && mode >= 1 && mode <= 5 &&
	       s->b[1] <= 16 && s->b[2] <= 17 &&
	       (s->b[3] == 0 || s->b[3] >= 0xe0) && be32(s->b + 4) < 1 << 24;
}

/* RFC 9000 17.2: a long header of a known version, or of one that makes the
 * server negotiate (15). */
static bool is_quic(const struct sample *s)
{
	uint32_t version = s->n >= 7 ? be32(s->b + 1) : 0;

	if (s->n < 7 || !(s->b[0] & 0x80))
		return false;
	if ((version & 0x0f0f0f0f) == 0x0a0a0a0a || version >> 12 == 0xfaceb)
		return s->b[0] & 0x40 && s->b[5] <= 20 && s->cut;
	return version == 1 || version == 0x6b3343cf ||
	       version >> 8 == 0xff0000 || version >> 8 == 0x513034 ||
	       version >> 8 == 0x513035 || version >> 8 == 0x543035;
}

/* RFC 2865 3, 5: a length, then attributes that fill it. */
static bool is_radius(const struct sample *s)
{
	size_t at = 20, n = 0, length;

	if (s->n < 20 || !s->b[0] || s->b[0] > 45)
		return false;
	length = be16(s->b + 2);
	while (at + 2 <= s->n && s->b[at + 1] >= 2 && s->b[at] <= 103) {
		at += s->b[at + 1];
		n++;
	}
	if (length == s->n)
		return at == s->n;
	return s->cut && length > s->n && length <= 1024 && n > 2 &&
	       at + 2 > s->n && s->b[0] <= 11;
}

/* RFC 3164 4.1.1, RFC 5424 6: a priority between brackets. */
static bool is_syslog(const struct sample *s)
{
	size_t at = 1;

	if (s->n < 8 || s->b[0] != '<')
		return false;
	while (at < 4 && isdigit(s->b[at]))
		at++;
	return at > 1 && s->b[at] == '>' && isprint(s->b[at + 1]);
}

/* RFC 1350 5: a name and a mode, both ended by zero. */
static bool is_tftp(const struct sample *s)
{
	const uint8_t *end;

	if (s->n < 9 || s->b[0] || (s->b[1] != 1 && s->b[1] != 2))
		return false;
	end = memchr(s->b + 2, 0, s->n - 2);
	if (!end || end == s->b + 2)
		return false;
	end++;
	return !strncasecmp((const char *)end, "octet", s->n - (end - s->b)) ||
	       !strncasecmp((const char *)end, "netascii", s->n - (end - s->b));
}

/* WireGuard 5.4: type, three zeros, fixed lengths. */
static bool is_wireguard(const struct sample *s)
{
	if (s->n < 32)
		return false;
	switch (le32(s->b)) {
	case 1:
		return s->n == 148;
	case 2:
		return s->n == 92;
	case 3:
		return s->n == 64;
	case 4:
		return s->n % 16 == 0;
	}
	return false;
}

/* RFC 8489 5: the magic cookie and a length in words. */
static bool is_stun(const struct sample *s)
{
	return s->n >= 20 && be32(s->b + 4) == 0x2112a442 &&
	       is_whole(s, 20U + be16(s->b + 2));
}

/* ---- the table ----------------------------------------------------------- */

enum { TCP = TRANSPORT_tcp, UDP = TRANSPORT_udp, BOTH = 0 };

/* Of two that take the same bytes the one that stands first. */
static const struct foreign {
	const char *name;
	unsigned int l4;
	bool (*is)(const struct sample *s);
} foreign[] = {
	{ "opcua", TCP, is_opcua },
	{ "iec104", TCP, is_iec104 },
	{ "ads", TCP, is_ads },
	{ "ads", UDP, is_ads_discovery },
	{ "c37118", BOTH, is_c37118 },
	{ "fins", TCP, is_fins_tcp },
	{ "codesys", TCP, is_codesys_tcp },
	{ "codesys", UDP, is_codesys_udp },
	{ "profinet-cm", UDP, is_profinet_cm },
	{ "bacnet", UDP, is_bacnet },
	{ "knxnetip", BOTH, is_knxnetip },
	{ "fox", TCP, is_fox },
	{ "slmp", BOTH, is_slmp },
	{ "dlms", BOTH, is_dlms },
	{ "mqtt", TCP, is_mqtt },
	{ "sip", BOTH, is_sip },
	{ "rtsp", TCP, is_rtsp },
	{ "rdp", TCP, is_rdp },
	{ "kerberos", TCP, is_kerberos_tcp },
	{ "kerberos", UDP, is_kerberos_udp },
	{ "ldap", BOTH, is_ldap },
	{ "ssh", TCP, is_ssh_1 },
	{ "vnc", TCP, is_vnc },
	{ "smtp", TCP, is_smtp },
	{ "ftp", TCP, is_ftp },
	{ "imap", TCP, is_imap },
	{ "pop3", TCP, is_pop3 },
	{ "mysql", TCP, is_mysql },
	{ "postgresql", TCP, is_postgresql },
	{ "tds", TCP, is_tds },
	{ "wireguard", UDP, is_wireguard },
	{ "stun", UDP, is_stun },
	{ "quic", UDP, is_quic },
	{ "ike", UDP, is_ike },
	{ "dhcp", UDP, is_dhcp },
	{ "tftp", UDP, is_tftp },
	{ "syslog", BOTH, is_syslog },
	{ "radius", UDP, is_radius },
	{ "openvpn", TCP, is_openvpn_tcp },
	{ "openvpn", UDP, is_openvpn_udp },
	{ "ptp", UDP, is_ptp },
	{ "rocplus", BOTH, is_rocplus },
	{ "hartip", BOTH, is_hartip },
	{ "ntp", UDP, is_ntp },
	{ "fins", UDP, is_fins_udp },
};
enum { FOREIGN = sizeof(foreign) / sizeof(foreign[0]) };

unsigned int foreign_identify(const uint8_t *bytes, size_t len, unsigned int l4,
			      bool from_server)
{
	struct sample s = { bytes, len, len >= CUT_FROM, from_server };

	for (size_t i = 0; len && i < FOREIGN; i++)
		if ((foreign[i].l4 == BOTH || foreign[i].l4 == l4) &&
		    foreign[i].is(&s))
			return FOREIGN_first + i;
	return PROTO_unknown;
}

const char *foreign_name(unsigned int id)
{
	return id >= FOREIGN_first && id - FOREIGN_first < FOREIGN
		   ? foreign[id - FOREIGN_first].name
		   : NULL;
}
