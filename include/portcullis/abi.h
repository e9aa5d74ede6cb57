/* SPDX-License-Identifier: GPL-2.0-only */
/* Everything the kernel programs and user space share: enums made from the
 * tables, map values, the event record. Sizes are asserted; a change of layout
 * raises PORTCULLIS_ABI, which names the pin folder, so that a newer daemon
 * never adopts maps that it would misread.
 *
 * Byte order: host, except where a comment says "network". Time: jiffies of
 * the kernel (64 bit) unless a name ends in _ns.
 */
#ifndef PORTCULLIS_ABI_H
#define PORTCULLIS_ABI_H

#include <linux/types.h>

#define PORTCULLIS_ABI 4

enum portcullis_proto {
	PROTO_unknown = 0,
#define PROTOCOL(id, name, ...) PROTO_##name = id,
#include "protocols.def"
#undef PROTOCOL
	PROTO_max = 128, /* ids are below this */
};

enum portcullis_kind {
	KIND_none,
	KIND_passed,
	KIND_malformed,
	KIND_denied,
	KIND_implausible,
	KIND_postponed,
	KIND_forbidden,
};

enum portcullis_reason {
	REASON_none = 0,
#define REASON(id, name, ...) REASON_##name = id,
#include "reasons.def"
#undef REASON
	REASON_max = 128, /* ids are below this */
};

enum portcullis_layer2 {
	LAYER2_none = 0,
#define LAYER2(id, name, ...) LAYER2_##name = id,
#include "layer2.def"
#undef LAYER2
	LAYER2_max = 64, /* one bit each in gate.layer2_drop */
};

/* Tolerances, each a bit. */
enum portcullis_quirk {
#define QUIRK(id, name, ...) QUIRK_##name = id,
#include "quirks.def"
#undef QUIRK
	QUIRK_max = 16, /* ids are below this */
};

/* What a function asks for. */
enum portcullis_class {
	CLASS_none = 0,
	CLASS_read,
	CLASS_write,
	CLASS_operate,
	CLASS_program,
	CLASS_admin,
	CLASS_other,
	CLASS_max = 8,
};

/* What a message names besides its function, each a number of 32 bits. A rule
 * may limit it to ranges. Kinds are below 32. */
enum portcullis_argument {
	ARGUMENT_none = 0,
	ARGUMENT_address, /* Modbus: TABLE_* << 16 | address */
	ARGUMENT_area,	  /* S7comm: area << 16 | number of a DB */
	ARGUMENT_group,	  /* DNP3: of objects */
	ARGUMENT_class,	  /* CIP; CIP_tag: a name in its stead */
};

/* Modbus, in the upper half of an address. */
enum {
	TABLE_coil,
	TABLE_discrete_input,
	TABLE_input_register,
	TABLE_register, /* holding */
};

#define CIP_tag 0x10000

/* What one message names, from the first to the last. */
struct portcullis_range {
	__u32 kind; /* enum portcullis_argument */
	__u32 first;
	__u32 last;
};

enum portcullis_verdict {
	VERDICT_drop = 0, /* zero, so that forgetting to decide drops */
	VERDICT_pass,
	VERDICT_reset,	/* the packet was made an RST, or answered by one */
	VERDICT_mirror, /* passed, and a copy to the monitor port */
	VERDICT_divert, /* sent to the monitor port instead */
	VERDICT_max = 8,
};

enum portcullis_mode {
	MODE_enforce = 0,
	MODE_monitor, /* refuse nothing, count and report all */
	MODE_mirror,  /* as monitor, and copy offenders to the monitor port */
};

/* `on mismatch`: what becomes of a forbidden message under MODE_enforce. */
enum portcullis_action {
	ACTION_reset = 0, /* TCP; as drop for UDP */
	ACTION_drop,
	ACTION_mirror, /* let pass and copy */
	ACTION_divert,
};

enum portcullis_forward {
	FORWARD_kernel = 0,
	FORWARD_wire,
};

#define TRANSPORT_tcp 6
#define TRANSPORT_udp 17

/* ---- limits ---------------------------------------------------------- */

enum {
	WINDOW_BYTES = 64,  /* what a step sees at once */
	NEED_BYTES = 56,    /* the most a step may ask to wait for */
	OWN_BYTES = 24,	    /* protocol state of one direction */
	SHARED_BYTES = 32,  /* protocol state of the conversation */
	SLOT_ENTRIES = 11,  /* judged segments in flight, both directions */
	HALF_ENTRIES = 9,   /* of these one direction may hold */
	ANNEX_ENTRIES = 53, /* more, where an annex is lent */
	POOL_ENTRIES = SLOT_ENTRIES + ANNEX_ENTRIES,
	POOL_HALF = 56, /* of these one direction may hold */
	ANNEXES = 1024,
	SET_WAYS = 8,
	PORTS_MAX = 64, /* policy interfaces */
	PORT_PROBES = 4,
	PORT_TABLE = 256,
	HASH_WORDS = 256, /* for a longer text the key begins again */
	HINTS_LEAST = 64,
	RULES_MAX = 16384,
	RULESETS_MAX = 16384,
	CONDITIONS_MAX = 32768,
	SHAPES_MAX = 1024,
	LIMITS_MAX = 2048,
	LIMIT_RANGES = 16,
	CONDUITS_MAX = 256,
	ZONES_MAX = 1024,
	SERVICES_MAX = 1024,
	RULESET_RULES = 16,
	RULESET_PROTOS = 4,
	EVIDENCE_BYTES = 256,
	HOST_BUCKETS = 65536,
	TAG_TABLE = 4096, /* remembered first occurrences without a slot */
};

/* ---- policy in the kernel -------------------------------------------- */

/* LPM value of a generation: where an address belongs. */
struct portcullis_place {
	__u16 zone;  /* 1.., 0: none */
	__u16 asset; /* 1.., 0: not a named asset */
	__u32 flags; /* PLACE_* */
	__u64 ports; /* bit per port id it may arrive on; 0: any */
};
enum {
	PLACE_self = 1U << 0,	   /* an address of the gateway */
	PLACE_essential = 1U << 1, /* exempt from rates */
	PLACE_mac = 1U << 2,	   /* the asset names its MAC (not used yet) */
	PLACE_quirks =
	    16, /* from this bit on: what it is tolerated as a server */
};

struct portcullis_lpm4 {
	__u32 prefixlen;
	__u8 addr[4]; /* network */
};
struct portcullis_lpm6 {
	__u32 prefixlen;
	__u8 addr[16]; /* network */
};

/* Which service a port belongs to: [0] TCP, [1] UDP; 0: none. One map value. */
struct portcullis_services {
	__u16 of[2][65536];
};

/* Exact-match key of the compiled rules. `from` and `to` are endpoint ids:
 * a zone's number, or ENDPOINT_asset | the asset's number. The kernel asks
 * (asset, asset), (asset, zone), (zone, asset), (zone, zone) and takes the
 * first that is there; the compiler has merged into each key all that holds
 * for it.
 */
struct portcullis_rule_key {
	__u32 from;
	__u32 to;
	__u32 service;
};
#define ENDPOINT_asset 0x10000U

/* What one key allows. `shape[i]` is the row of `shapes` for protos[i]: a byte
 * per function: 0 refused, 1..16 allowed by rule[byte - 1], SHAPE_ask when a
 * condition (unit, time) must be looked at.
 */
struct portcullis_ruleset {
	__u16 service;
	__u16 conduit;
	__u8 mode;   /* enum portcullis_mode */
	__u8 action; /* enum portcullis_action */
	__u8 flags;  /* RULESET_* */
	__u8 n_rules;
	__u8 protos[RULESET_PROTOS]; /* what the service expects, 0: no more */
	__u32 ceiling;		     /* live conversations, 0: no ceiling */
	__u64 until;		     /* no rule holds after this; 0: for ever */
	__u32 rule[RULESET_RULES];   /* counter rows, one per allow statement */
	__u16 shape[RULESET_PROTOS];
	/* First row of `conditions`, where a shape says SHAPE_ask: rule[r] for
	 * protos[p] has row conditions + p * n_rules + r. */
	__u32 conditions;
	__u16 quirks; /* bit per enum portcullis_quirk, of the service */
	__u16 pad[13];
};
_Static_assert(sizeof(struct portcullis_ruleset) == 128, "ABI: ruleset");
enum {
	RULESET_split_header = 1U << 0,
	RULESET_split_message = 1U << 1,
	RULESET_evidence = 1U << 2,
	RULESET_asymmetric = 1U << 3,
};
#define SHAPE_ask 0xff

struct portcullis_shape {
	__u8 rule[256];
};

/* The conditions of one allow statement for one protocol. */
struct portcullis_condition {
	__u8 proto;
	__u8 flags;	    /* CONDITION_* */
	__u16 limits;	    /* row of `limits`, 0: none */
	__u32 rule;	    /* counter row */
	__u64 until;	    /* 0: for ever */
	__u64 functions[4]; /* bit per function */
	__u64 units[4];	    /* bit per unit, if CONDITION_units */
};
_Static_assert(sizeof(struct portcullis_condition) == 80, "ABI: condition");
enum {
	CONDITION_units = 1U << 0,
};

/* The arguments that an allow statement lets through: of each kind that is
 * here, what a message names must lie in one of the ranges. kind 0: no more. */
struct portcullis_limits {
	__u8 kind[LIMIT_RANGES]; /* enum portcullis_argument */
	__u32 first[LIMIT_RANGES];
	__u32 last[LIMIT_RANGES];
};
_Static_assert(sizeof(struct portcullis_limits) == 144, "ABI: limits");

/* One interface of the policy, found at ifindex % PORT_TABLE and up to
 * PORT_PROBES - 1 places on. */
struct portcullis_port {
	__u32 ifindex; /* 0: free */
	__u8 id;       /* 1..PORTS_MAX-1: bit in portcullis_place.ports */
	__u8 forward;  /* enum portcullis_forward */
	__u8 peer;     /* wire: port id of the other end, key of `peers` */
	__u8 flags;
	__u32 domain; /* wire: wire number (1..) << 16; kernel way: 0 */
	__u32 peer_ifindex;
};
_Static_assert(sizeof(struct portcullis_port) == 16, "ABI: port");

/* What a policy says of the site as a whole. */
struct portcullis_site {
	__u8 default_mode; /* MODE_enforce: deny; MODE_monitor: pass, counted */
	__u8 self_ruled;   /* conduits lead to the gateway itself */
	__u8 enforces;	   /* at least one conduit is enforced */
	__u8 pad;
	__u32 host_ceiling; /* live conversations per source host, 0: none */
	__u32 zone_ceiling;
	__u32 pad2;
	__u64 layer2_drop; /* bit per enum portcullis_layer2 */
};
_Static_assert(sizeof(struct portcullis_site) == 24, "ABI: site");

/* The one row of map `gate`: what changes while the programs run. */
struct portcullis_gate {
	__u32 generation; /* 0: no policy, refuse all */
	__u8 has_monitor; /* a monitor port is there */
	__u8 pad[3];
	__u64 grace_until;     /* pick-up without SYN while jiffies are below */
	__u64 resync_until;    /* the same for what was only watched before */
	__u32 hz;	       /* jiffies per second, learnt by a probe */
	__u32 reply_jiffies;   /* UDP: answers are due within */
	__u32 event_rate;      /* events per second and conduit, 0: no bound */
	__u32 monitor_ifindex; /* of the monitor port, 0: none */
	__u64 clock;	       /* tracing: the time instead of jiffies */
	__u64 sip_key[2];      /* of the conversation hash */
	__u32
	    trace_ifindex; /* tracing: the interface instead of the real one */
	__u32 annexes;	   /* that may be lent, the first of the map */
	__u32 hint_mask;   /* buckets of hints in use, less one */
	__u32 pad_hints;
	struct portcullis_site site[2]; /* by generation & 1 */
	/* Interface to port, open addressing from ifindex % PORT_TABLE. Full:
	 * the loader refuses the policy. */
	struct portcullis_port ports[PORT_TABLE];
	/* Of the segment hash (bpf/hash.h): random, filled once. */
	__u64 hash_key[HASH_WORDS];
};
_Static_assert(sizeof(struct portcullis_gate) ==
		   128 + 16 * PORT_TABLE + 8 * HASH_WORDS,
	       "ABI: gate");

/* ---- conversations --------------------------------------------------- */

/* Canonical 5-tuple: `lo` is the smaller endpoint. IPv4 addresses stand in the
 * last word, the rest zero; `family` tells. Addresses and ports: network. */
struct portcullis_key {
	__u32 lo_addr[4];
	__u32 hi_addr[4];
	__u16 lo_port;
	__u16 hi_port;
	__u32 domain_l4; /* bit 31: UDP, 30: IPv6; on a wire its number in bits
			  * 24-29, outer VLAN 12-23, inner VLAN 0-11 */
};
_Static_assert(sizeof(struct portcullis_key) == 40, "ABI: key");

enum portcullis_slot_state {
	SLOT_free = 0,
	SLOT_opening,  /* SYN seen, or pick-up not yet judged */
	SLOT_live,     /* handshake answered, or UDP */
	SLOT_closed,   /* RST or both FINs */
	SLOT_poisoned, /* refused: nothing passes any more */
};

/* One direction: all that most of its segments need. */
struct portcullis_half {
	__u32 next;  /* TCP: next byte to arrive for judging, after the carry */
	__u32 acked; /* cumulative acknowledgement of these bytes */
	__u64 skip;  /* opaque bytes from next on; ~0: without end */
	__u32 high;  /* highest end forwarded */
	__u32 edge;  /* right edge of the window granted for these bytes */
	__u16 vlan;  /* learnt from the first packet */
	__u8 port;   /* port id, learnt likewise; 0: not yet */
	__u8 flags;  /* HALF_* */
	__u8 scale;  /* window scale that this side announced */
	__u8 carry;  /* bytes in rest.carry_bytes */
	__u8 entries;
	__u8 answers; /* UDP: that may still come */
};
_Static_assert(sizeof(struct portcullis_half) == 32, "ABI: half");
enum {
	HALF_synced = 1U << 0, /* next is known */
	HALF_scaled = 1U << 1, /* scale is known */
	HALF_fin = 1U << 2,
	HALF_inside = 1U << 3,	 /* inside a message */
	HALF_judged = 1U << 4,	 /* at least one step was taken */
	HALF_lost = 1U << 5,	 /* monitor: no longer followed */
	HALF_edge = 1U << 6,	 /* edge is known */
	HALF_proposal = 1U << 7, /* a SYN waits for its answer */
};

/* The judged bytes of a forwarded segment, from the first to the last of them.
 * Their number stands apart. */
struct portcullis_entry {
	__u32 first; /* sequence number */
	__u32 hash;
};

/* Lent to a conversation that has more judged segments in flight than its slot
 * has places, until they are acknowledged. None left: they wait. */
struct portcullis_annex {
	__u32 owner; /* slot index + 1, 0: free */
	__u16 len[ANNEX_ENTRIES];
	__u16 pad;
	struct portcullis_entry entry[ANNEX_ENTRIES];
};
_Static_assert(sizeof(struct portcullis_annex) == 536, "ABI: annex");

/* One direction: the rest. */
struct portcullis_rest {
	__u64 asked; /* UDP: jiffies of the last request; TCP: sequence number
		      * of a SYN that is still a proposal */
	__u32 isn;   /* of the connection that is followed */
	__u32 fin;   /* position of the FIN, if HALF_fin */
	__u8 carry_bytes[NEED_BYTES] __attribute__((aligned(8)));
};
_Static_assert(sizeof(struct portcullis_rest) == 72, "ABI: rest");

/* Three lines of it are what a segment of an established conversation touches.
 */
struct portcullis_slot {
	/* line 0 */
	__u32 lock; /* even: free; odd: held; changes with every holder */
	__u8 state;
	__u8 client; /* 0: the lo endpoint opened the conversation */
	__u8 proto;  /* committed protocol, 0: not yet */
	__u8 flags;  /* FLOW_* */
	struct portcullis_key key;
	__u32 generation;
	__u32 seen;  /* jiffies >> 8 of the last packet */
	__u32 rule;  /* counter row of the last match */
	__u16 shape; /* row of the committed protocol */
	__u8 row;    /* of the shape, that gave `rule`; 0: something else did */
	__u8 said;   /* function whose row that is */
	/* line 1 */
	struct portcullis_half half[2]; /* [0] sent by lo, [1] sent by hi */
	/* lines 2 and 3 */
	__u8 own[2][OWN_BYTES] __attribute__((aligned(8)));
	/* The pool of entries. Place i < SLOT_ENTRIES is counted from the end,
	 * so that the first is on line 4; the others are in the annex. */
	struct portcullis_entry entry[SLOT_ENTRIES];
	/* line 4, after the entry of place 0 */
	__u8 shared[SHARED_BYTES] __attribute__((aligned(8)));
	__u64 entries;	  /* bit per place in use */
	__u64 entries_hi; /* of these: belong to half 1 */
	__u16 entry_len[SLOT_ENTRIES];
	__u16 annex; /* index + 1, 0: none */
	/* the rest: once a conversation, or seldom */
	__u64 until; /* of the ruleset */
	__u32 ruleset;
	__u32 way;	 /* set * SET_WAYS + way */
	__u32 opened_by; /* counter row of the rule whose ceiling it fills */
	__u16 conduit;
	__u16 reason; /* why it was poisoned */
	__u16 host;   /* bucket of the source-host ceiling */
	__u16 zone;   /* source zone */
	__u8 action;
	__u8 mode;
	__u16 quirks; /* of the service and the server */
	struct portcullis_rest rest[2];
};
_Static_assert(sizeof(struct portcullis_slot) == 512, "ABI: slot");
_Static_assert(__builtin_offsetof(struct portcullis_slot, half) == 64,
	       "ABI: line 1");
_Static_assert(__builtin_offsetof(struct portcullis_slot, shared) == 264,
	       "ABI: line 4");
enum {
	FLOW_pickup = 1U << 0,	 /* opened without its SYN, in the grace */
	FLOW_counted = 1U << 1,	 /* stands in the ceilings */
	FLOW_reported = 1U << 2, /* its event was sent */
	FLOW_verified = 1U << 3, /* a message was judged and allowed */
	FLOW_split_header = 1U << 4,
	FLOW_split_message = 1U << 5,
	FLOW_timed = 1U << 6, /* `until` is not 0 */
	FLOW_resync =
	    1U << 7, /* was only watched, is to be judged from now on */
};

/* Eight ways of a set: fingerprints, what eviction looks at, and which slot the
 * way has. A way gets its slot when it is first used, the next one in order,
 * and keeps it: so that the slots in use lie close together, and few pages. */
struct portcullis_set {
	__u32 tag[SET_WAYS];  /* 0: free */
	__u32 seen[SET_WAYS]; /* worth (2 bits) << 30 | jiffies >> 8 */
	__u32 slot[SET_WAYS]; /* index + 1, 0: none yet */
};
_Static_assert(sizeof(struct portcullis_set) == 96, "ABI: set");
enum { WORTH_closed = 0, WORTH_unverified = 1, WORTH_verified = 2 };

/* ---- counters -------------------------------------------------------- */

/* One row a CPU. */
struct portcullis_counts {
	__u64 reason[REASON_max][VERDICT_max]; /* packets */
	__u64 message[PROTO_max][CLASS_max];   /* judged and allowed */
	__u64 layer2[LAYER2_max];	       /* frames passed */
	__u64 quirk[QUIRK_max];		       /* steps that needed it */
	__u64 bytes[VERDICT_max];	       /* of the frames */
	__u64 events;			       /* put in the ring */
	__u64 events_lost;		       /* ring full */
	__u64 events_suppressed;	       /* by the rate or as a repeat */
	__u64 flows_opened;
	__u64 flows_evicted;
	__u64 coarse_entries; /* super-frames with fewer entries than pieces */
};

struct portcullis_rule_count {
	__u64 packets;
	__u64 bytes;
};

/* ---- events ---------------------------------------------------------- */

enum portcullis_record {
	RECORD_refusal = 1, /* struct portcullis_event */
};

struct portcullis_event {
	__u8 record;   /* enum portcullis_record */
	__u8 reason;   /* enum portcullis_reason */
	__u8 verdict;  /* what was done */
	__u8 would;    /* what MODE_enforce would have done */
	__u8 proto;    /* committed or expected protocol, 0: none */
	__u8 function; /* FUNCTION_none: none */
	__u8 l4;
	__u8 family; /* 4, 6; 0: no IP */
	__u32 ifindex;
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u8 src[16];  /* network; IPv4 in the last four bytes */
	__u8 dst[16];
	__u16 sport;
	__u16 dport;
	__u16 vlan;
	__u16 conduit;
	__u16 from_zone;
	__u16 to_zone;
	__u16 from_asset;
	__u16 to_asset;
	__u32 generation;
	__u32 frame_len;
	__u32 count;	  /* how often since the last report of this kind */
	__u16 payload_at; /* offset of the L4 payload in the frame */
	__u16 evidence;	  /* bytes of it that follow */
	__u8 from_server; /* the sender is the side that was called */
	__u8 unit;
	__u16 service;
	__u32 rule;
	__u32 slot;	    /* index + 1; 0: none */
	__u32 conversation; /* stable id while the slot lives */
	/* REASON_argument_not_allowed: what was named; kind 0: nothing */
	struct portcullis_range argument;
	__u32 pad;
	__u8 data[EVIDENCE_BYTES];
};
_Static_assert(sizeof(struct portcullis_event) == 120 + EVIDENCE_BYTES,
	       "ABI: event");

/* ---- tracing (replay and tests) -------------------------------------- */

/* Map `trace`, one row, written only when the rodata switch `tracing` is on. */
struct portcullis_trace {
	__u32 slot; /* index + 1; 0: none */
	__u8 reason;
	__u8 verdict;
	__u8 would;
	__u8 proto;
	__u8 function;
	__u8 from_server;
	__u8 turned; /* the packet goes back as an RST */
	__u8 l4;
	__u16 service;
	__u16 conduit;
	__u32 rule;
};
_Static_assert(sizeof(struct portcullis_trace) == 20, "ABI: trace");

#endif
