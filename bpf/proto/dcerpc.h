/* SPDX-License-Identifier: GPL-2.0-only */
/* DCE/RPC, connection-oriented: what OPC Classic, DCOM and the services of
 * Windows speak on TCP 135 and on the ports that they are given there.
 *
 * C706: DCE 1.1: Remote Procedure Call, chapter 12. RPCE: [MS-RPCE].
 *
 * Each PDU is judged: header in the byte order that it names itself, length
 * against type, the interfaces and transfer syntaxes of a bind, what answers
 * it, context and operation of a request, the trailer of the authentication.
 * Stub data and tokens are opaque. Calls are paired by their call id.
 *
 * A request says the interface that its context was bound to. Contexts from
 * DCERPC_contexts on, and those whose bind was not seen, are not known.
 */
#ifndef PORTCULLIS_PROTO_DCERPC_H
#define PORTCULLIS_PROTO_DCERPC_H

#include <stdbool.h>

#include "window.h"

/* What is bound, or called. Of the interfaces that OPC DA reads and writes by
 * the operation tells which of the two.
 */
#define dcerpc_FUNCTIONS(F)                                                    \
	F(1, "other-interface", other)                                         \
	F(2, "unknown-context", other)                                         \
	F(3, "cancel", other)                                                  \
	F(4, "orphaned", other)                                                \
	F(5, "shutdown", other)                                                \
	F(10, "epmapper", read)                                                \
	F(11, "management", admin)                                             \
	F(12, "object-exporter", other)                                        \
	F(13, "remote-activation", other)                                      \
	F(14, "system-activator", other)                                       \
	F(15, "remote-unknown", other)                                         \
	F(16, "class-factory", other)                                          \
	F(17, "dispatch", program)                                             \
	F(18, "connection-point", other)                                       \
	F(30, "opc-da-read", read)                                             \
	F(33, "opc-da-write", write)                                           \
	F(34, "opc-da-server", read)                                           \
	F(35, "opc-da-browse", read)                                           \
	F(36, "opc-da-group", read)                                            \
	F(37, "opc-da-public-groups", admin)                                   \
	F(38, "opc-da-items", read)                                            \
	F(39, "opc-da-callback", other)                                        \
	F(40, "opc-hda-server", read)                                          \
	F(41, "opc-hda-browse", read)                                          \
	F(42, "opc-hda-read", read)                                            \
	F(43, "opc-hda-update", write)                                         \
	F(44, "opc-hda-annotations", write)                                    \
	F(45, "opc-hda-playback", read)                                        \
	F(46, "opc-hda-callback", other)                                       \
	F(50, "opc-ae-server", operate)                                        \
	F(51, "opc-ae-subscription", read)                                     \
	F(52, "opc-ae-browse", read)                                           \
	F(53, "opc-ae-sink", other)                                            \
	F(60, "opc-server-list", read)                                         \
	F(61, "opc-common", other)                                             \
	F(62, "opc-shutdown", other)                                           \
	F(63, "opc-security", admin)                                           \
	F(80, "svcctl", program)                                               \
	F(81, "atsvc", program)                                                \
	F(82, "task-scheduler", program)                                       \
	F(83, "winreg", admin)                                                 \
	F(84, "samr", admin)                                                   \
	F(85, "lsarpc", admin)                                                 \
	F(86, "netlogon", admin)                                               \
	F(87, "drsuapi", admin)                                                \
	F(88, "srvsvc", admin)                                                 \
	F(89, "wkssvc", admin)                                                 \
	F(90, "spoolss", program)                                              \
	F(91, "eventlog", admin)                                               \
	F(92, "encrypting-file-system", admin)                                 \
	F(93, "backup-key", admin)                                             \
	F(94, "shutdown-host", operate)                                        \
	F(95, "wmi", program)

/* PDU types, C706 12.6.4, RPCE 2.2.2.10. */
enum {
	DCERPC_request = 0,
	DCERPC_response = 2,
	DCERPC_fault = 3,
	DCERPC_bind = 11,
	DCERPC_bind_ack = 12,
	DCERPC_bind_nak = 13,
	DCERPC_alter = 14,
	DCERPC_alter_response = 15,
	DCERPC_auth3 = 16,
	DCERPC_shutdown = 17,
	DCERPC_cancel = 18,
	DCERPC_orphaned = 19,

	DCERPC_from_client = 1U << DCERPC_request | 1U << DCERPC_bind |
			     1U << DCERPC_alter | 1U << DCERPC_auth3 |
			     1U << DCERPC_cancel | 1U << DCERPC_orphaned,
	DCERPC_from_server = 1U << DCERPC_response | 1U << DCERPC_fault |
			     1U << DCERPC_bind_ack | 1U << DCERPC_bind_nak |
			     1U << DCERPC_alter_response |
			     1U << DCERPC_shutdown,
};

/* Functions of known interfaces; the two that read and write stand below. */
enum {
	DCERPC_is_epmapper = 10,
	DCERPC_is_management,
	DCERPC_is_object_exporter,
	DCERPC_is_remote_activation,
	DCERPC_is_system_activator,
	DCERPC_is_remote_unknown,
	DCERPC_is_class_factory,
	DCERPC_is_dispatch,
	DCERPC_is_connection_point,
	DCERPC_is_opc_da_server = 34,
	DCERPC_is_opc_da_browse,
	DCERPC_is_opc_da_group,
	DCERPC_is_opc_da_public_groups,
	DCERPC_is_opc_da_items,
	DCERPC_is_opc_da_callback,
	DCERPC_is_opc_hda_server,
	DCERPC_is_opc_hda_browse,
	DCERPC_is_opc_hda_read,
	DCERPC_is_opc_hda_update,
	DCERPC_is_opc_hda_annotations,
	DCERPC_is_opc_hda_playback,
	DCERPC_is_opc_hda_callback,
	DCERPC_is_opc_ae_server = 50,
	DCERPC_is_opc_ae_subscription,
	DCERPC_is_opc_ae_browse,
	DCERPC_is_opc_ae_sink,
	DCERPC_is_opc_server_list = 60,
	DCERPC_is_opc_common,
	DCERPC_is_opc_shutdown,
	DCERPC_is_opc_security,
	DCERPC_is_svcctl = 80,
	DCERPC_is_atsvc,
	DCERPC_is_task_scheduler,
	DCERPC_is_winreg,
	DCERPC_is_samr,
	DCERPC_is_lsarpc,
	DCERPC_is_netlogon,
	DCERPC_is_drsuapi,
	DCERPC_is_srvsvc,
	DCERPC_is_wkssvc,
	DCERPC_is_spoolss,
	DCERPC_is_eventlog,
	DCERPC_is_encrypting_file_system,
	DCERPC_is_backup_key,
	DCERPC_is_shutdown_host,
	DCERPC_is_wmi,
};

enum {
	/* flags, C706 12.6.3.1 */
	DCERPC_first = 0x01,
	DCERPC_last = 0x02,
	DCERPC_reserved = 0x08,
	DCERPC_not_executed = 0x20,
	DCERPC_maybe = 0x40,
	DCERPC_object = 0x80,

	/* functions */
	DCERPC_other = 1,
	DCERPC_unknown,
	DCERPC_canceled,
	DCERPC_read = 30,
	DCERPC_sync2, /* as read, until a request tells its operation */
	DCERPC_async3,
	DCERPC_write,
	/* asked for, but never said */
	DCERPC_binding = 200,
	DCERPC_altering,

	DCERPC_header = 16,
	DCERPC_must_receive = 1432, /* C706 12.6.3.1 */
	DCERPC_contexts = 12,
	DCERPC_asked = 4,
	DCERPC_forgotten = 32,
	DCERPC_call = 0x7fffff,	  /* of an entry: the call id's low bits */
	DCERPC_parted = 1U << 23, /* fragments are to come */
};

/* What comes next in a PDU. */
enum dcerpc_phase {
	DCERPC_between = 0,
	DCERPC_context, /* of a bind */
	DCERPC_syntax,	/* of a context */
	DCERPC_results, /* how many, in what answers it */
	DCERPC_result,
	DCERPC_trailer, /* of the authentication */
};

struct dcerpc_own {
	__u8 phase;
	__u8 big;      /* this PDU's byte order */
	__u8 count;    /* contexts or results to come */
	__u8 syntaxes; /* of a context to come */
	__u16 left;    /* bytes to come before the trailer */
	__u16 auth;    /* bytes of the token; the trailer has eight more */
	__u8 pad[OWN_BYTES - 8];
} __attribute__((may_alias));
_Static_assert(sizeof(struct dcerpc_own) == OWN_BYTES, "dcerpc: own");

/* Calls without an answer, as in modbus.h. An entry is function << 24, whether
 * it is in parts, and the call.
 */
struct dcerpc_shared {
	__u8 bound[DCERPC_contexts]; /* function of a context, 0: none */
	__u32 asked[DCERPC_asked];
	__u8 next; /* to be given up */
	__u8 forgotten;
	__u8 pad[2];
} __attribute__((may_alias));
_Static_assert(sizeof(struct dcerpc_shared) == SHARED_BYTES, "dcerpc: shared");

static __always_inline __u8 dcerpc_class(__u32 number)
{
	switch (number) {
#define F(code, name, class)                                                   \
	case code:                                                             \
		return CLASS_##class;
		dcerpc_FUNCTIONS(F)
#undef F
	}
	return CLASS_none;
}

/* ---- numbers in the byte order of the PDU ---------------------------- */

static __always_inline __u32 dcerpc_16(const struct step *s, bool big,
				       __u32 off)
{
	return big ? be16_at(s, off) : le16_at(s, off);
}

static __always_inline __u32 dcerpc_32(const struct step *s, bool big,
				       __u32 off)
{
	return big ? be32_at(s, off) : le32_at(s, off);
}

/* Can 16 bits, perhaps not all there, be at least this? */
static __always_inline bool dcerpc_least(const struct step *s, bool big,
					 __u32 off, __u32 least)
{
	if (s->have <= off)
		return true;
	if (s->have == off + 1)
		return !big || (u8_at(s, off) | 0U) >= least >> 8;
	return dcerpc_16(s, big, off) >= least;
}

/* ---- outstanding calls ----------------------------------------------- */

/* The place of a call, DCERPC_asked if it was forgotten, or one more. */
static __always_inline __u32 dcerpc_find(struct step *s,
					 const struct dcerpc_shared *shared,
					 __u32 call)
{
	__u32 place, none = shared->forgotten ? DCERPC_asked : DCERPC_asked + 1;

	for (place = 0; place < DCERPC_asked; place++)
		if (shared->asked[place] &&
		    !((shared->asked[place] ^ call) & DCERPC_call))
			break;
	return forget(s, place < DCERPC_asked ? place : none);
}

static __always_inline void
dcerpc_ask(struct step *s, struct dcerpc_shared *shared, __u32 entry)
{
	__u32 place;

	for (place = 0; place < DCERPC_asked; place++)
		if (!shared->asked[place])
			break;
	place = forget(s, place);
	if (place >= DCERPC_asked) {
		place = shared->next % DCERPC_asked;
		shared->next = place + 1;
		if (shared->forgotten < DCERPC_forgotten)
			shared->forgotten++;
	}
	shared->asked[place_within(place, DCERPC_asked)] = entry;
}

/* ---- the header, C706 12.6.3.1 --------------------------------------- */

/* The fewest bytes of each type, without a trailer. */
static __always_inline __u32 dcerpc_shortest(__u32 type, __u32 flags)
{
	switch (type) {
	case DCERPC_request:
		return flags & DCERPC_object ? 40 : 24;
	case DCERPC_response:
		return 24;
	case DCERPC_fault:
		return 28;
	case DCERPC_bind:
	case DCERPC_alter:
		return 72;
	case DCERPC_bind_ack:
	case DCERPC_alter_response:
		return 32;
	case DCERPC_bind_nak:
		return 18;
	}
	return DCERPC_header;
}

static __always_inline int dcerpc_type(const struct step *s)
{
	__u32 type = u8_at(s, 2), flags = u8_at(s, 3);
	__u32 mine = s->from_server ? DCERPC_from_server : DCERPC_from_client;

	if (u8_at(s, 0) != 5 || u8_at(s, 1) > 1)
		return REASON_bad_magic;
	if (s->have < 3)
		return 0;
	if (type > DCERPC_orphaned ||
	    !((DCERPC_from_client | DCERPC_from_server) >> type & 1))
		return REASON_bad_function;
	if (!(mine >> type & 1))
		return REASON_bad_direction;
	if (flags & DCERPC_reserved ||
	    (flags & DCERPC_not_executed && type != DCERPC_fault) ||
	    (flags & (DCERPC_object | DCERPC_maybe) && type != DCERPC_request))
		return REASON_bad_value;
	return 0;
}

/* As far as it is there; 0, or the reason why not. */
static __always_inline int dcerpc_head(const struct step *s)
{
	__u32 order = u8_at(s, 4), least, auth;
	bool big = !(order & 0x10);
	int reason = dcerpc_type(s);

	if (reason)
		return reason;
	if (order & ~0x11U || u8_at(s, 5) > 3 || be16_at(s, 6))
		return REASON_bad_value;
	if (s->have <= 8)
		return 0;
	least = dcerpc_shortest(u8_at(s, 2), u8_at(s, 3));
	if (!dcerpc_least(s, big, 8, least))
		return REASON_bad_length;
	auth = dcerpc_16(s, big, 10);
	if (s->have >= 12 && auth && least + 8 + auth > dcerpc_16(s, big, 8))
		return REASON_bad_length;
	if (s->have >= 12 && !auth && u8_at(s, 2) == DCERPC_auth3)
		return REASON_bad_length;
	/* RPCE 2.2.2.11: the trailer is aligned */
	if (s->have >= 12 && auth && (dcerpc_16(s, big, 8) - auth) & 3)
		return REASON_bad_length;
	return 0;
}

/* n bytes of the PDU are judged, some more are opaque; what is next is up to
 * the caller, if not the trailer or the end. */
static __always_inline void dcerpc_take(struct step *s, struct dcerpc_own *own,
					__u32 n, __u32 skip)
{
	own->left -= n + skip;
	take(s, n, skip);
	if (own->left)
		return;
	own->phase = own->auth ? DCERPC_trailer : DCERPC_between;
}

/* ---- calls ----------------------------------------------------------- */

/* Which of an interface's functions an operation is (OPC DA 2.05, 3.00: Read
 * is 3, Write 4; WriteVQT 6 of IOPCSyncIO2, 10 of IOPCAsyncIO3). */
static __always_inline __u32 dcerpc_operation(__u32 function, __u32 operation)
{
	if (function < DCERPC_read || function > DCERPC_async3)
		return function;
	if (operation == 4 || (function == DCERPC_sync2 && operation == 6) ||
	    (function == DCERPC_async3 && operation == 10))
		return DCERPC_write;
	return DCERPC_read;
}

static __always_inline __u32 dcerpc_bound(const struct dcerpc_shared *shared,
					  __u32 context)
{
	__u32 function = 0;

	if (context < DCERPC_contexts)
		function = ((const __u8 *)shared)[place_within(context, 16)];
	return function ? function : DCERPC_unknown;
}

/* C706 12.6.4.9. The fragments of a call follow each other, those of another
 * call may come between. */
static __always_inline void dcerpc_called(struct step *s,
					  struct dcerpc_own *own,
					  struct dcerpc_shared *shared,
					  __u32 call)
{
	__u32 flags = u8_at(s, 3), place;
	__u32 n = flags & DCERPC_object ? 40 : 24;
	__u32 parted = flags & DCERPC_last ? 0 : DCERPC_parted;

	if (s->have < n)
		return need(s, n);
	s->function =
	    dcerpc_operation(dcerpc_bound(shared, dcerpc_16(s, own->big, 20)),
			     dcerpc_16(s, own->big, 22));
	dcerpc_take(s, own, n, own->left - n);
	if (flags & DCERPC_first) {
		if (!(flags & DCERPC_maybe))
			dcerpc_ask(s, shared,
				   (__u32)s->function << 24 | parted | call);
		return;
	}
	place = dcerpc_find(s, shared, call);
	if (place < DCERPC_asked &&
	    !(shared->asked[place_within(place, DCERPC_asked)] & DCERPC_parted))
		return bad(s, REASON_bad_order);
	if (place > DCERPC_asked && !(flags & DCERPC_maybe))
		return bad(s, REASON_bad_order);
	if (place < DCERPC_asked && !parted)
		shared->asked[place_within(place, DCERPC_asked)] &=
		    ~DCERPC_parted;
}

/* C706 12.6.4.10, 12.6.4.7. */
static __always_inline void dcerpc_answered(struct step *s,
					    struct dcerpc_own *own,
					    struct dcerpc_shared *shared,
					    __u32 call)
{
	__u32 flags = u8_at(s, 3), place = dcerpc_find(s, shared, call);
	bool fault = u8_at(s, 2) == DCERPC_fault;
	__u32 n = fault ? 28 : 24, entry;

	if (place > DCERPC_asked)
		return bad(s, REASON_unsolicited);
	if (s->have < n)
		return need(s, n);
	dcerpc_take(s, own, n, own->left - n);
	if (place == DCERPC_asked) {
		if (flags & DCERPC_last)
			shared->forgotten--;
		return;
	}
	entry = shared->asked[place_within(place, DCERPC_asked)];
	if (entry >> 24 < DCERPC_binding)
		s->function = entry >> 24;
	else if (!fault)
		return bad(s, REASON_unsolicited);
	/* an answer may come before the last fragment of a request that failed
	 */
	if (!fault && !(entry & DCERPC_parted) != !!(flags & DCERPC_first))
		return bad(s, REASON_bad_order);
	if (flags & DCERPC_last)
		shared->asked[place_within(place, DCERPC_asked)] = 0;
	else
		shared->asked[place_within(place, DCERPC_asked)] =
		    entry | DCERPC_parted;
}

/* ---- interfaces: the function of each ------------------------------- */

/* Of DCOM itself, [MS-DCOM] 1.9. */
static __always_inline __u32 dcerpc_dcom(__u32 first)
{
	switch (first) {
	case 0x000001a0:
		return DCERPC_is_system_activator;
	case 0x00000131:
	case 0x00000143:
		return DCERPC_is_remote_unknown;
	case 0x00000001:
		return DCERPC_is_class_factory;
	case 0x00020400:
		return DCERPC_is_dispatch;
	}
	return DCERPC_other;
}

/* OPC Data Access 2.05. */
static __always_inline __u32 dcerpc_da(__u32 first)
{
	switch (first) {
	case 0x39c13a4d:
		return DCERPC_is_opc_da_server;
	case 0x39c13a4e:
	case 0x39c13a51:
		return DCERPC_is_opc_da_public_groups;
	case 0x39c13a4f:
		return DCERPC_is_opc_da_browse;
	case 0x39c13a50:
		return DCERPC_is_opc_da_group;
	case 0x39c13a52:
	case 0x39c13a53:
	case 0x39c13a71:
		return DCERPC_read;
	case 0x39c13a54:
	case 0x39c13a55:
	case 0x39c13a72:
		return DCERPC_is_opc_da_items;
	case 0x39c13a70:
		return DCERPC_is_opc_da_callback;
	}
	return DCERPC_other;
}

/* OPC Historical Data Access 1.20. */
static __always_inline __u32 dcerpc_hda(__u32 first)
{
	switch (first) {
	case 0x1f1217b0:
		return DCERPC_is_opc_hda_server;
	case 0x1f1217b1:
		return DCERPC_is_opc_hda_browse;
	case 0x1f1217b2:
	case 0x1f1217b5:
		return DCERPC_is_opc_hda_read;
	case 0x1f1217b3:
	case 0x1f1217b6:
		return DCERPC_is_opc_hda_update;
	case 0x1f1217b4:
	case 0x1f1217b7:
		return DCERPC_is_opc_hda_annotations;
	case 0x1f1217b8:
		return DCERPC_is_opc_hda_playback;
	case 0x1f1217b9:
		return DCERPC_is_opc_hda_callback;
	}
	return DCERPC_other;
}

/* OPC Alarms and Events 1.10. */
static __always_inline __u32 dcerpc_ae(__u32 first)
{
	switch (first) {
	case 0x65168851:
		return DCERPC_is_opc_ae_server;
	case 0x65168855:
		return DCERPC_is_opc_ae_subscription;
	case 0x65168857:
		return DCERPC_is_opc_ae_browse;
	case 0x6516885f:
		return DCERPC_is_opc_ae_sink;
	}
	return DCERPC_other;
}

/* What OPC and DCOM have besides. */
static __always_inline __u32 dcerpc_opc(__u32 first, __u32 middle, __u64 last)
{
	switch (first) {
	case 0xe1af8308:
		if (middle == 0x5d1f11c9 && last == 0x91a408002b14a0fa)
			return DCERPC_is_epmapper;
		break;
	case 0xafa8bd80:
		if (middle == 0x7d8a11c9 && last == 0xbef408002b102989)
			return DCERPC_is_management;
		break;
	case 0x99fcfec4:
		if (middle == 0x5260101b && last == 0xbbcb00aa0021347a)
			return DCERPC_is_object_exporter;
		break;
	case 0x4d9f4ab8:
		if (middle == 0x7d1c11cf && last == 0x861e0020af6e7c57)
			return DCERPC_is_remote_activation;
		break;
	case 0xb196b284:
		if (middle == 0xbab4101a && last == 0xb69c00aa00341d07)
			return DCERPC_is_connection_point;
		break;
	case 0xb196b286:
		if (middle == 0xbab4101a && last == 0xb69c00aa00341d07)
			return DCERPC_is_connection_point;
		break;
	case 0x39227004:
		if (middle == 0xa18f4b57 && last == 0x8b0a5235670f4468)
			return DCERPC_is_opc_da_browse;
		break;
	case 0x8e368666:
		if (middle == 0xd72e4f78 && last == 0x87ed647611c61c9f)
			return DCERPC_is_opc_da_group;
		break;
	case 0x85c0b427:
		if (middle == 0x28934cbc && last == 0xbd78e5fc5146f08f)
			return DCERPC_read;
		break;
	case 0x730f5f0f:
		if (middle == 0x55b14c81 && last == 0x9e18ff8a0904e1fa)
			return DCERPC_sync2;
		break;
	case 0x0967b97b:
		if (middle == 0x36ef423e && last == 0xb6f86bff1e40d39d)
			return DCERPC_async3;
		break;
	case 0x13486d50:
		if (middle == 0x482111d2 && last == 0xa4943cb306c10000)
			return DCERPC_is_opc_server_list;
		break;
	case 0x9dd0b56c:
		if (middle == 0xad9e43ee && last == 0x8305487f3188bf7a)
			return DCERPC_is_opc_server_list;
		break;
	case 0xf31dfde2:
		if (middle == 0x07b611d2 && last == 0xb2d80060083ba1fb)
			return DCERPC_is_opc_common;
		break;
	case 0xf31dfde1:
		if (middle == 0x07b611d2 && last == 0xb2d80060083ba1fb)
			return DCERPC_is_opc_shutdown;
		break;
	case 0x7aa83a01:
		if (middle == 0x6c7711d3 && last == 0x84f900008630a38b)
			return DCERPC_is_opc_security;
		break;
	case 0x7aa83a02:
		if (middle == 0x6c7711d3 && last == 0x84f900008630a38b)
			return DCERPC_is_opc_security;
		break;
	}
	return DCERPC_other;
}

/* Services of Windows, for OPC to do without: [MS-SCMR] and others. */
static __always_inline __u32 dcerpc_windows(__u32 first, __u32 middle,
					    __u64 last)
{
	switch (first) {
	case 0x367abb81:
		if (middle == 0x984435f1 && last == 0xad3298f038001003)
			return DCERPC_is_svcctl;
		break;
	case 0x1ff70682:
		if (middle == 0x0a5130e8 && last == 0x076d740be8cee98b)
			return DCERPC_is_atsvc;
		break;
	case 0x378e52b0:
		if (middle == 0xc0a911cf && last == 0x822d00aa0051e40f)
			return DCERPC_is_atsvc;
		break;
	case 0x86d35949:
		if (middle == 0x83c94044 && last == 0xb424db363231fd0c)
			return DCERPC_is_task_scheduler;
		break;
	case 0x338cd001:
		if (middle == 0x224431f1 && last == 0xaaaa900038001003)
			return DCERPC_is_winreg;
		break;
	case 0x12345778:
		if (middle == 0x1234abcd && last == 0xef000123456789ac)
			return DCERPC_is_samr;
		if (middle == 0x1234abcd && last == 0xef000123456789ab)
			return DCERPC_is_lsarpc;
		break;
	case 0x12345678:
		if (middle == 0x1234abcd && last == 0xef0001234567cffb)
			return DCERPC_is_netlogon;
		if (middle == 0x1234abcd && last == 0xef000123456789ab)
			return DCERPC_is_spoolss;
		break;
	case 0xe3514235:
		if (middle == 0x4b0611d1 && last == 0xab0400c04fc2dcd2)
			return DCERPC_is_drsuapi;
		break;
	case 0x4b324fc8:
		if (middle == 0x167001d3 && last == 0x12785a47bf6ee188)
			return DCERPC_is_srvsvc;
		break;
	case 0x6bffd098:
		if (middle == 0xa1123610 && last == 0x983346c3f87e345a)
			return DCERPC_is_wkssvc;
		break;
	case 0x82273fdc:
		if (middle == 0xe32a18c3 && last == 0x3f78827929dc23ea)
			return DCERPC_is_eventlog;
		break;
	case 0xdf1941c5:
		if (middle == 0xfe894e79 && last == 0xbf10463657acf44d)
			return DCERPC_is_encrypting_file_system;
		break;
	case 0xc681d488:
		if (middle == 0xd85011d0 && last == 0x8c5200c04fd90f7e)
			return DCERPC_is_encrypting_file_system;
		break;
	case 0x3dde7c30:
		if (middle == 0x165d11d1 && last == 0xab8f00805f14db40)
			return DCERPC_is_backup_key;
		break;
	case 0x894de0c0:
		if (middle == 0x0d5511d3 && last == 0xa32200c04fa321a1)
			return DCERPC_is_shutdown_host;
		break;
	case 0x9556dc99:
		if (middle == 0x828c11cf && last == 0xa37e00aa003240c7)
			return DCERPC_is_wmi;
		break;
	case 0xf309ad18:
		if (middle == 0xd86a11d0 && last == 0xa07500c04fb68820)
			return DCERPC_is_wmi;
		break;
	case 0xd4781cd6:
		if (middle == 0xe5d344df && last == 0xad94930efe48a887)
			return DCERPC_is_wmi;
		break;
	}
	return DCERPC_other;
}

/* The interface whose UUID stands at 4. */
static __always_inline __u32 dcerpc_interface(const struct step *s, bool big)
{
	__u32 first = dcerpc_32(s, big, 4), found;
	__u32 middle = dcerpc_16(s, big, 8) << 16 | dcerpc_16(s, big, 10);
	__u64 last = (__u64)be32_at(s, 12) << 32 | be32_at(s, 16);

	if (middle == 0x00000000 && last == 0xc000000000000046)
		return dcerpc_dcom(first);
	if (middle == 0x011e11d0 && last == 0x96750020afd8adb3)
		return dcerpc_da(first);
	if (middle == 0xdee011d2 && last == 0xa5e5000086339399)
		return dcerpc_hda(first);
	if (middle == 0x578311d1 && last == 0x84a000608cb8a7e9)
		return dcerpc_ae(first);
	found = dcerpc_opc(first, middle, last);
	return found == DCERPC_other ? dcerpc_windows(first, middle, last)
				     : found;
}

/* ---- binds, C706 12.6.4.3, 12.6.4.1 ---------------------------------- */

static __always_inline void dcerpc_binds(struct step *s, struct dcerpc_own *own,
					 struct dcerpc_shared *shared,
					 __u32 call)
{
	bool first = u8_at(s, 2) == DCERPC_bind;
	__u32 count = u8_at(s, 24), number;

	if (!dcerpc_least(s, own->big, 16, DCERPC_must_receive) ||
	    !dcerpc_least(s, own->big, 18, DCERPC_must_receive))
		return bad(s, REASON_bad_value);
	if (s->have > 24 && !count)
		return bad(s, REASON_bad_value);
	if (s->have > 24 && 28 + 44 * count > own->left)
		return bad(s, REASON_bad_length);
	if (s->have < 28)
		return need(s, 28);
	own->count = count;
	own->phase = DCERPC_context;
	dcerpc_take(s, own, 28, 0);
	number = first ? DCERPC_binding : DCERPC_altering;
	dcerpc_ask(s, shared, number << 24 | call);
}

/* A context: id, number of transfer syntaxes, interface, its version. */
static __always_inline void dcerpc_presents(struct step *s,
					    struct dcerpc_own *own,
					    struct dcerpc_shared *shared)
{
	__u32 syntaxes = u8_at(s, 2), id = dcerpc_16(s, own->big, 0);
	__u32 function;

	if (s->have > 2 && !syntaxes)
		return bad(s, REASON_bad_value);
	if (24 + 20 * syntaxes + 44 * (own->count - 1) > own->left)
		return bad(s, REASON_bad_length);
	if (s->have < 24)
		return need(s, 24);
	function = forget(s, dcerpc_interface(s, own->big));
	if (id < DCERPC_contexts)
		((__u8 *)shared)[place_within(id, 16)] = function;
	s->function = function == DCERPC_sync2 || function == DCERPC_async3
			  ? DCERPC_read
			  : function;
	own->syntaxes = syntaxes;
	own->count--;
	own->phase = DCERPC_syntax;
	dcerpc_take(s, own, 24, 0);
}

/* NDR (C706 appendix I), NDR64 (RPCE 2.2.5), what is to be agreed on in place
 * of one (RPCE 2.2.2.14). */
static __always_inline bool dcerpc_transfer_known(const struct step *s,
						  bool big)
{
	__u32 first = dcerpc_32(s, big, 0);
	__u32 second = dcerpc_16(s, big, 4) << 16 | dcerpc_16(s, big, 6);

	if (first == 0x8a885d04)
		return second == 0x1ceb11c9;
	if (first == 0x71710533)
		return second == 0xbeba4937;
	return first == 0x6cb71c2c && second == 0x98124540;
}

/* UUID and version. */
static __always_inline void dcerpc_transfer(struct step *s,
					    struct dcerpc_own *own)
{
	if (s->have < 8)
		return need(s, 8);
	if (!dcerpc_transfer_known(s, own->big))
		return bad(s, REASON_bad_value);
	if (s->have < 20)
		return need(s, 20);
	own->syntaxes--;
	if (!own->syntaxes)
		own->phase = DCERPC_context;
	if (!own->syntaxes && !own->count && own->left != 20)
		return bad(s, REASON_bad_length);
	dcerpc_take(s, own, 20, 0);
}

/* C706 12.6.4.4: a port as text, a pad, results. */
static __always_inline void dcerpc_accepts(struct step *s,
					   struct dcerpc_own *own,
					   struct dcerpc_shared *shared,
					   __u32 call)
{
	__u32 wanted =
	    u8_at(s, 2) == DCERPC_bind_ack ? DCERPC_binding : DCERPC_altering;
	__u32 text = dcerpc_16(s, own->big, 24), place;
	__u32 padded = (26 + text + 3) & ~3U;

	place = dcerpc_find(s, shared, call);
	if (place > DCERPC_asked)
		return bad(s, REASON_unsolicited);
	if (place < DCERPC_asked &&
	    shared->asked[place_within(place, DCERPC_asked)] >> 24 != wanted)
		return bad(s, REASON_unsolicited);
	if (!dcerpc_least(s, own->big, 16, DCERPC_must_receive) ||
	    !dcerpc_least(s, own->big, 18, DCERPC_must_receive))
		return bad(s, REASON_bad_value);
	if (s->have >= 26 && padded + 4 > own->left)
		return bad(s, REASON_bad_length);
	if (s->have < 26)
		return need(s, 26);
	if (place < DCERPC_asked)
		shared->asked[place_within(place, DCERPC_asked)] = 0;
	else
		shared->forgotten--;
	own->phase = DCERPC_results;
	dcerpc_take(s, own, 26, padded - 26);
}

static __always_inline void dcerpc_result_count(struct step *s,
						struct dcerpc_own *own)
{
	__u32 count = u8_at(s, 0);

	if (4 + 24 * count != own->left)
		return bad(s, REASON_bad_length);
	if (s->have < 4)
		return need(s, 4);
	own->phase = DCERPC_result;
	dcerpc_take(s, own, 4, 0);
}

/* Acceptance, two kinds of rejection, RPCE 2.2.2.4: what was agreed on. */
static __always_inline void dcerpc_result_of(struct step *s,
					     struct dcerpc_own *own)
{
	if (s->have < 2)
		return need(s, 2);
	if (dcerpc_16(s, own->big, 0) > 3)
		return bad(s, REASON_bad_value);
	dcerpc_take(s, own, 2, 22);
}

static __always_inline void dcerpc_rejects(struct step *s,
					   struct dcerpc_own *own,
					   struct dcerpc_shared *shared,
					   __u32 call)
{
	__u32 place = dcerpc_find(s, shared, call);

	if (place > DCERPC_asked ||
	    (place < DCERPC_asked &&
	     shared->asked[place_within(place, DCERPC_asked)] >> 24 !=
		 DCERPC_binding))
		return bad(s, REASON_unsolicited);
	if (s->have < 18)
		return need(s, 18);
	if (dcerpc_16(s, own->big, 16) > 9) /* RPCE 2.2.2.9 */
		return bad(s, REASON_bad_value);
	if (place < DCERPC_asked)
		shared->asked[place_within(place, DCERPC_asked)] = 0;
	else
		shared->forgotten--;
	dcerpc_take(s, own, 18, own->left - 18);
}

/* ---- the authentication's trailer, RPCE 2.2.2.11 --------------------- */

static __always_inline bool dcerpc_provider(__u32 type)
{
	return type == 0 || type == 1 || type == 9 || type == 10 ||
	       type == 14 || type == 16 || type == 68 || type == 255;
}

static __always_inline void dcerpc_trail(struct step *s, struct dcerpc_own *own)
{
	if (!dcerpc_provider(u8_at(s, 0)))
		return bad(s, REASON_bad_value);
	if (s->have > 1 && (u8_at(s, 1) < 1 || u8_at(s, 1) > 6))
		return bad(s, REASON_bad_value);
	if (u8_at(s, 3))
		return bad(s, REASON_bad_value);
	if (s->have < 8)
		return need(s, 8);
	own->phase = DCERPC_between;
	take(s, 8, own->auth);
}

/* ---- the step -------------------------------------------------------- */

static __always_inline void dcerpc_pdu(struct step *s, struct dcerpc_own *own,
				       struct dcerpc_shared *shared)
{
	__u32 type = u8_at(s, 2), call;
	int reason = dcerpc_head(s);

	if (reason)
		return bad(s, reason);
	if (s->have < DCERPC_header)
		return need(s, DCERPC_header);
	own->big = !(u8_at(s, 4) & 0x10);
	own->auth = dcerpc_16(s, own->big, 10);
	own->left = dcerpc_16(s, own->big, 8) - (own->auth ? own->auth + 8 : 0);
	call = dcerpc_32(s, own->big, 12) & DCERPC_call;
	if (type == DCERPC_request)
		dcerpc_called(s, own, shared, call);
	else if (type == DCERPC_response || type == DCERPC_fault)
		dcerpc_answered(s, own, shared, call);
	else if (type == DCERPC_bind || type == DCERPC_alter)
		dcerpc_binds(s, own, shared, call);
	else if (type == DCERPC_bind_ack || type == DCERPC_alter_response)
		dcerpc_accepts(s, own, shared, call);
	else if (type == DCERPC_bind_nak)
		dcerpc_rejects(s, own, shared, call);
	else
		dcerpc_take(s, own, DCERPC_header, own->left - DCERPC_header);
	read_anew();
	if (s->answer == STEP_take) {
		if (type >= DCERPC_shutdown)
			s->function =
			    type == DCERPC_shutdown
				? DCERPC_canceled + 2
				: DCERPC_canceled + type - DCERPC_cancel;
		return;
	}
	own->big = 0; /* need() must leave no trace */
	own->auth = 0;
	own->left = 0;
}

static __always_inline void dcerpc_dispatch(struct step *s,
					    struct dcerpc_own *own,
					    struct dcerpc_shared *shared)
{
	switch (own->phase) {
	case DCERPC_between:
		return dcerpc_pdu(s, own, shared);
	case DCERPC_context:
		return dcerpc_presents(s, own, shared);
	case DCERPC_syntax:
		return dcerpc_transfer(s, own);
	case DCERPC_results:
		return dcerpc_result_count(s, own);
	case DCERPC_result:
		return dcerpc_result_of(s, own);
	case DCERPC_trailer:
		return dcerpc_trail(s, own);
	}
	bad(s, REASON_internal);
}

static __always_inline void dcerpc_step(struct step *s, struct state *st)
{
	struct dcerpc_own *own = (struct dcerpc_own *)st->own;

	dcerpc_dispatch(s, own, (struct dcerpc_shared *)st->shared);
	read_anew();
	if (s->answer != STEP_take)
		return;
	if (s->function != FUNCTION_none)
		says(s, s->function, dcerpc_class(s->function));
	if (own->phase != DCERPC_between)
		return;
	message_ends(s);
	__builtin_memset(own, 0, sizeof(*own));
}

#endif
