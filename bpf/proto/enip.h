/* SPDX-License-Identifier: GPL-2.0-only */
/* EtherNet/IP: a 24-byte encapsulation header, then the items of a command,
 * in two of them a CIP message. All little endian.
 *
 * V2: The CIP Networks Library, volume 2, EtherNet/IP adaptation of CIP.
 * V1: volume 1, Common Industrial Protocol. LX: Rockwell 1756-PM020, Logix 5000
 * data access.
 *
 * Every command is judged to its end: items and their lengths, the CIP service
 * with the class that its path names, each segment of the path, what an
 * Unconnected Send and a Multiple Service Packet carry. Data of a service is
 * opaque. A CIP request does not tell its own length, so the requests of a
 * Multiple Service Packet are found by its table of offsets, and the table
 * must be remembered. The lengths of up to 255 requests are, if they are below
 * 128 and take no more than 16 bytes (equal neighbours take two). A packet of
 * more says `multiple-service-packet`, of class program, since it may hold
 * anything. For an answer there are 6 bytes; what it carries is opaque where
 * they do not suffice.
 *
 * Refused: IndicateStatus and Cancel (V2 2-4, never defined), StartDTLS,
 * messages over a connection that are not CIP services (PCCC through a DH+
 * bridge), a Multiple Service Packet or Unconnected Send inside another.
 */
#ifndef PORTCULLIS_PROTO_ENIP_H
#define PORTCULLIS_PROTO_ENIP_H

#include <stdbool.h>
#include <stddef.h>

#include "window.h"

/* Up to 99 the number is the code of a common service (V1 appendix A), which
 * means the same for every class; from 100 on stand the commands of the
 * encapsulation (V2 2-4), from 120 services that a class defines. The two
 * send commands say the service that they carry. object-specific is a service
 * of a class that is not known here.
 */
#define enip_FUNCTIONS(F)                                                      \
	F(1, "get-attributes-all", read)                                       \
	F(2, "set-attributes-all", write)                                      \
	F(3, "get-attribute-list", read)                                       \
	F(4, "set-attribute-list", write)                                      \
	F(5, "reset", operate)                                                 \
	F(6, "start", operate)                                                 \
	F(7, "stop", operate)                                                  \
	F(8, "create", program)                                                \
	F(9, "delete", program)                                                \
	F(10, "multiple-service-packet", program)                              \
	F(13, "apply-attributes", admin)                                       \
	F(14, "get-attribute-single", read)                                    \
	F(16, "set-attribute-single", write)                                   \
	F(17, "find-next-object-instance", read)                               \
	F(21, "restore", admin)                                                \
	F(22, "save", admin)                                                   \
	F(23, "no-operation", other)                                           \
	F(24, "get-member", read)                                              \
	F(25, "set-member", write)                                             \
	F(26, "insert-member", admin)                                          \
	F(27, "remove-member", admin)                                          \
	F(28, "group-sync", other)                                             \
	F(50, "vendor-specific", program)                                      \
	F(75, "object-specific", program)                                      \
	F(100, "nop", other)                                                   \
	F(101, "list-targets", read)                                           \
	F(104, "list-services", read)                                          \
	F(105, "list-identity", read)                                          \
	F(106, "list-interfaces", read)                                        \
	F(107, "register-session", other)                                      \
	F(108, "unregister-session", other)                                    \
	F(120, "forward-open", other)                                          \
	F(121, "large-forward-open", other)                                    \
	F(122, "forward-close", other)                                         \
	F(123, "get-connection-data", read)                                    \
	F(124, "search-connection-data", read)                                 \
	F(125, "get-connection-owner", read)                                   \
	F(130, "read-tag", read)                                               \
	F(131, "write-tag", write)                                             \
	F(132, "read-modify-write-tag", write)                                 \
	F(133, "read-tag-fragmented", read)                                    \
	F(134, "write-tag-fragmented", write)                                  \
	F(135, "get-instance-attribute-list", read)                            \
	F(140, "initiate-upload", read)                                        \
	F(141, "initiate-download", program)                                   \
	F(142, "initiate-partial-read", read)                                  \
	F(143, "initiate-partial-write", program)                              \
	F(144, "upload-transfer", read)                                        \
	F(145, "download-transfer", program)                                   \
	F(146, "clear-file", program)                                          \
	F(150, "pccc-read", read)                                              \
	F(151, "pccc-write", write)                                            \
	F(152, "pccc-set-mode", operate)                                       \
	F(153, "pccc-diagnostic", read)                                        \
	F(154, "execute-pccc", program)                                        \
	F(160, "modbus-read", read)                                            \
	F(161, "modbus-write", write)                                          \
	F(162, "modbus-passthrough", program)                                  \
	F(165, "connection-control", operate)                                  \
	F(166, "connection-configuration", admin)                              \
	F(167, "connection-status", read)                                      \
	F(170, "firmware-update", program)

enum {
	/* functions */
	ENIP_multiple = 10,
	ENIP_vendor = 50,
	ENIP_object = 75,
	ENIP_nop = 100,
	ENIP_list_targets,
	ENIP_list_services = 104,
	ENIP_list_identity,
	ENIP_list_interfaces,
	ENIP_register,
	ENIP_unregister,
	ENIP_rr, /* the two that say what they carry */
	ENIP_unit,
	ENIP_forward_open = 120,
	ENIP_large_forward_open,
	ENIP_forward_close,
	ENIP_tag = 130,
	ENIP_file = 140,
	ENIP_pccc_read = 150,
	ENIP_pccc_write,
	ENIP_pccc_mode,
	ENIP_pccc_diagnostic,
	ENIP_pccc,
	ENIP_modbus_read = 160,
	ENIP_modbus_write,
	ENIP_modbus_passthrough,
	ENIP_connection_control = 165,
	ENIP_connection_configuration,
	ENIP_connection_status,
	ENIP_firmware = 170,

	/* classes, V1 chapter 5, LX; the last two are none */
	ENIP_class_manager = 0x06,
	ENIP_class_file = 0x37,
	ENIP_class_modbus = 0x44,
	ENIP_class_pccc = 0x67,
	ENIP_class_symbol = 0x6b,
	ENIP_class_template = 0x6c,
	ENIP_class_storage = 0xa1,
	ENIP_class_group = 0xb2,
	ENIP_class_configuration = 0xf3,
	ENIP_class_tag = CIP_tag, /* the path begins with a name */
	ENIP_class_none = 0x20000,

	ENIP_header = 24,
	ENIP_longest = 65511, /* V2 2-3.3 */
	ENIP_send = 0x52,     /* Unconnected Send */
	ENIP_asked = 4,
	ENIP_forgotten = 16,
	ENIP_own_lengths = 6,
	ENIP_lengths = 16,
	ENIP_turns = 6,
};

/* What comes next. */
enum enip_phase {
	ENIP_between = 0,
	ENIP_message,	 /* a CIP message */
	ENIP_path,	 /* segments of a path */
	ENIP_services,	 /* count of a Multiple Service Packet */
	ENIP_offsets,	 /* its table */
	ENIP_unfollowed, /* the rest of it */
	ENIP_wrapped,	 /* head of an Unconnected Send's data */
	ENIP_route,	 /* its route path */
	ENIP_open,	 /* data of the forward services */
	ENIP_large_open,
	ENIP_close,
	ENIP_listed, /* of a list answer */
	ENIP_extra,  /* socket address items behind the message */
	ENIP_data,   /* behind a path: opaque */
};

enum {
	ENIP_in_send = 1U << 0,
	ENIP_in_multiple = 1U << 1,
	ENIP_at = 1U << 2, /* above: place among the lengths */
};

struct enip_own {
	__u8 phase;
	__u8 items; /* to come behind the message, or of a list */
	union {
		struct {
			__u8 then;  /* phase behind the path */
			__u8 words; /* of the path to come */
		};
		__u16 table; /* entries to come */
	};
	__u8 flags;
	__u8 service;  /* that the answer will name */
	__u8 function; /* that the answer will say */
	__u8 nested;   /* messages to come whose lengths are remembered */
	__u16 part;    /* bytes to come of the message, or of the list */
	__u16 rest;    /* of the Multiple Service Packet behind that */
	__u16 tail;    /* of the Unconnected Send behind that */
	__u16 key;     /* of the request */
	__u16 first;   /* offset in a table, rest being the last one read */
	__u8 lengths[ENIP_own_lengths];
} __attribute__((may_alias));
_Static_assert(sizeof(struct enip_own) == OWN_BYTES, "enip: own");

/* Requests without an answer. As in modbus.h the oldest of a full table is
 * given up, and one answer more is accepted without knowing to what. An entry
 * is key << 16 | inside an Unconnected Send << 15 | service << 8 | function.
 */
struct enip_shared {
	__u8 lengths[ENIP_lengths - ENIP_own_lengths];
	__u8 next; /* to be given up */
	__u8 forgotten;
	__u32 asked[ENIP_asked];
	__u32 session; /* 0: not known */
} __attribute__((may_alias));
_Static_assert(sizeof(struct enip_shared) == SHARED_BYTES, "enip: shared");

/* The lengths of the messages in a Multiple Service Packet: those of `own`, and
 * behind them, for the client alone, those of `shared`. A byte is a length
 * below 128, or how often the one before it comes again, + 128.
 */
enum { ENIP_at_lengths = offsetof(struct enip_own, lengths) };
_Static_assert(ENIP_at_lengths + ENIP_own_lengths == OWN_BYTES &&
		   offsetof(struct state, shared) == OWN_BYTES &&
		   offsetof(struct enip_shared, lengths) == 0,
	       "enip: the two parts are one");

static __always_inline __u8 enip_class(__u32 number)
{
	switch (number) {
#define F(code, name, class)                                                   \
	case code:                                                             \
		return CLASS_##class;
		enip_FUNCTIONS(F)
#undef F
	}
	return CLASS_none;
}

static __always_inline void enip_say(struct step *s, __u32 number)
{
	says(s, number, enip_class(number));
}

/* Which of the bits of the 32 at `off` are there? */
static __always_inline __u32 enip_there(const struct step *s, __u32 off)
{
	if (s->have >= off + 4)
		return ~0U;
	return s->have > off ? (1U << 8 * (s->have - off)) - 1 : 0;
}

/* Can these 16 bits, perhaps not all there, be this number? */
static __always_inline bool enip_is(const struct step *s, __u32 off, __u32 is)
{
	return !((le16_at(s, off) ^ is) & enip_there(s, off) & 0xffff);
}

static __always_inline bool enip_is_long(const struct step *s, __u32 off,
					 __u32 is)
{
	return !((le32_at(s, off) ^ is) & enip_there(s, off));
}

/* ---- outstanding requests -------------------------------------------- */

static __always_inline __u32 enip_entry(const struct enip_own *own)
{
	return (__u32)own->key << 16 |
	       (own->flags & ENIP_in_send ? 1U << 15 : 0) |
	       (__u32)own->service << 8 | own->function;
}

static __always_inline void enip_ask(struct step *s, const struct enip_own *own,
				     struct enip_shared *shared)
{
	__u32 place, entry = enip_entry(own);

	/* Many may answer a datagram: its entry stays, and is not doubled. */
	for (place = 0; place < ENIP_asked; place++)
		if (!shared->asked[place] ||
		    (s->l4 == TRANSPORT_udp && shared->asked[place] == entry))
			break;
	place = forget(s, place);
	if (place >= ENIP_asked) {
		place = shared->next % ENIP_asked;
		shared->next = place + 1;
		if (shared->forgotten < ENIP_forgotten &&
		    s->l4 == TRANSPORT_tcp)
			shared->forgotten++;
	}
	shared->asked[place] = entry;
}

/* The place of the request that has these bits in common with the entry;
 * ENIP_asked if one was forgotten, or one more: there is none. */
static __always_inline __u32 enip_find(struct step *s,
				       const struct enip_shared *shared,
				       __u32 entry, __u32 mask)
{
	__u32 place, none = shared->forgotten ? ENIP_asked : ENIP_asked + 1;

	for (place = 0; place < ENIP_asked; place++)
		if (shared->asked[place] &&
		    !((shared->asked[place] ^ entry) & mask))
			break;
	return forget(s, place < ENIP_asked ? place : none);
}

/* Frees the place; what was asked there, 0 if it was forgotten. */
static __always_inline __u32 enip_answered(struct step *s,
					   struct enip_shared *shared,
					   __u32 place)
{
	__u32 entry;

	if (place >= ENIP_asked) {
		shared->forgotten--;
		return 0;
	}
	place = place_within(place, ENIP_asked);
	entry = shared->asked[place];
	if (s->l4 == TRANSPORT_tcp)
		shared->asked[place] = 0;
	return entry & 0xff;
}

/* ---- the encapsulation header, V2 2-3 -------------------------------- */

/* The command as a function; 0: there is none. */
static __always_inline __u32 enip_command(__u32 code)
{
	switch (code) {
	case 0x00:
		return ENIP_nop;
	case 0x01:
		return ENIP_list_targets;
	case 0x04:
		return ENIP_list_services;
	case 0x63 ... 0x66:
		return ENIP_list_identity + code - 0x63;
	case 0x6f:
		return ENIP_rr;
	case 0x70:
		return ENIP_unit;
	}
	return 0;
}

static __always_inline bool enip_is_list(__u32 command)
{
	return command >= ENIP_list_targets && command <= ENIP_list_interfaces;
}

/* The shortest that says something. */
static __always_inline __u32 enip_least(__u32 command)
{
	if (command == ENIP_rr)
		return 18;
	if (command == ENIP_unit)
		return 22;
	if (command == ENIP_register)
		return 4;
	return enip_is_list(command) ? 2 : 0;
}

/* An answer may be a header alone, with a status that says why. */
static __always_inline bool enip_length(const struct step *s, __u32 command)
{
	__u32 length = le16_at(s, 2);

	if (command == ENIP_nop)
		return s->have < 4 || length <= ENIP_longest;
	if (command == ENIP_unregister ||
	    (enip_is_list(command) && !s->from_server))
		return enip_is(s, 2, 0);
	if (command == ENIP_register)
		return enip_is(s, 2, 4) || (s->from_server && enip_is(s, 2, 0));
	return s->have < 4 ||
	       ((s->from_server || length >= enip_least(command)) &&
		length <= ENIP_longest);
}

/* V2 2-4.4: given in the answer to RegisterSession. */
static __always_inline bool enip_session(const struct step *s, __u32 command,
					 __u32 known)
{
	if (command == ENIP_register)
		return s->from_server || le32_at(s, 4) == 0;
	if (command < ENIP_register)
		return true;
	if (known)
		return enip_is_long(s, 4, known);
	return s->have < 8 || le32_at(s, 4) != 0;
}

/* V2 2-3.5. What is not there yet is zero, which is legal. */
static __always_inline bool enip_status(const struct step *s, __u32 command)
{
	__u32 status = le32_at(s, 8);

	if (!s->from_server || command == ENIP_nop)
		return status == 0;
	if (s->have >= 12 && !status)
		return le16_at(s, 2) >= enip_least(command);
	return status <= 3 || status == 0x64 || status == 0x65 ||
	       status == 0x69 || status == 0x6a;
}

/* The header as far as it is there; 0, or the reason why not. */
static __always_inline int enip_header(const struct step *s, __u32 command,
				       __u32 known)
{
	__u32 length = le16_at(s, 2);

	if (!command || u8_at(s, 1))
		return REASON_bad_function;
	if (s->l4 == TRANSPORT_udp && !enip_is_list(command))
		return REASON_bad_function;
	if (!enip_length(s, command))
		return REASON_bad_length;
	if (s->l4 == TRANSPORT_udp && ENIP_header + length > s->left)
		return REASON_truncated;
	if (s->l4 == TRANSPORT_udp && ENIP_header + length < s->left)
		return REASON_trailing_bytes;
	if (!enip_session(s, command, known) || !enip_status(s, command))
		return REASON_bad_value;
	return le32_at(s, 20) ? REASON_bad_value : 0; /* options */
}

/* The sender context, which an answer repeats. */
static __always_inline __u16 enip_context(const struct step *s)
{
	__u32 hash = le32_at(s, 12) * 0x9e3779b1 ^ le32_at(s, 16);

	hash *= 0x85ebca6b;
	return hash >> 16 ^ hash;
}

/* ---- commands -------------------------------------------------------- */

/* An error, of which nothing but the header is known. */
static __always_inline void enip_error(struct step *s,
				       const struct enip_own *own,
				       struct enip_shared *shared,
				       __u32 command)
{
	__u32 place, number;

	/* the answer to connected data would have named its sequence count */
	place = enip_find(s, shared, enip_entry(own),
			  command == ENIP_unit ? 0 : 0xffff0000);
	if (place > ENIP_asked)
		return bad(s, REASON_unsolicited);
	number = command == ENIP_unit ? 0 : enip_answered(s, shared, place);
	if (number && number != ENIP_multiple)
		s->function = number;
	take(s, ENIP_header, le16_at(s, 2));
}

static __always_inline void enip_registered(struct step *s,
					    struct enip_shared *shared)
{
	if (!enip_is(s, 24, 1) || !enip_is(s, 26, 0)) /* version, options */
		return bad(s, REASON_bad_value);
	if (s->from_server && !le32_at(s, 4))
		return bad(s, REASON_bad_value);
	if (s->have < 28)
		return need(s, 28);
	shared->session = le32_at(s, 4);
	take(s, 28, 0);
}

/* The items of a list, V2 2-4.2 to 2-4.5. */
static __always_inline void enip_list(struct step *s, struct enip_own *own)
{
	__u32 count = le16_at(s, 24), room = le16_at(s, 2) - 2U;

	if (s->have > 24 && count > room / 4)
		return bad(s, REASON_bad_length);
	if (s->have > 25 && (count > 255 || (!count && room)))
		return bad(s, REASON_bad_length);
	if (s->have < 26)
		return need(s, 26);
	own->items = count;
	own->part = room;
	own->phase = count ? ENIP_listed : ENIP_between;
	take(s, 26, 0);
}

/* Commands that are no more than header and list. */
static __always_inline void enip_plain(struct step *s, struct enip_own *own,
				       struct enip_shared *shared,
				       __u32 command)
{
	__u32 place = 0;
	bool answers =
	    s->from_server && command > ENIP_nop && command != ENIP_unregister;

	free_of_limits(s);
	own->function = command;
	if (answers)
		place = enip_find(s, shared, enip_entry(own), ~0U);
	if (place > ENIP_asked)
		return bad(s, REASON_unsolicited);
	if (command == ENIP_register)
		enip_registered(s, shared);
	else if (answers)
		enip_list(s, own);
	else
		take(s, ENIP_header, le16_at(s, 2));
	read_anew();
	if (s->answer != STEP_take)
		return;
	if (answers)
		enip_answered(s, shared, place);
	if (command == ENIP_nop || command == ENIP_unregister)
		own->function = 0; /* no answer */
	s->function = command;
}

/* V2 2-4.7, 2-6: interface 0, timeout, a null address, unconnected data, and
 * perhaps the addresses of a connection's two ends. */
static __always_inline void enip_send_rr(struct step *s, struct enip_own *own)
{
	__u32 items = u8_at(s, 30), data = le16_at(s, 38);
	__u32 extra = 20 * (items - 2);

	if (le32_at(s, 24) || le32_at(s, 32) || u8_at(s, 31))
		return bad(s, REASON_bad_value);
	if (s->have > 30 && (items < 2 || items > 4))
		return bad(s, REASON_bad_value);
	if (!enip_is(s, 36, 0xb2))
		return bad(s, REASON_bad_value);
	if (s->have > 30 && (le16_at(s, 2) < 18 + extra ||
			     !enip_is(s, 38, le16_at(s, 2) - 16 - extra)))
		return bad(s, REASON_bad_length);
	if (s->have < 40)
		return need(s, 40);
	own->items = items - 2;
	own->part = data;
	take(s, 40, 0);
}

/* V2 2-4.8: a connection, then its data behind a sequence count. */
static __always_inline void enip_send_unit(struct step *s, struct enip_own *own)
{
	if (le32_at(s, 24) || !enip_is(s, 30, 2) || !enip_is(s, 32, 0xa1) ||
	    !enip_is(s, 34, 4) || !enip_is(s, 40, 0xb1))
		return bad(s, REASON_bad_value);
	if (!enip_is(s, 42, le16_at(s, 2) - 20))
		return bad(s, REASON_bad_length);
	if (s->have < 46)
		return need(s, 46);
	own->key = le16_at(s, 44);
	own->items = 0;
	own->part = le16_at(s, 42) - 2;
	take(s, 46, 0);
}

static __always_inline void enip_head(struct step *s, struct state *st)
{
	struct enip_own *own = (struct enip_own *)st->own;
	struct enip_shared *shared = (struct enip_shared *)st->shared;
	__u32 command = enip_command(u8_at(s, 0));
	int reason = enip_header(s, command, shared->session);

	if (reason)
		return bad(s, reason);
	if (s->have < ENIP_header)
		return need(s, ENIP_header);
	/* need() must leave no trace: work on what is zero between messages */
	own->key = enip_context(s);
	if (s->from_server && le32_at(s, 8))
		enip_error(s, own, shared, command);
	else if (command == ENIP_rr)
		enip_send_rr(s, own);
	else if (command == ENIP_unit)
		enip_send_unit(s, own);
	else
		enip_plain(s, own, shared, command);
	read_anew();
	if (s->answer != STEP_take) {
		own->key = 0;
		own->function = 0;
	} else if (command >= ENIP_rr && own->part) {
		if (!s->from_server)
			shared->session = le32_at(s, 4);
		own->phase = ENIP_message;
	}
}

/* ---- CIP requests, V1 2-4 -------------------------------------------- */

/* Services of the classes that data is read and written by, LX. */
static __always_inline __u32 enip_tag_service(__u32 service, __u32 class)
{
	switch (service) {
	case 0x4c:
		return ENIP_tag;
	case 0x4d:
	case 0x4e:
		return class >= ENIP_class_tag || class == ENIP_class_symbol
			   ? ENIP_tag + service - 0x4c
			   : ENIP_object;
	case 0x52:
	case 0x53:
		return class == ENIP_class_group ? ENIP_object
						 : ENIP_tag + service - 0x4f;
	case 0x55:
		return ENIP_tag + 5;
	}
	return ENIP_object;
}

/* V1 3-5.5. */
static __always_inline __u32 enip_manager_service(__u32 service)
{
	switch (service) {
	case 0x4e:
		return ENIP_forward_close;
	case 0x52:
		return ENIP_send;
	case 0x54:
		return ENIP_forward_open;
	case 0x56:
	case 0x57:
		return ENIP_forward_close + service - 0x55;
	case 0x5a:
		return ENIP_forward_close + 3;
	case 0x5b:
		return ENIP_large_forward_open;
	}
	return ENIP_object;
}

/* The Modbus object (volume 7) and the connection configuration object (V1
 * 5-48). */
static __always_inline __u32 enip_modbus_service(__u32 service)
{
	if (service <= 0x4e)
		return ENIP_modbus_read;
	if (service <= 0x50)
		return ENIP_modbus_write;
	return service == 0x51 ? ENIP_modbus_passthrough : ENIP_object;
}

static __always_inline __u32 enip_configuration_service(__u32 service)
{
	if (service <= 0x4e)
		return ENIP_connection_control;
	if (service == 0x50 || service == 0x52)
		return ENIP_connection_status;
	return service <= 0x51 ? ENIP_connection_configuration : ENIP_object;
}

/* The function of a service whose code is for the class to define. */
static __always_inline __u32 enip_class_service(__u32 service, __u32 class)
{
	switch (class) {
	case ENIP_class_manager:
		return enip_manager_service(service);
	case ENIP_class_file: /* V1 5-42 */
		return service <= 0x51 ? ENIP_file + service - 0x4b
				       : ENIP_object;
	case ENIP_class_modbus:
		return enip_modbus_service(service);
	case ENIP_class_pccc:
		return service == 0x4b ? ENIP_pccc : ENIP_object;
	case ENIP_class_storage:
		return ENIP_firmware;
	case ENIP_class_configuration:
		return enip_configuration_service(service);
	case ENIP_class_symbol:
	case ENIP_class_template:
	case ENIP_class_group:
	case ENIP_class_tag:
		return enip_tag_service(service, class);
	}
	return ENIP_object;
}

/* V1 appendix A: what is a common service, and for the rest whose it is; 0: of
 * nobody. */
static __always_inline __u32 enip_service(__u32 service, __u32 class)
{
	if (service < 0x20)
		return 0x1fe367fe >> service & 1 ? service : 0;
	if (service < 0x32)
		return 0;
	if (service < 0x4b)
		return ENIP_vendor;
	return service < 0x64 ? enip_class_service(service, class) : 0;
}

/* What PCCC asks for (1770-6.5.16): requester's id of 7 bytes, command, status,
 * transaction, function. */
static __always_inline __u32 enip_pccc(const struct step *s)
{
	__u32 command = u8_at(s, 13), function = u8_at(s, 17);

	if (u8_at(s, 1) != 2 || u8_at(s, 6) != 7)
		return ENIP_pccc;
	if (command == 6)
		return function == 0 || function == 3 ? ENIP_pccc_diagnostic
						      : ENIP_pccc;
	if (command != 0x0f)
		return command == 1 ? ENIP_pccc_read : ENIP_pccc;
	switch (function) {
	case 0x01:
	case 0x17:
	case 0x29:
	case 0x68:
	case 0xa1 ... 0xa3:
		return ENIP_pccc_read;
	case 0x00:
	case 0x26:
	case 0x67:
	case 0xa9 ... 0xab:
		return ENIP_pccc_write;
	case 0x3a:
	case 0x80:
		return ENIP_pccc_mode;
	}
	return ENIP_pccc;
}

/* The class that a path names first, as far as it is there. */
static __always_inline __u32 enip_path_class(const struct step *s)
{
	if (u8_at(s, 1) == 0)
		return ENIP_class_none;
	if (u8_at(s, 2) == 0x20)
		return u8_at(s, 3);
	if (u8_at(s, 2) == 0x21 && u8_at(s, 1) > 1)
		return le16_at(s, 4);
	return u8_at(s, 2) == 0x91 ? ENIP_class_tag : ENIP_class_none;
}

/* What a request is for: a class, or a tag by its name. */
static __always_inline void enip_names(struct step *s)
{
	__u32 class = enip_path_class(s);

	if (class < ENIP_class_none)
		names(s, ARGUMENT_class, class, class);
}

/* How many bytes tell the function? */
static __always_inline __u32 enip_request_need(const struct step *s,
					       const struct enip_own *own)
{
	__u32 words = u8_at(s, 1);

	if (words == 0)
		return 2;
	if (u8_at(s, 2) == 0x21 && words > 1)
		return 6;
	if (u8_at(s, 0) == 0x4b && u8_at(s, 2) == 0x20 &&
	    u8_at(s, 3) == ENIP_class_pccc && words == 2 && own->part >= 18)
		return 18;
	return 4;
}

/* What follows the path. */
static __always_inline __u8 enip_then(__u32 service, __u32 function)
{
	if (service == ENIP_multiple)
		return ENIP_services;
	switch (function) {
	case ENIP_send:
		return ENIP_wrapped;
	case ENIP_forward_open:
		return ENIP_open;
	case ENIP_large_forward_open:
		return ENIP_large_open;
	case ENIP_forward_close:
		return ENIP_close;
	}
	return ENIP_data;
}

/* Service, number of words of the path, first segment. */
static __always_inline void enip_request(struct step *s, struct enip_own *own)
{
	__u32 service = u8_at(s, 0), function;
	bool wrapper;

	if (service & 0x80)
		return bad(s, REASON_bad_direction);
	if (!enip_service(service, ENIP_class_none))
		return bad(s, REASON_bad_function);
	if (own->part < 2 || 2U + 2 * u8_at(s, 1) > own->part)
		return bad(s, REASON_bad_length);
	if (s->have < 2 || s->have < enip_request_need(s, own))
		return need(s, enip_request_need(s, own));
	function = enip_service(service, enip_path_class(s));
	if (function == ENIP_pccc && own->part >= 18)
		function = enip_pccc(s);
	wrapper = service == ENIP_multiple || function == ENIP_send;
	if (wrapper && (own->flags & ENIP_in_multiple ||
			(own->flags & ENIP_in_send && function == ENIP_send)))
		return bad(s, REASON_smuggling);
	if (!(own->flags & ENIP_in_multiple)) {
		own->service = service;
		own->function = function;
	}
	if (!wrapper) {
		s->function = function;
		enip_names(s);
	}
	own->then = enip_then(service, function);
	own->words = u8_at(s, 1);
	own->part -= 2;
	own->phase = ENIP_path;
	take(s, 2, 0);
}

/* ---- paths, V1 appendix C, padded ------------------------------------ */

/* A port: number or 15 and 16 bits, then a link address of one byte, or of as
 * many as the byte behind the first says. */
static __always_inline __u32 enip_port_segment(__u32 type, __u32 next)
{
	__u32 wide = (type & 15) == 15 ? 2 : 0;

	if (!(type & 15))
		return 0;
	if (!(type & 16))
		return 2 + wide;
	return next ? (2 + wide + next + 1) & ~1U : 0;
}

/* Class, instance, member, connection point, attribute of 8, 16 or 32 bits;
 * an electronic key; a service. */
static __always_inline __u32 enip_logical_segment(__u32 type, __u32 next)
{
	__u32 kind = type >> 2 & 7, width = type & 3;

	if (type == 0x34)
		return next == 4 ? 10 : 0;
	if (type == 0x38)
		return 2;
	if (kind > 4 || width == 3)
		return 0;
	return width ? 2 + 2 * width : 2;
}

/* How long is the segment that begins with these two bytes? 0: there is no
 * such. */
static __always_inline __u32 enip_segment(__u32 type, __u32 next)
{
	switch (type >> 5) {
	case 0:
		return enip_port_segment(type, next);
	case 1:
		return enip_logical_segment(type, next);
	case 2: /* network; those from 0x50 count their words */
		return type < 0x50 ? 2 : 2 + 2 * next;
	case 3: /* symbol; an extended string of type 0 is not defined */
		return type == 0x60 ? 0 : (1 + (type & 31) + 1) & ~1U;
	case 4:
		if (type == 0x80)
			return 2 + 2 * next;
		return type == 0x91 && next ? (2 + next + 1) & ~1U : 0;
	}
	return 0;
}

/* One segment at s->n; what is behind its first two bytes is opaque. */
static __always_inline void enip_path_item(struct step *s, struct enip_own *own)
{
	__u32 at = s->n, type = u8_at(s, at), length;

	if (s->have < at + 2) {
		/* 0x01: where the second byte matters, a legal one */
		if (!enip_segment(type, type == 0x34 ? 4 : 1))
			return bad(s, REASON_bad_value);
		if (!at)
			need(s, 2);
		return;
	}
	length = enip_segment(type, u8_at(s, at + 1));
	if (!length)
		return bad(s, REASON_bad_value);
	if (length > 2U * own->words)
		return bad(s, REASON_bad_length);
	own->words -= length / 2;
	own->part -= length;
	if (at + length <= s->have)
		take(s, at + length, 0);
	else
		take(s, s->have, at + length - s->have);
}

/* ---- what carries others --------------------------------------------- */

static __always_inline __u8 *enip_length_at(struct state *st, __u32 i)
{
	return (__u8 *)st + ENIP_at_lengths + (i & (ENIP_lengths - 1));
}

/* Remembers a length; where it cannot, it remembers none of them. */
static __always_inline void enip_keep(struct step *s, struct state *st,
				      __u32 length)
{
	struct enip_own *own = (struct enip_own *)st->own;
	__u32 at = own->flags / ENIP_at, i = at;
	__u32 most = s->from_server ? ENIP_own_lengths : ENIP_lengths;
	__u8 last = at ? *enip_length_at(st, at - 1) : 0;
	bool again = last == length;

	if (last & 0x80) {
		again = last < 0xff && *enip_length_at(st, at - 2) == length;
		i = again ? at - 1 : at;
	}
	if (length > 127 || i >= most) {
		own->nested = 0;
		return;
	}
	i = forget(s, i);
	if (i == at)
		*enip_length_at(st, i) = again ? 0x81 : length;
	else
		*enip_length_at(st, i) = last + 1;
	if (i == at)
		own->flags += ENIP_at;
}

/* The next of them. */
static __always_inline __u32 enip_recall(struct state *st)
{
	struct enip_own *own = (struct enip_own *)st->own;
	__u32 at = own->flags / ENIP_at;
	__u8 length = *enip_length_at(st, at);

	if (!(length & 0x80)) {
		own->flags += ENIP_at;
		return length;
	}
	*enip_length_at(st, at) = length - 1;
	if (length == 0x81) { /* the last time: leave what it repeated */
		*enip_length_at(st, at) = *enip_length_at(st, at - 1);
		own->flags += ENIP_at;
	}
	return *enip_length_at(st, at - 1);
}

/* Behind a message, or what stands for it. */
static __always_inline void enip_after(struct state *st)
{
	struct enip_own *own = (struct enip_own *)st->own;

	own->part = 0;
	if (own->nested) {
		own->nested--;
		own->part = enip_recall(st);
		own->rest -= own->part;
		own->phase = ENIP_message;
	} else if (own->rest) {
		own->phase = ENIP_unfollowed;
	} else if (own->tail) {
		own->phase = ENIP_route;
	} else {
		own->phase = own->items ? ENIP_extra : ENIP_between;
	}
}

/* What is left of the message is opaque. */
static __always_inline void enip_opaque(struct step *s, __u16 *left)
{
	__u32 here = s->have - s->n;

	if (here > *left)
		here = *left;
	s->n += here;
	s->skip += *left - here;
	*left = 0;
}

/* V1 3-5.5.4: priority, time-out, length of the message; behind it, perhaps
 * behind a pad, the route. */
static __always_inline void enip_wrap(struct step *s, struct enip_own *own)
{
	__u32 length = le16_at(s, 2), padded = (length + 1) & ~1U;

	if (own->part < 8)
		return bad(s, REASON_bad_length);
	if (s->have < 4)
		return need(s, 4);
	if (length < 2 || padded + 6 > own->part)
		return bad(s, REASON_bad_length);
	own->tail = own->part - 4 - length;
	own->part = length;
	own->flags |= ENIP_in_send;
	own->phase = ENIP_message;
	take(s, 4, 0);
}

static __always_inline void enip_routing(struct step *s, struct enip_own *own)
{
	__u32 pad = own->tail & 1, words = u8_at(s, pad);

	if (s->have > pad && 2 * words != own->tail - pad - 2)
		return bad(s, REASON_bad_length);
	if (s->have > pad + 1 && u8_at(s, pad + 1))
		return bad(s, REASON_bad_value);
	if (s->have < pad + 2)
		return need(s, pad + 2);
	own->tail = 0;
	own->part = 2 * words;
	own->words = words;
	own->then = ENIP_data;
	own->phase = ENIP_path;
	take(s, pad + 2, 0);
}

/* V1 3-5.5.2, 3-5.5.3: fixed fields, of which one counts the words of the
 * connection's path. */
static __always_inline void enip_forward(struct step *s, struct enip_own *own,
					 __u32 fixed, __u32 at)
{
	__u32 words = u8_at(s, at);

	if (own->part < fixed ||
	    (s->have > at && own->part != fixed + 2 * words))
		return bad(s, REASON_bad_length);
	if (s->have < fixed)
		return need(s, fixed);
	own->part -= fixed;
	own->words = words;
	own->then = ENIP_data;
	own->phase = ENIP_path;
	take(s, fixed, 0);
}

/* The table of a Multiple Service Packet is read. */
static __always_inline void enip_table_end(struct step *s, struct state *st)
{
	struct enip_own *own = (struct enip_own *)st->own;

	if (own->nested)
		enip_keep(s, st, own->part - (own->rest - own->first));
	own->flags &= ENIP_at - 1;
	own->rest = own->part;
	enip_after(st);
}

/* V1 A.2.10: how many, and an offset for each, counted from here. */
static __always_inline void enip_count(struct step *s, struct state *st)
{
	struct enip_own *own = (struct enip_own *)st->own;
	__u32 count = le16_at(s, 0);

	if (own->part < 6 || (s->have > 1 && 2 + 4 * count > own->part))
		return bad(s, REASON_bad_length);
	if (s->have > 1 && (!count || !enip_is(s, 2, 2 + 2 * count)))
		return bad(s, REASON_bad_value);
	if (s->have < 4)
		return need(s, 4);
	own->flags |= ENIP_in_multiple;
	own->part -= 4;
	own->table = count - 1;
	own->first = 2 + 2 * count;
	own->rest = own->first;
	own->nested = count < 256 ? count : 0;
	own->phase = ENIP_offsets;
	take(s, 4, 0);
}

/* One offset at s->n: each message has two bytes at least. */
static __always_inline void enip_offset(struct step *s, struct state *st)
{
	struct enip_own *own = (struct enip_own *)st->own;
	__u32 at = s->n, offset = le16_at(s, at), table = own->table;

	if (s->have < at + 2) {
		if (!at)
			need(s, 2);
		return;
	}
	if (offset < own->rest + 2U ||
	    offset - own->first + 4 * table > own->part)
		return bad(s, REASON_bad_value);
	if (own->nested)
		enip_keep(s, st, offset - own->rest);
	own->rest = offset;
	own->part -= 2;
	own->table = table - 1;
	take(s, at + 2, 0);
}

/* What is followed by nothing but its end, at s->n. */
static __always_inline void enip_item(struct step *s, struct state *st)
{
	struct enip_own *own = (struct enip_own *)st->own;

	if (own->phase == ENIP_path)
		enip_path_item(s, own);
	else
		enip_offset(s, st);
}
STEP_APART(enip_item)

/* Offsets that fit no memory. */
static __always_inline void enip_unknown(struct step *s, struct state *st)
{
	struct enip_own *own = (struct enip_own *)st->own;

	if (!s->from_server)
		s->function = ENIP_multiple;
	take(s, 0, 0);
	enip_opaque(s, &own->rest);
	enip_after(st);
}

/* ---- answers, V1 2-4.2 ----------------------------------------------- */

/* V1 appendix B: from 0xd0 on the class defines them. */
static __always_inline bool enip_general_status(__u32 status)
{
	return status <= 0x2e || status >= 0xd0;
}

static __always_inline __u32 enip_asked_for(struct step *s,
					    const struct enip_own *own,
					    const struct enip_shared *shared)
{
	__u32 key = (__u32)own->key << 16;
	__u32 service = u8_at(s, 0) & 0x7f, place;

	place = enip_find(s, shared, key | service << 8, 0xffff7f00);
	/* An Unconnected Send is answered by what it carried, or, if it did
	 * not get there, itself. */
	if (place >= ENIP_asked && service == ENIP_send)
		place = enip_find(s, shared, key | 1U << 15, 0xffff8000);
	return place;
}

static __always_inline void enip_reply(struct step *s, struct state *st)
{
	struct enip_own *own = (struct enip_own *)st->own;
	struct enip_shared *shared = (struct enip_shared *)st->shared;
	__u32 status = u8_at(s, 2), length = 4 + 2 * u8_at(s, 3);
	__u32 place = 0, number;
	bool many;

	if (!(u8_at(s, 0) & 0x80))
		return bad(s, REASON_bad_direction);
	if (u8_at(s, 1) || !enip_general_status(status))
		return bad(s, REASON_bad_value);
	if (length > own->part)
		return bad(s, REASON_bad_length);
	if (!(own->flags & ENIP_in_multiple))
		place = enip_asked_for(s, own, shared);
	if (place > ENIP_asked)
		return bad(s, REASON_unsolicited);
	if (s->have < 4)
		return need(s, 4);
	take(s, 4, 0);
	many = u8_at(s, 0) == (0x80 | ENIP_multiple) &&
	       (status == 0 || status == 0x1e) &&
	       !(own->flags & ENIP_in_multiple);
	if (!(own->flags & ENIP_in_multiple)) {
		number = enip_answered(s, shared, place);
		if (number && number != ENIP_multiple)
			s->function = number;
	}
	own->part -= length;
	if (many && length == 4) {
		own->phase = ENIP_services;
		return;
	}
	own->part += length - 4;
	enip_opaque(s, &own->part);
	enip_after(st);
}

/* ---- items ----------------------------------------------------------- */

/* V2 2-4.2.3, 2-4.6.3: an identity and what CIP Security adds, a service; each
 * of the two begins with the version of the protocol. */
static __always_inline void enip_list_item(struct step *s, struct enip_own *own)
{
	__u32 type = le16_at(s, 0), length = le16_at(s, 2);
	__u32 room = own->part - 4 * own->items;
	__u32 least = 0;

	if (own->function == ENIP_list_identity)
		least = type == 0x0c ? 33 : 0;
	else if (own->function == ENIP_list_services)
		least = 20;
	if (s->have > 1 && own->function == ENIP_list_identity &&
	    type != 0x0c && (type < 0x86 || type > 0x88))
		return bad(s, REASON_bad_value);
	if (s->have > 1 && own->function == ENIP_list_services && type != 0x100)
		return bad(s, REASON_bad_value);
	if (s->have > 3 && (length > room || length < least ||
			    (own->items == 1 && length != room)))
		return bad(s, REASON_bad_length);
	if (s->have > 3 && least && !enip_is(s, 4, 1))
		return bad(s, REASON_bad_value);
	if (s->have < 4 + (least ? 2 : 0))
		return need(s, 4 + (least ? 2 : 0));
	own->items--;
	own->part -= 4 + length;
	take(s, 4, length);
	if (least)
		take(s, 6, length - 2);
	if (!own->items)
		own->phase = ENIP_between;
}

/* V2 2-6.3.3: a socket address, big endian, family 2. */
static __always_inline void enip_address(struct step *s, struct enip_own *own)
{
	if ((u8_at(s, 0) & ~1U) || (s->have > 1 && u8_at(s, 1) != 0x80) ||
	    !enip_is(s, 2, 16) || !enip_is(s, 4, 0x0200))
		return bad(s, REASON_bad_value);
	if (s->have < 6)
		return need(s, 6);
	own->items--;
	take(s, 6, 14);
	if (!own->items)
		own->phase = ENIP_between;
}

/* ---- the step -------------------------------------------------------- */

static __always_inline void enip_dispatch(struct step *s, struct state *st)
{
	struct enip_own *own = (struct enip_own *)st->own;

	switch (own->phase) {
	case ENIP_between:
		return enip_head(s, st);
	case ENIP_message:
		if (s->from_server)
			return enip_reply(s, st);
		return enip_request(s, own);
	case ENIP_path:
	case ENIP_offsets:
		return take(s, 0, 0);
	case ENIP_services:
		return enip_count(s, st);
	case ENIP_unfollowed:
		return enip_unknown(s, st);
	case ENIP_wrapped:
		return enip_wrap(s, own);
	case ENIP_route:
		return enip_routing(s, own);
	case ENIP_open:
		return enip_forward(s, own, 36, 35);
	case ENIP_large_open:
		return enip_forward(s, own, 40, 39);
	case ENIP_close:
		return enip_forward(s, own, 12, 10);
	case ENIP_listed:
		return enip_list_item(s, own);
	case ENIP_extra:
		return enip_address(s, own);
	}
	bad(s, REASON_internal);
}

/* Segments of a path, or offsets, as far as the window goes. */
static __always_inline void enip_walk(struct step *s, struct state *st)
{
	struct enip_own *own = (struct enip_own *)st->own;
	__u32 before;
	int i;

	for (i = 0; i < ENIP_turns; i++) {
		read_anew();
		if (s->answer != STEP_take || s->skip || s->n >= s->have)
			break;
		if ((own->phase != ENIP_offsets || !own->table) &&
		    (own->phase != ENIP_path || !own->words))
			break;
		before = s->n;
		enip_item_apart(s, st);
		if (s->n == before)
			break;
	}
	read_anew();
	if (s->answer != STEP_take)
		return;
	if (own->phase == ENIP_offsets && !own->table)
		return enip_table_end(s, st);
	if (own->phase != ENIP_path || own->words)
		return;
	own->phase = own->then;
	if (own->phase == ENIP_data) {
		enip_opaque(s, &own->part);
		enip_after(st);
	}
}

static __always_inline void enip_step(struct step *s, struct state *st)
{
	struct enip_own *own = (struct enip_own *)st->own;
	struct enip_shared *shared = (struct enip_shared *)st->shared;

	enip_dispatch(s, st);
	enip_walk(s, st);
	read_anew();
	if (s->answer != STEP_take)
		return;
	if (s->function != FUNCTION_none)
		enip_say(s, s->function);
	if (own->phase != ENIP_between)
		return;
	message_ends(s);
	if (!s->from_server && own->function)
		enip_ask(s, own, shared);
	__builtin_memset(own, 0, sizeof(*own));
}

#endif
