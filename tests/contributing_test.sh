#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# CONTRIBUTING.md's "add a protocol in ten minutes", done in a copy of the tree:
# the three files that scripts/new-protocol makes are all that is edited, the
# vectors fail until the step is written, and then everything knows the protocol.
set -u
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C
capture=$(mktemp -d)
B=$(realpath -m "${B:-build}")
"$B/tests/replay_test" --seeds "$capture" || exit 1
copy=$(mktemp -d)
trap 'rm -rf "$copy" "$capture"' EXIT
passed=0 failed=0
cp -r Makefile include bpf user tests scripts "$copy/"
cd "$copy" || exit 1
find . -type f -exec md5sum {} + | sort >"$capture/before"

# what is claimed, command
check() {
	local what=$1
	shift
	if "$@" >"$copy/said" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "failed: $what"
		tail -n 10 "$copy/said" | cut -c 1-300
	fi
}

not_accepted() {
	! ./vectors >failures &&
		grep 'iec104.txt:.* no case is accepted' failures
}

# Not optimised: only what it says counts here.
build() {
	make -j"$(nproc)" B=build CFLAGS=-O0 CI=1 "$@"
}

# Without all the rest: vectors need only the words of arguments.
build_vectors() {
	mkdir -p head
	scripts/tables header >head/protocols.gen.h &&
		gcc -std=gnu11 -D_GNU_SOURCE -Iinclude -Iuser -Ibpf -Ihead \
			tests/vectors_test.c user/arguments.c -o vectors
}

# Only the table was changed, only two files were added.
three_files() {
	[ "$(find Makefile include bpf user tests scripts -type f -exec md5sum {} + |
		sort | sed 's,  ,  ./,' | comm -13 "$capture/before" - |
		sed 's/.*  //' | sort | tr '\n' ' ')" = \
		"./bpf/proto/iec104.h ./include/portcullis/protocols.def ./tests/vectors/iec104.txt " ]
}

# The verifier, if there is one here for us.
kernel_takes_it() {
	build/portcullis replay "$capture/modbus-read" && {
		! grep -q 'does not take the program' "$copy/said"
	}
}

check "the command in CONTRIBUTING.md" \
	scripts/new-protocol iec104 TCP 2404 "IEC 60870-5-104"
cat >tests/vectors/iec104.txt <<'VECTORS'
# SPDX-License-Identifier: GPL-2.0-only
# IEC 60870-5-104. Syntax: tests/vectors_test.c.
#
# ---- accepted
ok twice says control,control : >68 04 07 000000 <68 04 0b 000000	# 5.3: STARTDT act, con
ok says control,control : >68 04 07 000000 68 04 01 00 0200	# 5.1: S format
ok says control,information : >68 04 07 000000 68 0e 0000 0000 64 01 0600 0100 000000 14	# 5.1: I format, interrogation
#
# ---- refused
bad_magic : >69 04 07 000000	# another start byte
bad_length : >68 03 07 0000	# shorter than its control field
bad_function : >68 04 0f 000000	# two functions at once
VECTORS
check "it builds as it is" build_vectors
check "the vectors fail until the step is written" not_accepted
cat >bpf/proto/iec104.h <<'STEP'
/* SPDX-License-Identifier: GPL-2.0-only */
/* IEC 60870-5-104: a start byte, a length, four control octets (5.1). */
#ifndef PORTCULLIS_PROTO_IEC104_H
#define PORTCULLIS_PROTO_IEC104_H

#include "window.h"

#define iec104_FUNCTIONS(F) F(1, "control", other) F(2, "information", read)

enum {
	IEC104_HEAD = 6,
};

/* 5.3: one of STARTDT, STOPDT, TESTFR, its act or its con. */
static __always_inline int iec104_is_u(__u8 octet)
{
	return octet == 0x07 || octet == 0x0b || octet == 0x13 ||
	       octet == 0x23 || octet == 0x43 || octet == 0x83;
}

static __always_inline void iec104_step(struct step *s, struct state *st)
{
	__u8 len = u8_at(s, 1), octet = u8_at(s, 2);

	if (u8_at(s, 0) != 0x68)
		return bad(s, REASON_bad_magic);
	if (s->have > 1 && (len < 4 || len > 253))
		return bad(s, REASON_bad_length);
	if (s->have > 2 && !iec104_is_u(octet) &&
	    (!st->shared[0] || (octet & 1 && octet != 1)))
		return bad(s, REASON_bad_function);
	if (s->have > 2 && octet & 1 && len != 4)
		return bad(s, REASON_bad_length);
	if (s->have > 3 && octet & 1 && u8_at(s, 3))
		return bad(s, REASON_bad_magic);
	if (s->have > 4 &&
	    u8_at(s, 4) & (octet == 1 || !(octet & 1) ? 1 : 0xff))
		return bad(s, REASON_bad_magic);
	if (s->have > 5 && u8_at(s, 5) && iec104_is_u(octet))
		return bad(s, REASON_bad_magic);
	if (s->have < IEC104_HEAD)
		return need(s, IEC104_HEAD);
	st->shared[0] |= octet == 0x07; /* STARTDT: data may follow */
	if (octet & 1)
		says(s, 1, CLASS_other);
	else
		says(s, 2, CLASS_read);
	message_ends(s);
	take(s, IEC104_HEAD, len - 4);
}

#endif
STEP
check "the step builds" build build/portcullis build/tests/vectors_test \
	build/tests/protocols_test build/tests/policy_test
check "the vectors pass" build/tests/vectors_test
check "nothing else is taken for it" build/tests/protocols_test
check "its functions are numbered well" build/tests/policy_test
check "the command knows it" build/portcullis protocols iec104
cat >policy <<'POLICY'
service rtu tcp 2404 expect iec104
zone a { network 10.1.0.0/16 }
zone b { network 10.2.0.0/16 }
conduit c from a to b {
	allow rtu read, function control
}
POLICY
check "the policy language does" build/portcullis check policy
check "the kernel takes it" kernel_takes_it
check "three files, no other" three_files
echo "$passed passed, $failed failed"
[ $failed = 0 ]
