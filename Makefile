# SPDX-License-Identifier: GPL-2.0-only
CC     ?= gcc
CLANG  ?= clang
BPFTOOL ?= $(shell command -v bpftool || echo /usr/sbin/bpftool)
B      := build

WARN   := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
ifdef CI
WARN   += -Werror
endif
CPPFLAGS += -D_GNU_SOURCE -Iinclude -Ibpf -I$(B)
CFLAGS   ?= -O2 -g
CFLAGS   += -std=gnu11 $(WARN) -MMD -MP
BPFFLAGS := -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter \
	-Iinclude -Ibpf -I$(B) -I/usr/include/$(shell uname -m)-linux-gnu

protocols := $(shell sed -n 's/^PROTOCOL( *[0-9]*, *\([a-z0-9_]*\),.*/\1/p' include/portcullis/protocols.def)
mains     := portcullis portcullisd portcullis-exporter
lib       := $(filter-out $(mains:%=user/%.c),$(wildcard user/*.c))
tests     := $(patsubst tests/%.c,%,$(wildcard tests/*_test.c))

.DELETE_ON_ERROR:
all: $(mains:%=$(B)/%)

$(B)/protocols.gen.h: include/portcullis/protocols.def $(protocols:%=bpf/proto/%.h)
	@mkdir -p $(@D)
	@for p in $(protocols); do echo "#include \"proto/$$p.h\""; done >$@

$(B)/portcullis.bpf.o: bpf/portcullis.bpf.c $(wildcard bpf/*.h include/portcullis/*) $(B)/protocols.gen.h
	$(CLANG) $(BPFFLAGS) -c $< -o $@

$(B)/portcullis.skel.h: $(B)/portcullis.bpf.o
	$(BPFTOOL) gen skeleton $< name portcullis >$@

$(B)/user/%.o: user/%.c $(B)/protocols.gen.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@
