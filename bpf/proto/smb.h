/* SPDX-License-Identifier: GPL-2.0-only */
/* SMB 1, 2 and 3 over TCP: straight on port 445, in the NetBIOS session service
 * on 139.
 *
 * NB: RFC 1002 4.3. SMB2: [MS-SMB2]. CIFS: [MS-CIFS], with [MS-SMB].
 *
 * One stepper for both ports: a frame is four bytes of header on either (SMB2
 * 2.1), and only the session request that opens port 139 tells them apart. Who
 * begins with it speaks NetBIOS to the end (17-bit lengths, a grant before
 * all else of the server's); who does not has 24-bit lengths and no session
 * packet but the keep-alive. A port 139 where the request is left out is the
 * server's to refuse: no server grants that.
 *
 * Judged are each frame, each header, each command of an SMB2 compound or an
 * SMB 1 AndX chain, that its structure is that of the command, and that the
 * buffers it tells of lie inside it. Answers must have been asked for. Opaque
 * are data, names, and signatures, which need a key; so nobody here knows which
 * share or pipe a handle belongs to: a write to a pipe is a write.
 * Encrypted (SMB2 2.2.41) and compressed (2.2.42) messages are judged by their
 * headers alone, and from the client's first of them answers in clear are no
 * longer paired: nobody can tell what was asked. Refused are SMB 1's raw modes,
 * whose data has no header, and NetBIOS scopes.
 *
 * Check order is byte order, so that a message cut anywhere is refused for the
 * same reason as the whole one.
 */
#ifndef PORTCULLIS_PROTO_SMB_H
#define PORTCULLIS_PROTO_SMB_H

#include <stdbool.h>

#include "window.h"

/* Said by requests alone; answers are paired. What no client can do without and
 * what changes nothing is `read`, so that a rule for `read` admits a client
 * that reads. Below 0x20 stands SMB 2 (and NetBIOS). An SMB 1 command below
 * 0x40 has 0x20 added, the others are as they are, and from 0x60 on stand those
 * that a command shares with more dangerous ones. A right that is only asked
 * for (MAXIMUM_ALLOWED) is no write yet: what is done with it has a function of
 * its own.
 */
#define smb_FUNCTIONS(F)                                                       \
	F(1, "negotiate", read)                                                \
	F(2, "session-setup", read)                                            \
	F(3, "logoff", read)                                                   \
	F(4, "tree-connect", read)                                             \
	F(5, "tree-disconnect", read)                                          \
	F(6, "create", write)                                                  \
	F(7, "close", read)                                                    \
	F(8, "flush", write)                                                   \
	F(9, "read", read)                                                     \
	F(10, "write", write)                                                  \
	F(11, "lock", write)                                                   \
	F(12, "ioctl", other)                                                  \
	F(13, "cancel", read)                                                  \
	F(14, "echo", read)                                                    \
	F(15, "query-directory", read)                                         \
	F(16, "change-notify", read)                                           \
	F(17, "query-info", read)                                              \
	F(18, "set-info", write)                                               \
	F(19, "oplock-break", read)                                            \
	F(20, "open", read)                                                    \
	F(21, "open-write", write)                                             \
	F(22, "pipe-transceive", admin)                                        \
	F(23, "ioctl-query", read)                                             \
	F(24, "ioctl-change", write)                                           \
	F(25, "rename", write)                                                 \
	F(26, "delete", write)                                                 \
	F(27, "set-security", admin)                                           \
	F(28, "set-quota", admin)                                              \
	F(29, "encrypted", other)                                              \
	F(30, "compressed", other)                                             \
	F(31, "netbios-session", read)                                         \
	F(32, "smb1-create-directory", write)                                  \
	F(33, "smb1-delete-directory", write)                                  \
	F(34, "smb1-open", write)                                              \
	F(35, "smb1-create", write)                                            \
	F(36, "smb1-close", read)                                              \
	F(37, "smb1-flush", write)                                             \
	F(38, "smb1-delete", write)                                            \
	F(39, "smb1-rename", write)                                            \
	F(40, "smb1-query-information", read)                                  \
	F(41, "smb1-set-information", write)                                   \
	F(42, "smb1-read", read)                                               \
	F(43, "smb1-write", write)                                             \
	F(44, "smb1-lock-byte-range", write)                                   \
	F(45, "smb1-unlock-byte-range", write)                                 \
	F(46, "smb1-create-temporary", write)                                  \
	F(47, "smb1-create-new", write)                                        \
	F(48, "smb1-check-directory", read)                                    \
	F(49, "smb1-process-exit", read)                                       \
	F(50, "smb1-seek", read)                                               \
	F(51, "smb1-lock-and-read", write)                                     \
	F(52, "smb1-write-and-unlock", write)                                  \
	F(59, "smb1-read-mpx", read)                                           \
	F(62, "smb1-write-mpx", write)                                         \
	F(66, "smb1-set-information2", write)                                  \
	F(67, "smb1-query-information2", read)                                 \
	F(68, "smb1-locking", write)                                           \
	F(69, "smb1-transaction", admin)                                       \
	F(70, "smb1-transaction-secondary", admin)                             \
	F(71, "smb1-ioctl", other)                                             \
	F(73, "smb1-copy", write)                                              \
	F(74, "smb1-move", write)                                              \
	F(75, "smb1-echo", read)                                               \
	F(76, "smb1-write-and-close", write)                                   \
	F(77, "smb1-open-andx", write)                                         \
	F(78, "smb1-read-andx", read)                                          \
	F(79, "smb1-write-andx", write)                                        \
	F(82, "smb1-transaction2", other)                                      \
	F(83, "smb1-transaction2-secondary", write)                            \
	F(84, "smb1-find-close2", read)                                        \
	F(85, "smb1-find-notify-close", read)                                  \
	F(96, "smb1-oplock-break", read)                                       \
	F(97, "smb1-transaction2-query", read)                                 \
	F(98, "smb1-transaction2-set", write)                                  \
	F(99, "smb1-nt-open", read)                                            \
	F(100, "smb1-nt-open-write", write)                                    \
	F(101, "smb1-nt-query", read)                                          \
	F(102, "smb1-nt-change", write)                                        \
	F(103, "smb1-nt-set-security", admin)                                  \
	F(112, "smb1-tree-connect", read)                                      \
	F(113, "smb1-tree-disconnect", read)                                   \
	F(114, "smb1-negotiate", read)                                         \
	F(115, "smb1-session-setup", read)                                     \
	F(116, "smb1-logoff", read)                                            \
	F(117, "smb1-tree-connect-andx", read)                                 \
	F(128, "smb1-query-information-disk", read)                            \
	F(129, "smb1-search", read)                                            \
	F(130, "smb1-find", read)                                              \
	F(131, "smb1-find-unique", read)                                       \
	F(132, "smb1-find-close", read)                                        \
	F(160, "smb1-nt-transact", other)                                      \
	F(161, "smb1-nt-transact-secondary", write)                            \
	F(162, "smb1-nt-create", write)                                        \
	F(164, "smb1-nt-cancel", read)                                         \
	F(165, "smb1-nt-rename", write)                                        \
	F(192, "smb1-open-print-file", write)                                  \
	F(193, "smb1-write-print-file", write)                                 \
	F(194, "smb1-close-print-file", write)                                 \
	F(195, "smb1-get-print-queue", read)

enum {
	SMB_create = 6,
	SMB_ioctl = 12,
	SMB_set_info = 18,
	SMB_open = 20,
	SMB_open_write,
	SMB_pipe_transceive,
	SMB_ioctl_query,
	SMB_ioctl_change,
	SMB_rename,
	SMB_delete,
	SMB_set_security,
	SMB_set_quota,
	SMB_encrypted,
	SMB_compressed,
	SMB_netbios_session,
	SMB1_oplock_break = 96,
	SMB1_trans2_query,
	SMB1_trans2_set,
	SMB1_nt_open,
	SMB1_nt_open_write,
	SMB1_nt_query,
	SMB1_nt_change,
	SMB1_nt_set_security,

	/* NB 4.3.1 */
	NBSS_message = 0x00,
	NBSS_request = 0x81,
	NBSS_positive,
	NBSS_negative,
	NBSS_retarget,
	NBSS_keep_alive,
	NBSS_two_names = 68,

	SMB2_NEGOTIATE = 0,
	SMB2_LOGOFF = 2,
	SMB2_CREATE = 5,
	SMB2_LOCK = 10,
	SMB2_IOCTL = 11,
	SMB2_CANCEL = 12,
	SMB2_ECHO = 13,
	SMB2_SET_INFO = 17,
	SMB2_BREAK = 18,
	SMB2_NOTIFICATION = 19, /* SMB2 2.2.44 */
	SMB2_header = 64,
	SMB2_judged = 48, /* the signature is not */
	SMB2_least = 66,  /* with a StructureSize */
	SMB2_transform = 52,
	SMB2_compression = 16,
	SMB2_error = 9, /* StructureSize, SMB2 2.2.2 */
	SMB2_pending = 0x103,
	SMB2_any = 0x02ff, /* revision: negotiate again, SMB2 2.2.4 */

	SMB1_LOCKING = 0x24,
	SMB1_TRANSACTION = 0x25,
	SMB1_ECHO = 0x2b,
	SMB1_TRANSACTION2 = 0x32,
	SMB1_NEGOTIATE = 0x72,
	SMB1_NT_TRANSACT = 0xa0,
	SMB1_NT_CREATE = 0xa2,
	SMB1_NT_CANCEL = 0xa4,
	SMB1_header = 32,
	SMB1_least = 35,
	SMB1_no_andx = 0xff,

	SMB_asked = 6,
};

/* What comes next in a direction. */
enum smb_phase {
	SMB_AT_FRAME = 0,
	SMB_AT_NAME,  /* 32 letters and a zero, two times */
	SMB_AT_COUNT, /* the byte before the second name */
	SMB_AT_HEAD2,
	SMB_AT_BODY2,
	SMB_AT_TRANSFORM,
	SMB_AT_COMPRESSION,
	SMB_AT_HEAD1,
	SMB_AT_BLOCK1, /* words of a command */
	SMB_AT_BYTES1,
};

enum smb_mode {
	SMB_IS_CLOSED = 0, /* nothing negotiated */
	SMB_ASKED_1,	   /* negotiate sent, in an SMB 1 header */
	SMB_ASKED_2,
	SMB_AGAIN, /* answered by "SMB 2.???" */
	SMB_IS_1,
	SMB_IS_2,
};

enum smb_session {
	NBSS_NONE = 0, /* straight over TCP */
	NBSS_ASKED,
	NBSS_GRANTED,
	NBSS_REFUSED,
};

struct smb_own {
	__u8 phase;   /* enum smb_phase */
	__u8 command; /* of SMB 1 or 2 */
	__u8 andx;    /* command that follows, SMB1_no_andx: none */
	__u8 failed;  /* an answer whose status is not 0 */
	__u32 left;   /* bytes of the frame to come */
	__u32 size;   /* of these: of this command, SMB 2 */
	__u32 at;     /* place behind the header's first byte, SMB 1 */
	__u32 jump;   /* place of the command that follows */
	__u32 pad;
} __attribute__((may_alias));
_Static_assert(sizeof(struct smb_own) == OWN_BYTES, "smb: own");

/* Requests without an answer. A client may have hundreds (credits, SMB2
 * 3.2.4.1.2), and CHANGE_NOTIFY waits for days, so a full table must not end
 * the conversation: the place that was not renewed for longest is given up and
 * counted as forgotten, and that many answers are later accepted without
 * knowing to what. Never are there more final answers than requests, but of SMB
 * 1, where a request may have several.
 */
struct smb_shared {
	__u8 mode;    /* enum smb_mode */
	__u8 session; /* enum smb_session */
	__u8 next;    /* place to be given up */
	__u8 hidden;  /* the client has encrypted or compressed */
	__u16 forgotten;
	__u16 revision;		/* dialect of SMB 2 */
	__u32 asked[SMB_asked]; /* smb_key(), 0: free */
} __attribute__((may_alias));
_Static_assert(sizeof(struct smb_shared) == SHARED_BYTES, "smb: shared");

static __always_inline __u8 smb_class(__u32 number)
{
	switch (number) {
#define F(code, name, class)                                                   \
	case code:                                                             \
		return CLASS_##class;
		smb_FUNCTIONS(F)
#undef F
	}
	return CLASS_none;
}

#define SMB_BIT(number, word)                                                  \
	((number) >> 6 == (word) ? 1ULL << (number) % 64 : 0)

/* Is there a function of this number? */
static __always_inline bool smb_known(__u32 number)
{
#define F(number, name, class) | SMB_BIT(number, 0)
	const __u64 first = 0 smb_FUNCTIONS(F);
#undef F
#define F(number, name, class) | SMB_BIT(number, 1)
	const __u64 second = 0 smb_FUNCTIONS(F);
#undef F
#define F(number, name, class) | SMB_BIT(number, 2)
	const __u64 third = 0 smb_FUNCTIONS(F);
#undef F
#define F(number, name, class) | SMB_BIT(number, 3)
	const __u64 fourth = 0 smb_FUNCTIONS(F);
#undef F
	__u64 low = number & 64 ? second : first;
	__u64 high = number & 64 ? fourth : third;

	return (number & 128 ? high : low) >> number % 64 & 1;
}

/* Is this byte, if it is there, another than `want`? */
static __always_inline bool smb_differs(const struct step *s, __u32 off,
					__u8 want)
{
	return s->have > off && u8_at(s, off) != want;
}

/* ---- requests and their answers -------------------------------------- */

/* Never 0. */
static __always_inline __u32 smb_key(__u32 command, __u32 id)
{
	return command << 24 | 0x800000 | (id & 0x7fffff);
}

static __always_inline __u32 smb_find(struct step *s,
				      const struct smb_shared *h, __u32 key)
{
	__u32 place;

	for (place = 0; place < SMB_asked; place++)
		if (h->asked[place] == key)
			break;
	return forget(s, place);
}

static __always_inline void smb_remember(struct step *s, struct smb_shared *h,
					 __u32 key)
{
	__u32 place = smb_find(s, h, 0);

	if (place >= SMB_asked) {
		place = h->next;
		h->next = place + 1 < SMB_asked ? place + 1 : 0;
		if (h->forgotten < 0xffff)
			h->forgotten++;
	}
	place = forget(s, place);
	if (place < SMB_asked)
		h->asked[place] = key;
}

/* Was it asked for? A last answer gives its place free. */
static __always_inline bool smb_answers(struct step *s, struct smb_shared *h,
					__u32 key, bool is_last)
{
	__u32 place = smb_find(s, h, key);

	if (place < SMB_asked) {
		if (is_last)
			h->asked[place] = 0;
		return true;
	}
	if (!h->forgotten)
		return h->hidden;
	if (is_last)
		h->forgotten--;
	return true;
}

/* ---- frames, NB 4.3.1 and SMB2 2.1 ----------------------------------- */

/* May a message with this first byte come now? */
static __always_inline enum portcullis_reason
smb_kind(const struct step *s, const struct smb_shared *h, __u8 first)
{
	__u8 mode = h->mode;

	switch (first) {
	case 0xff:
		if (mode == SMB_IS_1 ||
		    mode == (s->from_server ? SMB_ASKED_1 : SMB_IS_CLOSED))
			return REASON_none;
		break;
	case 0xfe:
		if (mode == SMB_IS_2)
			return REASON_none;
		if (s->from_server ? mode == SMB_ASKED_1 || mode == SMB_ASKED_2
				   : mode == SMB_IS_CLOSED || mode == SMB_AGAIN)
			return REASON_none;
		break;
	case 0xfd: /* SMB2 2.2.41: SMB 3 */
		if (mode == SMB_IS_2 && h->revision >= 0x300)
			return REASON_none;
		break;
	case 0xfc: /* SMB2 2.2.42: 3.1.1 */
		if (mode == SMB_IS_2 && h->revision >= 0x311)
			return REASON_none;
		break;
	default:
		return REASON_bad_magic;
	}
	return REASON_bad_order;
}

static __always_inline __u32 smb_least(__u8 first)
{
	switch (first) {
	case 0xff:
		return SMB1_least;
	case 0xfe:
		return SMB2_least;
	case 0xfd:
		return SMB2_transform + SMB2_compression;
	}
	return SMB2_compression + 1;
}

static __always_inline __u8 smb_first_phase(__u8 first)
{
	switch (first) {
	case 0xff:
		return SMB_AT_HEAD1;
	case 0xfe:
		return SMB_AT_HEAD2;
	case 0xfd:
		return SMB_AT_TRANSFORM;
	}
	return SMB_AT_COMPRESSION;
}

/* Four bytes of frame, and the four that every message begins with. */
static __always_inline void smb_message(struct step *s, struct smb_own *own,
					struct smb_shared *h)
{
	__u32 length = be24_at(s, 1), first = u8_at(s, 4);
	bool is_unasked = s->from_server && h->mode == SMB_IS_CLOSED;
	enum portcullis_reason reason;

	/* What a client sends before the grant is lost if there is none. */
	if (h->session == NBSS_REFUSED ||
	    (h->session == NBSS_ASKED && s->from_server))
		return bad(s, REASON_bad_order);
	if (h->session != NBSS_NONE && length > 0x1ffff)
		return bad(s, REASON_bad_length);
	if (s->have > 3 && length <= SMB2_compression)
		return bad(s, REASON_bad_length);
	if (s->have > 4) {
		reason = smb_kind(s, h, first);
		/* That nobody asked is said when it is sure to be SMB. */
		if (reason && !(reason == REASON_bad_order && is_unasked))
			return bad(s, reason);
		if (length < smb_least(first))
			return bad(s, REASON_bad_length);
	}
	if (smb_differs(s, 5, 'S') || smb_differs(s, 6, 'M') ||
	    smb_differs(s, 7, 'B'))
		return bad(s, REASON_bad_magic);
	if (s->have < 8)
		return need(s, 8);
	if (is_unasked)
		return bad(s, REASON_unsolicited);
	own->left = length;
	own->phase = smb_first_phase(first);
	take(s, 4, 0);
}

/* NB 4.3.2: who is called, and who calls. */
static __always_inline void
smb_session_request(struct step *s, struct smb_own *own, struct smb_shared *h)
{
	if (s->from_server)
		return bad(s, REASON_bad_direction);
	if (h->session != NBSS_NONE || h->mode != SMB_IS_CLOSED)
		return bad(s, REASON_bad_order);
	if (smb_differs(s, 1, 0) || smb_differs(s, 2, 0) ||
	    smb_differs(s, 3, NBSS_two_names))
		return bad(s, REASON_bad_length);
	if (smb_differs(s, 4, 32))
		return bad(s, REASON_bad_value);
	if (s->have < 5)
		return need(s, 5);
	own->left = NBSS_two_names - 1;
	own->phase = SMB_AT_NAME;
	take(s, 5, 0);
}

/* NB 4.1: half a byte a letter, 'A' to 'P'. Name and zero. */
static __always_inline void smb_name(struct step *s, struct smb_own *own,
				     struct smb_shared *h)
{
	__u64 marks = 0;
	__u32 i, to = s->have < 32 ? s->have : 32;

	for (i = 0; i < 4; i++) {
		__u64 letters = word_at(s, i) - EACH_BYTE('A');
		__u64 there = ~0ULL;

		if (to < i * 8 + 8)
			there = to > i * 8 ? ~(~0ULL << (to - i * 8) * 8) : 0;
		marks |= letters & EACH_BYTE(0xf0) & there;
	}
	if (marks)
		return bad(s, REASON_bad_value);
	if (smb_differs(s, 32, 0)) /* a scope */
		return bad(s, REASON_bad_value);
	if (s->have < 33)
		return need(s, 33);
	own->left -= 33;
	if (own->left) {
		own->phase = SMB_AT_COUNT;
	} else {
		own->phase = SMB_AT_FRAME;
		h->session = NBSS_ASKED;
		s->function = SMB_netbios_session;
		message_ends(s);
	}
	take(s, 33, 0);
}

static __always_inline void smb_name_count(struct step *s, struct smb_own *own)
{
	if (u8_at(s, 0) != 32)
		return bad(s, REASON_bad_value);
	own->left--;
	own->phase = SMB_AT_NAME;
	take(s, 1, 0);
}

/* NB 4.3.3 to 4.3.5: granted, refused, or called elsewhere. */
static __always_inline void smb_session_answer(struct step *s,
					       struct smb_shared *h)
{
	__u8 type = u8_at(s, 0), code = u8_at(s, 4);
	__u32 length = type == NBSS_positive   ? 0
		       : type == NBSS_negative ? 1
					       : 6;

	if (!s->from_server)
		return bad(s, REASON_bad_direction);
	if (smb_differs(s, 1, 0) || smb_differs(s, 2, 0) ||
	    smb_differs(s, 3, length))
		return bad(s, REASON_bad_length);
	if (type == NBSS_negative && s->have > 4 && code != 0x8f &&
	    (code < 0x80 || code > 0x83))
		return bad(s, REASON_bad_value);
	if (s->have < 4 + length)
		return need(s, 4 + length);
	if (h->session != NBSS_ASKED)
		return bad(s, REASON_unsolicited);
	h->session = type == NBSS_positive ? NBSS_GRANTED : NBSS_REFUSED;
	take(s, 4 + length, 0);
	message_ends(s);
}

/* NB 4.3.6; Windows sends them on port 445 too. */
static __always_inline void smb_keep_alive(struct step *s,
					   const struct smb_shared *h)
{
	if (h->mode == SMB_IS_CLOSED && h->session != NBSS_GRANTED)
		return bad(s, REASON_bad_order);
	if (smb_differs(s, 1, 0) || smb_differs(s, 2, 0) ||
	    smb_differs(s, 3, 0))
		return bad(s, REASON_bad_length);
	if (s->have < 4)
		return need(s, 4);
	take(s, 4, 0);
	message_ends(s);
}

static __always_inline void smb_frame(struct step *s, struct smb_own *own,
				      struct smb_shared *h)
{
	switch (u8_at(s, 0)) {
	case NBSS_message:
		return smb_message(s, own, h);
	case NBSS_request:
		return smb_session_request(s, own, h);
	case NBSS_positive:
	case NBSS_negative:
	case NBSS_retarget:
		return smb_session_answer(s, h);
	case NBSS_keep_alive:
		return smb_keep_alive(s, h);
	}
	bad(s, REASON_bad_magic);
}

/* The frame ends behind what was taken, or goes on in `phase`. */
static __always_inline void smb_ends(struct step *s, struct smb_own *own,
				     __u8 phase)
{
	own->phase = own->left ? phase : SMB_AT_FRAME;
	if (!own->left)
		message_ends(s);
}

/* ---- SMB 2: what hides a message ------------------------------------- */

static __always_inline void smb_hides(struct step *s, struct smb_own *own,
				      struct smb_shared *h, __u32 n,
				      __u32 number)
{
	if (!s->from_server) {
		h->hidden = 1;
		s->function = number;
	}
	take(s, n, own->left - n);
	own->left = 0;
	smb_ends(s, own, SMB_AT_FRAME);
}

/* SMB2 2.2.41. Size and flags; signature, nonce and session are opaque. */
static __always_inline void smb_transform(struct step *s, struct smb_own *own,
					  struct smb_shared *h)
{
	__u32 size = le32_at(s, 36), want = own->left - SMB2_transform;

	if (s->have >= 40 ? size != want : size > 0xffffff)
		return bad(s, REASON_bad_length);
	if (smb_differs(s, 42, 1) || smb_differs(s, 43, 0))
		return bad(s, REASON_bad_value);
	if (s->have < SMB2_transform)
		return need(s, SMB2_transform);
	smb_hides(s, own, h, SMB2_transform, SMB_encrypted);
}

/* SMB2 2.2.42.1: what stands uncompressed in front must be there (an offset
 * beyond it is CVE-2020-0796); chained, the same place holds the length of the
 * first payload. The whole is no longer than a frame may be. */
static __always_inline void smb_compression(struct step *s, struct smb_own *own,
					    struct smb_shared *h)
{
	__u32 left = own->left - SMB2_compression;

	if (le32_at(s, 4) > 0xffffff)
		return bad(s, REASON_too_long);
	if (s->have > 8 && u8_at(s, 8) > 5)
		return bad(s, REASON_bad_value);
	if (smb_differs(s, 9, 0) || (s->have > 10 && u8_at(s, 10) > 1) ||
	    smb_differs(s, 11, 0))
		return bad(s, REASON_bad_value);
	if (le32_at(s, 12) > left)
		return bad(s, REASON_bad_length);
	if (s->have < SMB2_compression)
		return need(s, SMB2_compression);
	smb_hides(s, own, h, SMB2_compression, SMB_compressed);
}

/* ---- SMB 2: the header, 2.2.1 ---------------------------------------- */

/* Negotiate comes first and only then; who may say what. */
static __always_inline enum portcullis_reason
smb_command2(const struct step *s, const struct smb_shared *h)
{
	__u8 command = u8_at(s, 12);

	if (s->have <= 12)
		return REASON_none;
	if (command > SMB2_NOTIFICATION || smb_differs(s, 13, 0))
		return REASON_bad_function;
	if (command == (s->from_server ? SMB2_CANCEL : SMB2_NOTIFICATION))
		return REASON_bad_direction;
	if ((command == SMB2_NEGOTIATE) != (h->mode != SMB_IS_2))
		return REASON_bad_order;
	return REASON_none;
}

/* 01 answer, 02 async, 04 related, 08 signed, 70 priority; 10 DFS, 20 replay */
static __always_inline enum portcullis_reason smb_flags2(const struct step *s)
{
	if (s->have > 16 && (u8_at(s, 16) & 1) != !!s->from_server)
		return REASON_bad_direction;
	if (u8_at(s, 16) & 0x80 || smb_differs(s, 17, 0) ||
	    smb_differs(s, 18, 0) || u8_at(s, 19) & 0xcf)
		return REASON_bad_value;
	return REASON_none;
}

/* Where the next command of the compound begins. */
static __always_inline enum portcullis_reason
smb_next2(const struct step *s, const struct smb_own *own)
{
	__u32 next = le32_at(s, 20);

	if (u8_at(s, 20) & 7)
		return REASON_bad_value;
	if (next && (__u64)next + SMB2_least > own->left)
		return REASON_bad_length;
	if (s->have < 24 || !next)
		return REASON_none;
	if (u8_at(s, 12) == SMB2_NEGOTIATE)
		return REASON_bad_order;
	return next < SMB2_least ? REASON_bad_length : REASON_none;
}

/* What nobody asked for has all bits set, and only oplock breaks and
 * notifications are that. 2.2.23.1, 2.2.44.1 */
static __always_inline bool smb_unasked2(const struct step *s)
{
	return le32_at(s, 24) == ~0U && le32_at(s, 28) == ~0U;
}

static __always_inline enum portcullis_reason smb_pair2(struct step *s,
							struct smb_shared *h)
{
	__u8 command = u8_at(s, 12);
	__u32 key = smb_key(command, le32_at(s, 24));
	bool is_last = le32_at(s, 8) != SMB2_pending || !(u8_at(s, 16) & 2);

	if (command == SMB2_NEGOTIATE)
		return REASON_none; /* the mode pairs it */
	if (smb_unasked2(s))
		return s->from_server && command >= SMB2_BREAK
			   ? REASON_none
			   : REASON_bad_value;
	if (command == SMB2_NOTIFICATION)
		return REASON_bad_value;
	if (s->from_server && smb_answers(s, h, key, is_last))
		return REASON_none;
	/* Some server answers LOGOFF as ECHO; both have the same structure. */
	if (s->from_server && command == SMB2_ECHO) {
		key = smb_key(SMB2_LOGOFF, le32_at(s, 24));
		if (smb_answers(s, h, key, is_last))
			return REASON_none;
	}
	if (s->from_server)
		return REASON_unsolicited;
	if (command != SMB2_CANCEL) /* 2.2.30: has no answer */
		smb_remember(s, h, key);
	return REASON_none;
}

static __always_inline void smb_head2(struct step *s, struct smb_own *own,
				      struct smb_shared *h)
{
	enum portcullis_reason reason;
	__u32 next = le32_at(s, 20);

	if (u8_at(s, 0) != 0xfe || smb_differs(s, 1, 'S') ||
	    smb_differs(s, 2, 'M') || smb_differs(s, 3, 'B') ||
	    smb_differs(s, 4, SMB2_header) || smb_differs(s, 5, 0))
		return bad(s, REASON_bad_magic);
	reason = smb_command2(s, h);
	if (!reason)
		reason = smb_flags2(s);
	if (!reason)
		reason = smb_next2(s, own);
	if (reason)
		return bad(s, reason);
	if (s->have < SMB2_judged)
		return need(s, SMB2_judged);
	reason = smb_pair2(s, h);
	if (reason)
		return bad(s, reason);
	own->command = u8_at(s, 12);
	own->failed = s->from_server && le32_at(s, 8) != 0;
	own->size = (next ? next : own->left) - SMB2_header;
	own->left -= SMB2_header;
	own->phase = SMB_AT_BODY2;
	take(s, SMB2_judged, SMB2_header - SMB2_judged);
}

/* ---- SMB 2: what follows the header ---------------------------------- */

/* A structure: its StructureSize; how many bytes of it are looked at; where
 * offset and length of its buffer stand and how wide they are (3 is four). */
#define SMB2_BODY(size, look, offset, offset_width, length, length_width)      \
	((size) | (look) << 8 | (offset) << 16 | (length) << 22 |              \
	 (__u32)(offset_width) << 28 | (__u32)(length_width) << 30)
#define SMB2_SIMPLE(size) SMB2_BODY(size, 2, 0, 0, 0, 0)

static __always_inline __u32 smb_request2(__u8 command)
{
	switch (command) {
	case 0: /* 2.2.3, with the first dialect */
		return SMB2_BODY(36, 38, 0, 0, 0, 0);
	case 1: /* 2.2.5 */
		return SMB2_BODY(25, 16, 12, 2, 14, 2);
	case 3: /* 2.2.9 */
		return SMB2_BODY(9, 8, 4, 2, 6, 2);
	case 5: /* 2.2.13 */
		return SMB2_BODY(57, 56, 44, 2, 46, 2);
	case 6: /* 2.2.15, 2.2.17 */
	case 7:
		return SMB2_SIMPLE(24);
	case 8: /* 2.2.19 */
		return SMB2_BODY(49, 48, 44, 2, 46, 2);
	case 9: /* 2.2.21 */
		return SMB2_BODY(49, 8, 2, 2, 4, 3);
	case 10: /* 2.2.26 */
		return SMB2_BODY(48, 4, 0, 0, 0, 0);
	case 11: /* 2.2.31 */
		return SMB2_BODY(57, 32, 24, 3, 28, 3);
	case 14: /* 2.2.33 */
		return SMB2_BODY(33, 28, 24, 2, 26, 2);
	case 15: /* 2.2.35 */
		return SMB2_SIMPLE(32);
	case 16: /* 2.2.37 */
		return SMB2_BODY(41, 16, 8, 2, 12, 3);
	case 17: /* 2.2.39 */
		return SMB2_BODY(33, 10, 8, 2, 4, 3);
	case 18: /* 2.2.24.1 */
		return SMB2_SIMPLE(24);
	}
	return SMB2_SIMPLE(4); /* logoff, tree disconnect, cancel, echo */
}

static __always_inline __u32 smb_answer2(__u8 command)
{
	switch (command) {
	case 0: /* 2.2.4: the revision */
		return SMB2_BODY(65, 6, 0, 0, 0, 0);
	case 1: /* 2.2.6 */
		return SMB2_BODY(9, 8, 4, 2, 6, 2);
	case 3: /* 2.2.10 */
		return SMB2_SIMPLE(16);
	case 5: /* 2.2.14 */
		return SMB2_SIMPLE(89);
	case 6: /* 2.2.16 */
		return SMB2_SIMPLE(60);
	case 8: /* 2.2.20 */
		return SMB2_BODY(17, 8, 2, 1, 4, 3);
	case 9: /* 2.2.22 */
		return SMB2_SIMPLE(17);
	case 11: /* 2.2.32 */
		return SMB2_BODY(49, 40, 32, 3, 36, 3);
	case 14: /* 2.2.34, 2.2.36, 2.2.38 */
	case 15:
	case 16:
		return SMB2_BODY(9, 8, 2, 2, 4, 3);
	case 17: /* 2.2.40 */
		return SMB2_SIMPLE(2);
	case 18: /* 2.2.23.1, 2.2.25.1 */
		return SMB2_SIMPLE(24);
	}
	return SMB2_SIMPLE(4);
}

/* The structure that the first two bytes, as far as they are there, tell; 0:
 * the command has none such. */
static __always_inline __u32 smb_body2(struct step *s,
				       const struct smb_own *own)
{
	__u8 size = u8_at(s, 0), command = own->command;
	__u32 body =
	    s->from_server ? smb_answer2(command) : smb_request2(command);

	if (smb_differs(s, 1, 0))
		return 0;
	if (size == (body & 0xff))
		return body;
	if (command == SMB2_BREAK && /* leases: 2.2.23.2, 2.2.24.2, 2.2.25.2 */
	    (size == 36 || (s->from_server && size == 44)))
		return SMB2_SIMPLE(size);
	if (size == SMB2_error && own->failed) /* 2.2.2: count, data */
		return SMB2_BODY(SMB2_error, 8, 0, 0, 4, 3);
	return 0;
}

/* Little endian, one, two or four bytes. */
static __always_inline __u32 smb_field(const struct step *s, __u32 off,
				       __u32 width)
{
	__u32 value = le32_at(s, off);

	return width == 3 ? value : value & ((1U << width * 8) - 1);
}

/* Does a buffer of the command lie inside it? Bytes still to come read as zero,
 * the least they can become. */
static __always_inline bool smb_buffer2(const struct step *s,
					const struct smb_own *own, __u32 body)
{
	__u32 end = SMB2_header + own->size;
	__u64 offset = smb_field(s, body >> 16 & 63, body >> 28 & 3);
	__u32 length = smb_field(s, body >> 22 & 63, body >> 30);

	if (!(body >> 28 & 3)) /* of an error: fixed */
		offset = body >> 30 ? SMB2_header + 8 : 0;
	if (!length || !(body >> 30))
		return true;
	if (offset + length > end)
		return false;
	return s->have < (body >> 8 & 0xff) || offset >= SMB2_header;
}

/* ---- SMB 2: functions ------------------------------------------------ */

/* DesiredAccess, CreateDisposition and CreateOptions of 2.2.13, CIFS 2.2.4.64:
 * is it opened, opened to be written, or made, overwritten or deleted? */
static __always_inline __u32 smb_create(__u32 access, __u32 disposition,
					__u32 options)
{
	/* write and append data, extended and plain attributes, delete child,
	 * delete, write DAC and owner, all, write */
	const __u32 writes = 0x2 | 0x4 | 0x10 | 0x40 | 0x100 | 0x10000 |
			     0x40000 | 0x80000 | 0x10000000 | 0x40000000;

	if (disposition != 1 || options & 0x1000) /* delete on close */
		return 0;
	return access & writes ? 2 : 1;
}

/* 2.2.31, [MS-FSCC] 2.3. */
static __always_inline __u32 smb_control(__u32 code)
{
	switch (code) {
	case 0x0011c017: /* pipe transceive */
		return SMB_pipe_transceive;
	case 0x00060194: /* DFS referrals */
	case 0x000601b0:
	case 0x00090028: /* is path name valid */
	case 0x0009003c: /* compression */
	case 0x00090078: /* is volume dirty */
	case 0x0009009c: /* object id */
	case 0x000900a8: /* reparse point */
	case 0x000940cf: /* allocated ranges */
	case 0x00094264: /* offload read */
	case 0x0009027c: /* integrity */
	case 0x000903d3: /* file regions */
	case 0x00110018: /* pipe wait */
	case 0x0011400c: /* pipe peek */
	case 0x00140078: /* resume key */
	case 0x001401d4: /* resiliency */
	case 0x001401fc: /* network interfaces */
	case 0x00140204: /* validate negotiate */
	case 0x00144064: /* snapshots */
	case 0x001441bb: /* hash */
		return SMB_ioctl_query;
	case 0x00090098: /* object id */
	case 0x000900a0:
	case 0x000900a4: /* reparse point */
	case 0x000900ac:
	case 0x000900bc:
	case 0x000900c0:
	case 0x000900c4: /* sparse */
	case 0x000900d7: /* encryption */
	case 0x00098208: /* trim */
	case 0x000980c8: /* zero data */
	case 0x00098268: /* offload write */
	case 0x00098344: /* duplicate extents */
	case 0x0009c040: /* compression */
	case 0x0009c280: /* integrity */
	case 0x001440f2: /* copy chunk */
	case 0x001480f2:
		return SMB_ioctl_change;
	}
	return SMB_ioctl;
}

/* 2.2.39, [MS-FSCC] 2.4. */
static __always_inline __u32 smb_set(__u8 type, __u8 class)
{
	if (type == 3)
		return SMB_set_security;
	if (type == 4)
		return SMB_set_quota;
	if (type == 1 && (class == 10 || class == 65))
		return SMB_rename;
	if (type == 1 && (class == 13 || class == 64))
		return SMB_delete;
	return SMB_set_info;
}

static __always_inline __u32 smb_function2(const struct step *s, __u8 command)
{
	__u32 made;

	if (command == SMB2_IOCTL)
		return smb_control(le32_at(s, 4));
	if (command == SMB2_SET_INFO)
		return smb_set(u8_at(s, 2), u8_at(s, 3));
	if (command != SMB2_CREATE)
		return command + 1;
	made = smb_create(le32_at(s, 24), le32_at(s, 36), le32_at(s, 40));
	return made ? SMB_open - 1 + made : SMB_create;
}

/* ---- SMB 2: the body ------------------------------------------------- */

/* What is told of a command beside its buffer. */
static __always_inline enum portcullis_reason
smb_more2(const struct step *s, const struct smb_own *own)
{
	__u32 end = SMB2_header + own->size, count = le16_at(s, 2);
	__u32 offset = le32_at(s, 48), length = le32_at(s, 52);

	if (s->from_server)
		return REASON_none;
	if (own->command == SMB2_NEGOTIATE && s->have > 3) {
		/* 2.2.3: 0202, 0210, 0300, 0302, 0311 */
		if (!count || 36 + 2 * count > own->size)
			return REASON_bad_length;
		if (s->have > 37 && u8_at(s, 37) != 2 && u8_at(s, 37) != 3)
			return REASON_bad_value;
	}
	if (own->command == SMB2_LOCK && s->have > 3 &&
	    (!count || 24 + 24 * count > own->size))
		return REASON_bad_length;
	if (own->command == SMB2_CREATE && length) { /* contexts */
		if ((__u64)offset + length > end ||
		    (s->have > 55 && offset < SMB2_header))
			return REASON_bad_length;
	}
	if (own->command == SMB2_SET_INFO && s->have > 2 &&
	    (u8_at(s, 2) < 1 || u8_at(s, 2) > 4))
		return REASON_bad_value;
	return REASON_none;
}

/* The server has chosen. 2.2.4, 3.3.5.3.1 */
static __always_inline enum portcullis_reason
smb_chosen2(const struct step *s, const struct smb_own *own,
	    struct smb_shared *h)
{
	__u16 revision = le16_at(s, 4);

	if (own->failed) {
		h->mode = SMB_IS_CLOSED;
		return REASON_none;
	}
	if (u8_at(s, 5) < 2 || u8_at(s, 5) > 3)
		return REASON_bad_value;
	if (revision == SMB2_any && h->mode != SMB_ASKED_1)
		return REASON_bad_value;
	h->mode = revision == SMB2_any ? SMB_AGAIN : SMB_IS_2;
	h->revision = revision;
	return REASON_none;
}

static __always_inline void smb_body(struct step *s, struct smb_own *own,
				     struct smb_shared *h)
{
	__u32 body = forget(s, smb_body2(s, own));
	__u32 look = body >> 8 & 0xff;
	enum portcullis_reason reason;

	if (!body || (body & 0xfe) > own->size)
		return bad(s, REASON_bad_length);
	reason = smb_more2(s, own);
	if (reason)
		return bad(s, reason);
	if (s->have > 1 && !smb_buffer2(s, own, body))
		return bad(s, REASON_bad_length);
	if (s->have < look)
		return need(s, look);
	if (!s->from_server)
		s->function = smb_function2(s, own->command);
	if (own->command == SMB2_NEGOTIATE && s->from_server) {
		reason = smb_chosen2(s, own, h);
		if (reason)
			return bad(s, reason);
	} else if (own->command == SMB2_NEGOTIATE) {
		h->mode = SMB_ASKED_2;
	}
	take(s, look, own->size - look);
	own->left -= own->size;
	smb_ends(s, own, SMB_AT_HEAD2);
}

/* ---- SMB 1: the header, CIFS 2.2.3.1 --------------------------------- */

static __always_inline __u32 smb_number1(__u32 command)
{
	return command < 0x40 ? command + 0x20 : command;
}

/* A command with a number of its own, not one that a sub-command has. */
static __always_inline bool smb_known1(__u32 command)
{
	return (command < 0x40 || command >= 0x70) &&
	       smb_known(smb_number1(command));
}

/* Commands whose answer comes in several, CIFS 2.2.4.33, 2.2.4.39. */
static __always_inline bool smb_many1(__u8 command)
{
	return command == SMB1_TRANSACTION || command == SMB1_TRANSACTION2 ||
	       command == SMB1_NT_TRANSACT || command == SMB1_ECHO;
}

/* Which have none: CIFS 2.2.4.34, 2.2.4.47, 2.2.4.63, 2.2.4.65. */
static __always_inline bool smb_mute1(__u8 command)
{
	return command == SMB1_TRANSACTION + 1 ||
	       command == SMB1_TRANSACTION2 + 1 ||
	       command == SMB1_NT_TRANSACT + 1 || command == SMB1_NT_CANCEL;
}

/* A server asks one thing: give up an oplock. CIFS 3.3.4.2 */
static __always_inline bool smb_unasked1(const struct step *s)
{
	return s->from_server && u8_at(s, 4) == SMB1_LOCKING &&
	       !(u8_at(s, 9) & 0x80);
}

static __always_inline enum portcullis_reason
smb_command1(const struct step *s, const struct smb_shared *h)
{
	__u8 command = u8_at(s, 4);

	if (s->have <= 4)
		return REASON_none;
	if (!smb_known1(command))
		return REASON_bad_function;
	if ((command == SMB1_NEGOTIATE) != (h->mode != SMB_IS_1))
		return REASON_bad_order;
	if (s->have > 9 && (u8_at(s, 9) >> 7) != !!s->from_server &&
	    !smb_unasked1(s))
		return REASON_bad_direction;
	return REASON_none;
}

static __always_inline enum portcullis_reason smb_pair1(struct step *s,
							struct smb_shared *h)
{
	__u8 command = u8_at(s, 4);
	__u32 key = smb_key(command, le16_at(s, 30) ^ le16_at(s, 26) << 7);

	if (command == SMB1_NEGOTIATE) {
		h->mode = s->from_server ? SMB_IS_1 : SMB_ASKED_1;
		return REASON_none;
	}
	if (smb_unasked1(s))
		return REASON_none;
	if (s->from_server)
		return smb_answers(s, h, key, !smb_many1(command))
			   ? REASON_none
			   : REASON_unsolicited;
	if (!smb_mute1(command) && smb_find(s, h, key) == SMB_asked)
		smb_remember(s, h, key);
	return REASON_none;
}

static __always_inline void smb_head1(struct step *s, struct smb_own *own,
				      struct smb_shared *h)
{
	enum portcullis_reason reason = smb_command1(s, h);

	if (reason)
		return bad(s, reason);
	if (s->have < SMB1_header)
		return need(s, SMB1_header);
	reason = smb_pair1(s, h);
	if (reason)
		return bad(s, reason);
	own->command = u8_at(s, 4);
	own->at = SMB1_header;
	own->left -= SMB1_header;
	own->phase = SMB_AT_BLOCK1;
	take(s, SMB1_header, 0);
}

/* ---- SMB 1: words ---------------------------------------------------- */

/* How many words a request has, least | most << 8. CIFS 2.2.4 */
static __always_inline __u32 smb_words1(__u8 command)
{
	switch (command) {
	case 0x05:
	case 0x06:
	case 0x07:
	case 0x23:
	case 0x2b:
	case 0x34:
	case 0x35:
	case 0xc1:
	case 0xc2:
		return 1 | 1 << 8;
	case 0x02:
	case 0x74:
	case 0x81 ... 0x84:
	case 0xc0:
	case 0xc3:
		return 2 | 2 << 8;
	case 0x03:
	case 0x04:
	case 0x0e:
	case 0x0f:
	case 0x29:
	case 0x2a:
		return 3 | 3 << 8;
	case 0x12:
	case 0x75:
	case 0xa5:
		return 4 | 4 << 8;
	case 0x0a ... 0x0d:
	case 0x13:
	case 0x14:
		return 5 | 5 << 8;
	case 0x22:
		return 7 | 7 << 8;
	case 0x09:
	case 0x1b:
	case 0x24:
	case 0x26:
		return 8 | 8 << 8;
	case 0x33:
		return 9 | 9 << 8;
	case 0x2c:
		return 6 | 12 << 8;
	case 0x1e:
		return 12 | 12 << 8;
	case 0x2d:
		return 15 | 15 << 8;
	case 0x2e:
		return 10 | 12 << 8;
	case 0x2f:
		return 12 | 14 << 8;
	case 0x73: /* and NT LM 0.12, and extended security */
		return 10 | 13 << 8;
	case 0x25:
	case 0x27:
		return 14 | 255 << 8;
	case 0x32:
		return 15 | 255 << 8;
	case 0xa0:
		return 19 | 255 << 8;
	case 0xa1:
		return 18 | 18 << 8;
	case 0xa2:
		return 24 | 24 << 8;
	}
	return 0;
}

static __always_inline bool smb_chains1(__u8 command)
{
	return command == SMB1_LOCKING ||
	       (command >= 0x2d && command <= 0x2f) ||
	       (command >= 0x73 && command <= 0x75) ||
	       command == SMB1_NT_CREATE;
}

/* CIFS 2.2.6: sub-commands; 0: there is none such. SESSION_SETUP (0e) is
 * reserved, and what an implant answers to. */
static __always_inline __u32 smb_trans2(__u32 sub)
{
	switch (sub) {
	case 0x01 ... 0x03:
	case 0x05:
	case 0x07:
	case 0x0b ... 0x0c:
	case 0x10:
		return SMB1_trans2_query;
	case 0x00:
	case 0x04:
	case 0x06:
	case 0x08:
	case 0x0d:
	case 0x11:
		return SMB1_trans2_set;
	case 0x09 ... 0x0a:
		return SMB1_TRANSACTION2 + 0x20;
	}
	return 0;
}

/* CIFS 2.2.7, [MS-SMB] 2.2.7. */
static __always_inline __u32 smb_nt_transact(__u32 sub)
{
	switch (sub) {
	case 0x02:
		return SMB1_NT_TRANSACT;
	case 0x01:
	case 0x05:
	case 0x08:
		return SMB1_nt_change;
	case 0x03:
		return SMB1_nt_set_security;
	case 0x04:
	case 0x06 ... 0x07:
		return SMB1_nt_query;
	}
	return 0;
}

/* Bytes of the block that tell the function. */
static __always_inline __u32 smb_look1(__u8 command)
{
	switch (command) {
	case SMB1_LOCKING:
		return 17;
	case SMB1_TRANSACTION2:
		return 31;
	case SMB1_NT_TRANSACT:
		return 39;
	case SMB1_NT_CREATE:
		return 44;
	}
	return smb_chains1(command) ? 5 : 1;
}

static __always_inline __u32 smb_function1(const struct step *s, __u8 command)
{
	__u32 made;

	switch (command) {
	case SMB1_LOCKING: /* neither unlocks nor locks: a break's answer */
		if (le32_at(s, 13) == 0)
			return SMB1_oplock_break;
		break;
	case SMB1_TRANSACTION2:
		return smb_trans2(le16_at(s, 29));
	case SMB1_NT_TRANSACT:
		return smb_nt_transact(le16_at(s, 37));
	case SMB1_NT_CREATE:
		made =
		    smb_create(le32_at(s, 16), le32_at(s, 36), le32_at(s, 40));
		return made ? SMB1_nt_open - 1 + made : SMB1_NT_CREATE;
	}
	return smb_number1(command);
}

/* CIFS 2.2.3.4: the command that follows, and where. */
static __always_inline enum portcullis_reason
smb_andx(const struct step *s, const struct smb_own *own, __u32 words)
{
	__u32 least = own->at + 1 + words + 2, jump = le16_at(s, 3);
	__u8 command = u8_at(s, 1);

	if (s->have < 2 || command == SMB1_no_andx)
		return REASON_none;
	if (!smb_known1(command))
		return REASON_bad_function;
	if (s->have > 4 && (jump < least || jump + 3 > own->at + own->left))
		return REASON_bad_length;
	return REASON_none;
}

/* As many words as the command has, and inside the frame? */
static __always_inline bool
smb_words_fit(struct step *s, const struct smb_own *own, __u32 words)
{
	__u32 legal = forget(s, smb_words1(own->command));

	if (1 + words + 2 > own->left)
		return false;
	if (s->from_server) /* 0: an error */
		return words != 2 || !smb_chains1(own->command);
	return words >= 2 * (legal & 0xff) && words <= 2 * (legal >> 8);
}

static __always_inline void smb_block1(struct step *s, struct smb_own *own)
{
	__u32 words = 2U * u8_at(s, 0), look = 1, number;
	bool chains = smb_chains1(own->command) && words;
	enum portcullis_reason reason;

	if (!smb_words_fit(s, own, words))
		return bad(s, REASON_bad_length);
	reason = chains ? smb_andx(s, own, words) : REASON_none;
	if (reason)
		return bad(s, reason);
	if (!s->from_server)
		look = smb_look1(own->command);
	else if (chains)
		look = 5;
	look = forget(s, look);
	if (s->have < look)
		return need(s, look);
	if (!s->from_server) {
		number = forget(s, smb_function1(s, own->command));
		if (!number)
			return bad(s, REASON_bad_function);
		s->function = number;
	}
	own->andx = chains ? u8_at(s, 1) : SMB1_no_andx;
	own->jump = le16_at(s, 3);
	own->at += 1 + words;
	own->left -= 1 + words;
	own->phase = SMB_AT_BYTES1;
	take(s, look, 1 + words - look);
}

/* ---- SMB 1: bytes ---------------------------------------------------- */

/* Large reads and writes have more than their 16 bits of count can say. */
static __always_inline void smb_bytes1(struct step *s, struct smb_own *own)
{
	__u32 count = le16_at(s, 0), look = 2, skip;

	if (2 + count > own->left)
		return bad(s, REASON_bad_length);
	if (own->command == SMB1_NEGOTIATE && !s->from_server) {
		look = 3; /* CIFS 2.2.4.52.1: dialects */
		if (s->have > 1 && count < 2)
			return bad(s, REASON_bad_length);
		if (smb_differs(s, 2, 2))
			return bad(s, REASON_bad_magic);
	}
	if (s->have < look)
		return need(s, look);
	skip = own->left - look;
	if (own->andx != SMB1_no_andx)
		skip = own->jump - own->at - look;
	take(s, look, skip);
	own->left -= look + skip;
	own->at += look + skip;
	own->command = own->andx;
	smb_ends(s, own, SMB_AT_BLOCK1);
}

static __always_inline void smb_phases(struct step *s, struct smb_own *own,
				       struct smb_shared *h)
{
	switch (own->phase) {
	case SMB_AT_FRAME:
		return smb_frame(s, own, h);
	case SMB_AT_NAME:
		return smb_name(s, own, h);
	case SMB_AT_COUNT:
		return smb_name_count(s, own);
	case SMB_AT_HEAD2:
		return smb_head2(s, own, h);
	case SMB_AT_BODY2:
		return smb_body(s, own, h);
	case SMB_AT_TRANSFORM:
		return smb_transform(s, own, h);
	case SMB_AT_COMPRESSION:
		return smb_compression(s, own, h);
	case SMB_AT_HEAD1:
		return smb_head1(s, own, h);
	case SMB_AT_BLOCK1:
		return smb_block1(s, own);
	case SMB_AT_BYTES1:
		return smb_bytes1(s, own);
	}
	bad(s, REASON_bad_order);
}

static __always_inline void smb_step(struct step *s, struct state *st)
{
	smb_phases(s, (struct smb_own *)st->own,
		   (struct smb_shared *)st->shared);
	read_anew();
	if (s->function != FUNCTION_none)
		says(s, s->function, smb_class(s->function));
}

#endif
