/* SPDX-License-Identifier: GPL-2.0-only */
#include "capture.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <pcap/pcap.h>

#define NS_PER_S 1000000000ULL

enum {
	ETHERNET_HEADER = 14,
	LENGTH_MAX = 1500, /* below: an 802.3 length, not an EtherType */
};

#define SECONDS_MAX (1LL << 33) /* in the year 2242; beyond is damage */

#define TYPE_ipv4 0x0800
#define TYPE_ipv6 0x86dd
#define TYPE_none 0xffff /* reserved: no judge takes it for anything */

/* What a link has before the packet, and how its type is found there. */
struct link {
	int dlt;
	size_t header;
	unsigned int (*type)(const uint8_t *bytes, size_t len);
};

struct capture {
	pcap_t *pcap;
	FILE *stream; /* owned by pcap */
	char *name;
	const struct link *link;
	uint8_t *frame; /* built for links other than Ethernet */
	size_t room;
	uint64_t number;
	uint64_t time_ns;
	off_t size; /* 0: not known */
};

static unsigned int be16(const uint8_t *bytes)
{
	return (unsigned int)bytes[0] << 8 | bytes[1];
}

static unsigned int type_of_ip(const uint8_t *bytes, size_t len)
{
	if (len && bytes[0] >> 4 == 4)
		return TYPE_ipv4;
	if (len && bytes[0] >> 4 == 6)
		return TYPE_ipv6;
	return TYPE_none;
}

/* The address family in the byte order of the machine that captured. IPv6 has
 * a number of its own on each system: Linux 10, NetBSD and OpenBSD 24, FreeBSD
 * 28, macOS 30. */
static unsigned int type_of_family(const uint8_t *bytes, size_t len)
{
	unsigned int family;

	if (len < 4)
		return TYPE_none;
	family = bytes[0] || bytes[1] ? bytes[0] | (unsigned int)bytes[1] << 8
				      : be16(bytes + 2);
	switch (family) {
	case 2:
	case 10:
	case 24:
	case 28:
	case 30:
		return type_of_ip(bytes + 4, len - 4);
	default:
		return TYPE_none;
	}
}

static unsigned int type_of_cooked(const uint8_t *bytes, size_t len)
{
	return len < 16 ? TYPE_none : be16(bytes + 14);
}

static unsigned int type_of_cooked2(const uint8_t *bytes, size_t len)
{
	return len < 20 ? TYPE_none : be16(bytes);
}

static const struct link links[] = {
	{ DLT_EN10MB, 0, NULL },
	{ DLT_RAW, 0, type_of_ip },
	{ DLT_IPV4, 0, type_of_ip },
	{ DLT_IPV6, 0, type_of_ip },
	{ DLT_NULL, 4, type_of_family },
	{ DLT_LOOP, 4, type_of_family },
	{ DLT_LINUX_SLL, 16, type_of_cooked },
	{ DLT_LINUX_SLL2, 20, type_of_cooked2 },
};

static const struct link *link_find(int dlt)
{
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (links[i].dlt == dlt)
			return &links[i];
	return NULL;
}

static void say_link(struct capture *capture, char *error, size_t error_len)
{
	int dlt = pcap_datalink(capture->pcap);
	const char *name = pcap_datalink_val_to_name(dlt);

	snprintf(
	    error, error_len,
	    "link type %d (%s) cannot be replayed; capture on Ethernet, as Linux cooked or as raw IP",
	    dlt, name ? name : "unnamed");
}

struct capture *capture_open_stream(FILE *stream, const char *name, char *error,
				    size_t error_len)
{
	char why[PCAP_ERRBUF_SIZE] = "";
	struct capture *capture = calloc(1, sizeof(*capture));
	struct stat st;

	if (!capture || !(capture->name = strdup(name))) {
		snprintf(error, error_len, "out of memory");
		goto err_stream;
	}
	capture->pcap = pcap_fopen_offline_with_tstamp_precision(
	    stream, PCAP_TSTAMP_PRECISION_NANO, why);
	if (!capture->pcap) {
		snprintf(error, error_len, "not a pcap or pcapng file: %s",
			 why);
		goto err_stream;
	}
	capture->stream = stream;
	capture->link = link_find(pcap_datalink(capture->pcap));
	if (!capture->link) {
		say_link(capture, error, error_len);
		capture_close(capture);
		return NULL;
	}
	if (fileno(stream) >= 0 && !fstat(fileno(stream), &st) &&
	    S_ISREG(st.st_mode))
		capture->size = st.st_size;
	return capture;

err_stream:
	capture_close(capture);
	if (stream != stdin)
		fclose(stream);
	return NULL;
}

struct capture *capture_open(const char *path, char *error, size_t error_len)
{
	bool is_stdin = !strcmp(path, "-");
	FILE *stream = is_stdin ? stdin : fopen(path, "re");

	if (!stream) {
		snprintf(error, error_len, "%s", strerror(errno));
		return NULL;
	}
	return capture_open_stream(stream, is_stdin ? "standard input" : path,
				   error, error_len);
}

void capture_close(struct capture *capture)
{
	if (!capture)
		return;
	if (capture->pcap)
		pcap_close(capture->pcap);
	free(capture->frame);
	free(capture->name);
	free(capture);
}

static int make_room(struct capture *capture, size_t len)
{
	uint8_t *frame;

	if (len <= capture->room)
		return 0;
	frame = realloc(capture->frame, len);
	if (!frame)
		return -ENOMEM;
	capture->frame = frame;
	capture->room = len;
	return 0;
}

/* Puts an Ethernet header where the link's own header stood. The addresses are
 * made up: locally administered, and none that is reserved. */
static int build_frame(struct capture *capture, const uint8_t *bytes,
		       struct capture_frame *frame)
{
	static const uint8_t addresses[] = {
		2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1
	};
	size_t header = capture->link->header;
	unsigned int type = capture->link->type(bytes, frame->len);
	size_t skipped = frame->len < header ? frame->len : header;

	if (make_room(capture, frame->len - skipped + ETHERNET_HEADER))
		return -ENOMEM;
	frame->len -= skipped;
	frame->wire_len -= frame->wire_len < header ? frame->wire_len : header;
	/* A cooked header says 1 or 4 where the frame had a length. */
	if (type <= LENGTH_MAX)
		type = frame->wire_len <= LENGTH_MAX ? frame->wire_len : 0;
	memcpy(capture->frame, addresses, sizeof(addresses));
	capture->frame[12] = (uint8_t)(type >> 8);
	capture->frame[13] = (uint8_t)type;
	memcpy(capture->frame + ETHERNET_HEADER, bytes + skipped, frame->len);
	frame->len += ETHERNET_HEADER;
	frame->wire_len += ETHERNET_HEADER;
	frame->bytes = capture->frame;
	return 0;
}

/* Clocks are set back and files are merged badly; the engine's time is not. */
static uint64_t time_of(struct capture *capture,
			const struct pcap_pkthdr *header)
{
	uint64_t now = 0;

	/* With nanosecond precision tv_usec holds nanoseconds. */
	if (header->ts.tv_sec > 0 && header->ts.tv_sec < SECONDS_MAX)
		now = (uint64_t)header->ts.tv_sec * NS_PER_S;
	if (header->ts.tv_usec > 0 && (uint64_t)header->ts.tv_usec < NS_PER_S)
		now += (uint64_t)header->ts.tv_usec;
	if (now > capture->time_ns)
		capture->time_ns = now;
	return capture->time_ns;
}

int capture_next(struct capture *capture, struct capture_frame *ret_frame)
{
	struct capture_frame frame = { 0 };
	struct pcap_pkthdr *header;
	const uint8_t *bytes;
	int got = pcap_next_ex(capture->pcap, &header, &bytes);

	if (got == PCAP_ERROR_BREAK)
		return 0;
	if (got != 1)
		return -EIO;
	frame.number = ++capture->number;
	frame.time_ns = time_of(capture, header);
	frame.len = header->caplen;
	frame.wire_len =
	    header->len < header->caplen ? header->caplen : header->len;
	frame.bytes = bytes;
	if (capture->link->type && build_frame(capture, bytes, &frame))
		return -EIO;
	*ret_frame = frame;
	return 1;
}

const char *capture_error(struct capture *capture)
{
	const char *text = pcap_geterr(capture->pcap);

	return text && *text ? text : "out of memory";
}

const char *capture_name(const struct capture *capture)
{
	return capture->name;
}

int capture_progress(const struct capture *capture)
{
	off_t at = capture->size > 0 ? ftello(capture->stream) : -1;

	return at < 0 ? -1 : (int)(at * 100 / capture->size);
}
