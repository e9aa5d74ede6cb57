/* SPDX-License-Identifier: GPL-2.0-only */
/* MMS (ISO 9506-2, IEC 61850-8-1, and ICCP, IEC 60870-6) over TPKT and COTP,
 * behind session (X.225), presentation (X.226) and ACSE (X.227).
 *
 *	TPKT and COTP DT   7 bytes, proto/cotp.h
 *	session            CONNECT and ACCEPT with parameters, of which the last
 *			   is the user's data; else give-tokens and DATA
 *	presentation       CP and CPA; else user data, fully encoded, one value
 *	ACSE               AARQ and its answer: the application context is MMS
 *	MMS                initiate; else a PDU, invoke id, service
 *
 * From one element to the next a step each. On the way down to the MMS PDU each
 * element that encloses the rest must end where the message does, each that is
 * passed over must end before; lengths are definite. All this stands in the
 * first DT of a message, or it is refused; arguments and results are opaque
 * and may go on in others.
 *
 * Either side may ask (ISO 9506-1: a server fetches the segments of a download;
 * ICCP asks both ways), and the other must answer what was asked. An IEC 61850
 * control is a write to a variable of functional constraint CO, whose name is
 * not looked at: so write is of class operate.
 *
 * Opening and ending an association say no function.
 */
#ifndef PORTCULLIS_PROTO_MMS_H
#define PORTCULLIS_PROTO_MMS_H

#include <stdbool.h>

#include "cotp.h"
#include "window.h"

/* Up to 78 the tag of ConfirmedServiceRequest, ISO 9506-2 7.4; status, whose
 * tag is 0, stands behind them with the unconfirmed services. */
#define mms_FUNCTIONS(F)                                                       \
	F(1, "get-name-list", read)                                            \
	F(2, "identify", read)                                                 \
	F(3, "rename", admin)                                                  \
	F(4, "read", read)                                                     \
	F(5, "write", operate)                                                 \
	F(6, "get-variable-access-attributes", read)                           \
	F(7, "define-named-variable", admin)                                   \
	F(8, "define-scattered-access", admin)                                 \
	F(9, "get-scattered-access-attributes", read)                          \
	F(10, "delete-variable-access", admin)                                 \
	F(11, "define-named-variable-list", admin)                             \
	F(12, "get-named-variable-list-attributes", read)                      \
	F(13, "delete-named-variable-list", admin)                             \
	F(14, "define-named-type", admin)                                      \
	F(15, "get-named-type-attributes", read)                               \
	F(16, "delete-named-type", admin)                                      \
	F(17, "input", operate)                                                \
	F(18, "output", operate)                                               \
	F(19, "take-control", operate)                                         \
	F(20, "relinquish-control", operate)                                   \
	F(21, "define-semaphore", operate)                                     \
	F(22, "delete-semaphore", operate)                                     \
	F(23, "report-semaphore-status", read)                                 \
	F(24, "report-pool-semaphore-status", read)                            \
	F(25, "report-semaphore-entry-status", read)                           \
	F(26, "initiate-download-sequence", program)                           \
	F(27, "download-segment", program)                                     \
	F(28, "terminate-download-sequence", program)                          \
	F(29, "initiate-upload-sequence", program)                             \
	F(30, "upload-segment", program)                                       \
	F(31, "terminate-upload-sequence", program)                            \
	F(32, "request-domain-download", program)                              \
	F(33, "request-domain-upload", program)                                \
	F(34, "load-domain-content", program)                                  \
	F(35, "store-domain-content", program)                                 \
	F(36, "delete-domain", program)                                        \
	F(37, "get-domain-attributes", read)                                   \
	F(38, "create-program-invocation", program)                            \
	F(39, "delete-program-invocation", program)                            \
	F(40, "start", operate)                                                \
	F(41, "stop", operate)                                                 \
	F(42, "resume", operate)                                               \
	F(43, "reset", operate)                                                \
	F(44, "kill", operate)                                                 \
	F(45, "get-program-invocation-attributes", read)                       \
	F(46, "obtain-file", program)                                          \
	F(47, "define-event-condition", admin)                                 \
	F(48, "delete-event-condition", admin)                                 \
	F(49, "get-event-condition-attributes", read)                          \
	F(50, "report-event-condition-status", read)                           \
	F(51, "alter-event-condition-monitoring", admin)                       \
	F(52, "trigger-event", operate)                                        \
	F(53, "define-event-action", admin)                                    \
	F(54, "delete-event-action", admin)                                    \
	F(55, "get-event-action-attributes", read)                             \
	F(56, "report-event-action-status", read)                              \
	F(57, "define-event-enrollment", admin)                                \
	F(58, "delete-event-enrollment", admin)                                \
	F(59, "alter-event-enrollment", admin)                                 \
	F(60, "report-event-enrollment-status", read)                          \
	F(61, "get-event-enrollment-attributes", read)                         \
	F(62, "acknowledge-event-notification", operate)                       \
	F(63, "get-alarm-summary", read)                                       \
	F(64, "get-alarm-enrollment-summary", read)                            \
	F(65, "read-journal", read)                                            \
	F(66, "write-journal", admin)                                          \
	F(67, "initialize-journal", admin)                                     \
	F(68, "report-journal-status", read)                                   \
	F(69, "create-journal", admin)                                         \
	F(70, "delete-journal", admin)                                         \
	F(71, "get-capability-list", read)                                     \
	F(72, "file-open", read)                                               \
	F(73, "file-read", read)                                               \
	F(74, "file-close", read)                                              \
	F(75, "file-rename", admin)                                            \
	F(76, "file-delete", admin)                                            \
	F(77, "file-directory", read)                                          \
	F(78, "additional-service", other)                                     \
	F(100, "status", read)                                                 \
	F(101, "information-report", read)                                     \
	F(102, "unsolicited-status", read)                                     \
	F(103, "event-notification", read)                                     \
	F(104, "cancel", other)

enum {
	MMS_STATUS = 100,
	MMS_REPORT = 101, /* the first of the unconfirmed */
	MMS_CANCEL = 104,
	MMS_LAST_SERVICE = 78,
	MMS_CONTEXT = 7, /* bytes of it that are judged */
	MMS_ASKED = 6,
	MMS_FORGOTTEN = 10,
};

/* Session SPDUs, X.225 8.3. */
enum {
	MMS_DATA = 0x01, /* give-tokens comes before it and looks the same */
	MMS_NOT_FINISHED = 0x08,
	MMS_FINISH = 0x09,
	MMS_DISCONNECT = 0x0a,
	MMS_REFUSE = 0x0c,
	MMS_CONNECT = 0x0d,
	MMS_ACCEPT = 0x0e,
	MMS_ABORT = 0x19,
	MMS_ABORT_ACCEPT = 0x1a,

	MMS_USER_DATA = 0xc1, /* parameters of a SPDU */
};

/* MMSpdu, ISO 9506-2 7.1. */
enum {
	MMS_REQUEST = 0xa0,
	MMS_RESPONSE = 0xa1,
	MMS_ERROR = 0xa2,
	MMS_UNCONFIRMED = 0xa3,
	MMS_REJECT = 0xa4,
	MMS_CANCEL_REQUEST = 0x85,
	MMS_CANCEL_RESPONSE = 0x86,
	MMS_CANCEL_ERROR = 0xa7,
	MMS_INITIATE = 0xa8,
	MMS_INITIATED = 0xa9,
	MMS_INITIATE_ERROR = 0xaa,
	MMS_CONCLUDE = 0x8b,
	MMS_CONCLUDED = 0x8c,
	MMS_CONCLUDE_ERROR = 0xad,
};

/* What the next element belongs to. */
enum mms_phase {
	MMS_BETWEEN = 0,
	MMS_AT_PARAMETER, /* of a session CONNECT or ACCEPT */
	MMS_AT_CP,	  /* the set of a presentation connect */
	MMS_AT_MODE,
	MMS_AT_NORMAL,
	MMS_AT_LIST, /* presentation user data */
	MMS_AT_VALUE,
	MMS_AT_ACSE,
	MMS_AT_ASSOCIATE,
	MMS_AT_CONTEXT, /* the application's */
	MMS_AT_EXTERNAL,
	MMS_AT_ENCODING,
	MMS_AT_INITIATE,
	MMS_AT_PDU,
	MMS_AT_INVOKE,
	MMS_AT_SERVICE,
	MMS_AT_REPORT,

	MMS_REFUSED = 0x40, /* no such element here */
	MMS_OVER = 0x80,    /* stays in this phase, behind the element */
};

struct mms_own {
	struct cotp cotp;
	__u8 phase;
	__u8 spdu;
	__u8 pdu;
	__u8 pad;
	__u32 invoke;
	__u8 pad2[8];
} __attribute__((may_alias));
_Static_assert(sizeof(struct mms_own) == OWN_BYTES, "mms: own");

/* Who asked, number, 24 bits of the invoke id: requests without an answer. A
 * full table forgets, as modbus.h explains. */
struct mms_shared {
	struct cotp_link link;
	__u32 asked[MMS_ASKED]; /* 0: free */
	__u8 next;
	__u8 forgotten;
	__u8 connected; /* 1: asked for, 2: accepted */
	__u8 pad;
} __attribute__((may_alias));
_Static_assert(sizeof(struct mms_shared) == SHARED_BYTES, "mms: shared");

static __always_inline __u8 mms_class(__u32 number)
{
	switch (number) {
#define F(code, name, class)                                                   \
	case code:                                                             \
		return CLASS_##class;
		mms_FUNCTIONS(F)
#undef F
	}
	return CLASS_none;
}

/* Bytes of the message from here on. */
static __always_inline __u32 mms_rest(const struct mms_own *own)
{
	return own->cotp.left + own->cotp.later;
}

/* ---- outstanding requests -------------------------------------------- */

static __always_inline __u32 mms_key(const struct mms_own *own, __u32 number,
				     __u32 by_server)
{
	__u32 invoke = own->invoke ^ own->invoke >> 24;

	return by_server << 31 | number << 24 | (invoke & 0xffffff);
}

static __always_inline void mms_ask(struct step *s, struct mms_shared *shared,
				    __u32 key)
{
	__u32 place;

	for (place = 0; place < MMS_ASKED; place++)
		if (!shared->asked[place])
			break;
	if (place == MMS_ASKED) {
		place = shared->next;
		shared->next = place + 1 < MMS_ASKED ? place + 1 : 0;
		if (shared->forgotten < MMS_FORGOTTEN)
			shared->forgotten++;
	}
	place = forget(s, place);
	if (place < MMS_ASKED)
		shared->asked[place] = key;
}

/* Frees the place of the request that is answered; number 0: whatever it was.
 * Returns its number; 0: there is none; FUNCTION_none: it was forgotten. */
static __always_inline __u32 mms_answered(struct step *s,
					  struct mms_shared *shared, __u32 key)
{
	__u32 mask = key << 1 >> 25 ? ~0U : 0x80ffffff;
	__u32 place, number;

	for (place = 0; place < MMS_ASKED; place++)
		if (shared->asked[place] &&
		    (shared->asked[place] & mask) == key)
			break;
	place = forget(s, place);
	if (place < MMS_ASKED) {
		number = shared->asked[place] >> 24 & 0x7f;
		shared->asked[place] = 0;
		return number;
	}
	if (!shared->forgotten)
		return 0;
	shared->forgotten--;
	return key << 1 >> 25 ? key << 1 >> 25 : FUNCTION_none;
}

/* ---- lengths --------------------------------------------------------- */

/* X.690 8.1.3, definite, up to three bytes, of which left are in this DT. True:
 * it is there and stands in s->note, what is behind it begins at s->n. */
static __always_inline bool mms_length(struct step *s, __u32 at, __u32 left)
{
	__u32 first = u8_at(s, at), n = at + 1;

	if (first > 0x80 && first <= 0x83)
		n += first - 0x80;
	if (first == 0x80 || first > 0x83 || n > left)
		bad(s, REASON_bad_length);
	else if (s->have < n)
		need(s, n);
	if (s->answer != STEP_unanswered)
		return false;
	s->note = first;
	if (first == 0x81)
		s->note = u8_at(s, at + 1);
	else if (first == 0x82)
		s->note = be16_at(s, at + 1);
	else if (first == 0x83)
		s->note = be24_at(s, at + 1);
	s->n = n;
	return true;
}

/* X.225 8.2.5: one byte, or 255 and two. */
static __always_inline bool mms_session_length(struct step *s, __u32 at,
					       __u32 left)
{
	__u32 n = u8_at(s, at) == 255 ? at + 3 : at + 1;

	if (n > left)
		bad(s, REASON_bad_length);
	else if (s->have < n)
		need(s, n);
	if (s->answer != STEP_unanswered)
		return false;
	s->note = u8_at(s, at) == 255 ? be16_at(s, at + 1) : u8_at(s, at);
	s->n = n;
	return true;
}

/* ---- MMS ------------------------------------------------------------- */

/* The element encloses the rest of the message. */
static __always_inline bool mms_encloses(struct step *s,
					 const struct mms_own *own)
{
	__u32 n = s->n, length = s->note;

	if (n > own->cotp.left || n + length != mms_rest(own))
		bad(s, REASON_bad_length);
	return s->answer == STEP_unanswered;
}

/* n bytes are judged, the rest of the message is opaque. */
static __always_inline void mms_done(struct step *s, struct mms_own *own,
				     __u32 n)
{
	own->phase = MMS_BETWEEN;
	cotp_past(s, &own->cotp, n, own->cotp.left - n);
}

static __always_inline void mms_pdu(struct step *s, struct mms_own *own)
{
	__u32 tag = u8_at(s, 0), number = FUNCTION_none, next = MMS_BETWEEN;

	switch (tag) {
	case MMS_REQUEST:
	case MMS_RESPONSE:
	case MMS_ERROR:
		next = MMS_AT_INVOKE;
		break;
	case MMS_UNCONFIRMED:
		next = MMS_AT_REPORT;
		break;
	case MMS_CANCEL_REQUEST:
		number = MMS_CANCEL;
		break;
	case MMS_REJECT:
	case MMS_CANCEL_RESPONSE:
	case MMS_CANCEL_ERROR:
	case MMS_CONCLUDE:
	case MMS_CONCLUDED:
	case MMS_CONCLUDE_ERROR:
		break;
	default:
		return bad(s, REASON_bad_function);
	}
	if (s->have < 2)
		return need(s, 2);
	if (!mms_length(s, 1, own->cotp.left) || !mms_encloses(s, own))
		return;
	number = forget(s, number);
	own->pdu = tag;
	if (next == MMS_BETWEEN) {
		mms_done(s, own, s->n);
	} else if (s->n == own->cotp.left) {
		return bad(s, REASON_bad_length);
	} else {
		own->phase = next;
		cotp_past(s, &own->cotp, s->n, 0);
	}
	says(s, number, mms_class(number));
}

/* Unsigned32, ISO 9506-2 7.2: up to four bytes, and a zero before them. In an
 * error its tag is [0]. */
static __always_inline void mms_invoke(struct step *s, struct mms_own *own,
				       struct mms_shared *shared)
{
	__u32 length = u8_at(s, 1), n = length + 2, number;
	bool error = own->pdu == MMS_ERROR;

	if (u8_at(s, 0) != (error ? 0x80 : 2))
		return bad(s, REASON_bad_magic);
	if (s->have < 2)
		return need(s, 2);
	if (length < 1 || length > 5 || n >= own->cotp.left)
		return bad(s, REASON_bad_length);
	if (length == 5 && u8_at(s, 2))
		return bad(s, REASON_bad_value);
	if (s->have < n)
		return need(s, n);
	own->invoke =
	    length == 5 ? be32_at(s, 3) : be32_at(s, 2) >> (32 - 8 * length);
	if (!error) {
		own->phase = MMS_AT_SERVICE;
		return cotp_past(s, &own->cotp, n, 0);
	}
	number = mms_answered(s, shared, mms_key(own, 0, !s->from_server));
	if (!number)
		return bad(s, REASON_unsolicited);
	mms_done(s, own, n);
	says(s, number, mms_class(number));
}

/* The list of modifiers, before the service. */
static __always_inline void mms_modifiers(struct step *s, struct mms_own *own)
{
	if (own->pdu != MMS_REQUEST)
		return bad(s, REASON_bad_function);
	if (s->have < 2)
		return need(s, 2);
	if (!mms_length(s, 1, own->cotp.left))
		return;
	if (s->n + s->note >= own->cotp.left)
		return bad(s, REASON_bad_length);
	own->phase = MMS_AT_SERVICE;
	cotp_past(s, &own->cotp, s->n, s->note);
}

static __always_inline void mms_service(struct step *s, struct mms_own *own,
					struct mms_shared *shared)
{
	__u32 tag = u8_at(s, 0), number = tag & 31, high = number == 31;
	__u32 asked;

	if (tag == 0x30)
		return mms_modifiers(s, own);
	if ((tag & 0xc0) != 0x80)
		return bad(s, REASON_bad_function);
	if (high)
		number = u8_at(s, 1);
	if (high && own->cotp.left < 3)
		return bad(s, REASON_bad_length);
	if (high && s->have > 1 && (number < 31 || number > MMS_LAST_SERVICE))
		return bad(s, REASON_bad_function);
	if (s->have < 2 + high)
		return need(s, 2 + high);
	if (!(high ? mms_length(s, 2, own->cotp.left)
		   : mms_length(s, 1, own->cotp.left)) ||
	    !mms_encloses(s, own))
		return;
	number = forget(s, number ? number : MMS_STATUS);
	asked = mms_key(own, number, s->from_server);
	if (own->pdu == MMS_REQUEST)
		mms_ask(s, shared, asked);
	else
		number = mms_answered(s, shared, asked ^ 1U << 31);
	if (!number)
		return bad(s, REASON_unsolicited);
	mms_done(s, own, s->n);
	says(s, number, mms_class(number));
}

/* UnconfirmedService, ISO 9506-2 7.3. */
static __always_inline void mms_report(struct step *s, struct mms_own *own)
{
	__u32 tag = u8_at(s, 0);

	if (tag < 0xa0 || tag > 0xa2)
		return bad(s, REASON_bad_function);
	if (s->have < 2)
		return need(s, 2);
	if (!mms_length(s, 1, own->cotp.left) || !mms_encloses(s, own))
		return;
	mms_done(s, own, s->n);
	says(s, MMS_REPORT + (tag - 0xa0), CLASS_read);
}

/* ---- what is around it ----------------------------------------------- */

/* Where an element with this tag leads: into it, over it, or nowhere. */
static __always_inline __u32 mms_next(const struct step *s,
				      const struct mms_own *own, __u32 tag)
{
	bool data = own->spdu == MMS_DATA;
	__u32 over = own->phase | MMS_OVER;

	switch (own->phase) {
	case MMS_AT_CP: /* X.226 8.2: SET */
		return tag == 0x31 ? MMS_AT_MODE : MMS_REFUSED;
	case MMS_AT_MODE:
		if (tag == 0xa2)
			return MMS_AT_NORMAL;
		return tag == 0xa0 ? over : MMS_REFUSED;
	case MMS_AT_NORMAL:
		if (tag == 0x61)
			return MMS_AT_LIST;
		return (tag & 0xc0) == 0x80 ? over : MMS_REFUSED;
	case MMS_AT_LIST: /* PDV-list */
		return tag == 0x30 ? MMS_AT_VALUE : MMS_REFUSED;
	case MMS_AT_VALUE:
		if (tag == 0xa0)
			return data ? MMS_AT_PDU : MMS_AT_ACSE;
		return tag == 2 || tag == 6 ? over : MMS_REFUSED;
	case MMS_AT_ACSE: /* X.227 9.1 */
		return tag == (s->from_server ? 0x61 : 0x60) ? MMS_AT_ASSOCIATE
							     : MMS_REFUSED;
	case MMS_AT_ASSOCIATE:
		if (tag == 0xbe)
			return MMS_AT_EXTERNAL;
		return (tag & 0xc0) == 0x80 ? over : MMS_REFUSED;
	case MMS_AT_EXTERNAL: /* X.690 8.18 */
		return tag == 0x28 ? MMS_AT_ENCODING : MMS_REFUSED;
	case MMS_AT_ENCODING:
		if (tag == 0xa0)
			return MMS_AT_INITIATE;
		return tag == 2 || tag == 6 ? over : MMS_REFUSED;
	case MMS_AT_INITIATE:
		if (s->from_server)
			return tag == MMS_INITIATED || tag == MMS_INITIATE_ERROR
				   ? MMS_BETWEEN
				   : MMS_REFUSED;
		return tag == MMS_INITIATE ? MMS_BETWEEN : MMS_REFUSED;
	}
	return MMS_REFUSED;
}

/* The name of the application context: 1.0.9506 and what follows. */
static __always_inline bool mms_context(const struct step *s)
{
	if (s->have > 2 && u8_at(s, 2) != 6)
		return false;
	if (s->have > 3 && (u8_at(s, 3) < 3 || u8_at(s, 3) + 2U != u8_at(s, 1)))
		return false;
	if (s->have > 4 && u8_at(s, 4) != 0x28)
		return false;
	return (s->have <= 5 || u8_at(s, 5) == 0xca) &&
	       (s->have <= 6 || u8_at(s, 6) == 0x22);
}

static __always_inline void mms_into(struct step *s, struct mms_own *own,
				     struct mms_shared *shared, __u32 next)
{
	if (!mms_encloses(s, own))
		return;
	if (next == MMS_BETWEEN) {
		shared->connected = s->from_server ? 2 : 1;
		return mms_done(s, own, s->n);
	}
	if (s->n == own->cotp.left)
		return bad(s, REASON_bad_length);
	own->phase = next;
	cotp_past(s, &own->cotp, s->n, 0);
}

/* Only a refused association may end behind such an element. */
static __always_inline void mms_over(struct step *s, struct mms_own *own,
				     __u32 judged)
{
	__u32 all = s->n + s->note, left = own->cotp.left;
	bool last = own->phase == MMS_AT_ASSOCIATE && s->from_server &&
		    all == left && !own->cotp.later;

	if (all >= left && !last)
		return bad(s, REASON_bad_length);
	if (last)
		own->phase = MMS_BETWEEN;
	cotp_past(s, &own->cotp, judged, all - judged);
}

static __always_inline void mms_element(struct step *s, struct mms_own *own,
					struct mms_shared *shared)
{
	__u32 tag = u8_at(s, 0), next = forget(s, mms_next(s, own, tag));

	if (next == MMS_REFUSED)
		return bad(s, REASON_bad_value);
	if (s->have < 2)
		return need(s, 2);
	if (!mms_length(s, 1, own->cotp.left))
		return;
	if (own->phase == MMS_AT_ASSOCIATE && tag == 0xa1) {
		if (s->n + s->note >= own->cotp.left)
			return bad(s, REASON_bad_length);
		if (s->note < 5 || s->note > 32 || !mms_context(s))
			return bad(s, REASON_bad_value);
		if (s->have < MMS_CONTEXT)
			return need(s, MMS_CONTEXT);
		return mms_over(s, own, MMS_CONTEXT);
	}
	if (next & MMS_OVER)
		mms_over(s, own, s->n);
	else
		mms_into(s, own, shared, next);
}

/* X.225 8.3.1: parameters, the last of them the user's data. */
static __always_inline void mms_parameter(struct step *s, struct mms_own *own,
					  struct mms_shared *shared)
{
	__u32 code = u8_at(s, 0);

	if (code > 64 && code != MMS_USER_DATA)
		return bad(s, REASON_bad_value);
	if (s->have < 2)
		return need(s, 2);
	if (!mms_session_length(s, 1, own->cotp.left))
		return;
	if (code == MMS_USER_DATA)
		mms_into(s, own, shared, MMS_AT_CP);
	else
		mms_over(s, own, s->n);
}

static __always_inline void mms_walk(struct step *s, struct mms_own *own,
				     struct mms_shared *shared)
{
	if (own->cotp.left < 2) /* a tag and a length */
		return bad(s, REASON_bad_length);
	switch (own->phase) {
	case MMS_AT_PARAMETER:
		return mms_parameter(s, own, shared);
	case MMS_AT_PDU:
		return mms_pdu(s, own);
	case MMS_AT_INVOKE:
		return mms_invoke(s, own, shared);
	case MMS_AT_SERVICE:
		return mms_service(s, own, shared);
	case MMS_AT_REPORT:
		return mms_report(s, own);
	}
	mms_element(s, own, shared);
}

/* ---- session --------------------------------------------------------- */

/* Give-tokens, DATA, presentation user data. */
static __always_inline void mms_data(struct step *s, struct mms_own *own,
				     struct mms_shared *shared)
{
	__u32 message;

	if (shared->link.begun == COTP_CONNECTED &&
	    shared->connected < (s->from_server ? 2 : 1))
		return bad(s, REASON_bad_order);
	if (cotp_length(s) < 13)
		return bad(s, REASON_bad_length);
	if (u8_at(s, 8) || (s->have > 9 && u8_at(s, 9) != MMS_DATA) ||
	    u8_at(s, 10) || (s->have > 11 && u8_at(s, 11) != 0x61))
		return bad(s, REASON_bad_magic);
	if (s->have < 13)
		return need(s, 13);
	if (!mms_length(s, 12, cotp_length(s)))
		return;
	message = s->n - COTP_HEAD + s->note;
	if (s->n >= cotp_length(s) || !cotp_fits(s, message))
		return bad(s, REASON_bad_length);
	own->spdu = MMS_DATA;
	own->phase = MMS_AT_LIST;
	cotp_walk_on(s, &own->cotp, &shared->link, s->n, 0, message);
}

/* May this SPDU come here? */
static __always_inline enum portcullis_reason
mms_may(const struct step *s, const struct mms_shared *shared, __u32 spdu)
{
	switch (spdu) {
	case MMS_CONNECT:
		if (s->from_server)
			return REASON_bad_direction;
		return shared->connected ? REASON_bad_order : REASON_none;
	case MMS_ACCEPT:
	case MMS_REFUSE:
		if (!s->from_server)
			return REASON_bad_direction;
		return shared->connected == 1 ? REASON_none : REASON_bad_order;
	case MMS_NOT_FINISHED:
	case MMS_FINISH:
	case MMS_DISCONNECT:
	case MMS_ABORT:
	case MMS_ABORT_ACCEPT:
		/* a client has connected before, or is picked up */
		if (shared->link.begun == COTP_CONNECTED && !shared->connected)
			return REASON_bad_order;
		return REASON_none;
	}
	return REASON_bad_magic;
}

/* CONNECT and ACCEPT are walked, what ends an association is not. */
static __always_inline void mms_spdu(struct step *s, struct mms_own *own,
				     struct mms_shared *shared)
{
	__u32 spdu = u8_at(s, 7), message;
	enum portcullis_reason reason = mms_may(s, shared, spdu);

	if (reason)
		return bad(s, reason);
	if (s->have < 9)
		return need(s, 9);
	if (!mms_session_length(s, 8, cotp_length(s)))
		return;
	message = s->n - COTP_HEAD + s->note;
	if (s->n > cotp_length(s) || !cotp_fits(s, message))
		return bad(s, REASON_bad_length);
	if (spdu != MMS_CONNECT && spdu != MMS_ACCEPT)
		return cotp_message(s, &own->cotp, &shared->link, s->n,
				    message);
	if (s->n == cotp_length(s))
		return bad(s, REASON_bad_length);
	own->spdu = spdu;
	own->phase = MMS_AT_PARAMETER;
	cotp_walk_on(s, &own->cotp, &shared->link, s->n, 0, message);
}

static __always_inline void mms_step(struct step *s, struct state *st)
{
	struct mms_own *own = (struct mms_own *)st->own;
	struct mms_shared *shared = (struct mms_shared *)st->shared;

	if (own->cotp.left)
		return mms_walk(s, own, shared);
	if (!cotp_step(s, st, &own->cotp, &shared->link, COTP_MMS))
		return;
	if (cotp_length(s) < 9)
		return bad(s, REASON_bad_length);
	if (s->have < 8)
		return need(s, 8);
	if (u8_at(s, 7) == MMS_DATA)
		mms_data(s, own, shared);
	else
		mms_spdu(s, own, shared);
}

#endif
