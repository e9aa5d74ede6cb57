# SPDX-License-Identifier: GPL-2.0-only
# Every source is found by its name; everything made stands under $(B).
# VARIANT builds the same host code another way, below $(B)/VARIANT: clang
# (its warnings), san (ASan and UBSan), fuzz (libFuzzer).
B       ?= build
O       := $(B)$(VARIANT:%=/%)
PREFIX  ?= /usr
CLANG   ?= clang
BPFTOOL ?= $(shell command -v bpftool || echo /usr/sbin/bpftool)
T       ?= 60

ifeq ($(origin CC),default)
CC := $(if $(VARIANT),clang,gcc)
endif
ifneq ($(V),1)
Q   := @
say = @printf '  %-8s %s\n' '$(1)' '$@'
endif

WERROR   := $(if $(CI),-Werror)
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes $(WERROR)
CPPFLAGS += -D_GNU_SOURCE -Iinclude -Iuser -Ibpf -I$(B)
CFLAGS   ?= -O2 -g
sanitize := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all -fsanitize=address,undefined
san      := $(sanitize)
fuzz     := $(sanitize) -fsanitize=fuzzer-no-link
HOST      = $(CC) $(CPPFLAGS) $(CFLAGS) -std=gnu11 $(WARN) $($(VARIANT)) $(shell pkg-config --cflags $(LIBS))
BPF       = $(CLANG) -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter $(WERROR) \
	-Iinclude -Ibpf -I$(B) -I/usr/include/$(shell uname -m)-linux-gnu
LIBS     := libbpf libelf libpcap zlib libnftables
LINK      = $(CC) $(CFLAGS) $($(VARIANT)) $(LDFLAGS) -Wl,--as-needed $(filter %.o %.a,$^) \
	$(shell pkg-config --libs $(LIBS) $(1)) -lpthread

mains    := portcullis portcullisd portcullis-exporter
programs := $(mains:%=$(O)/%)
lib      := $(patsubst %.c,$(O)/%.o,$(filter-out $(mains:%=user/%.c),$(wildcard user/*.c)))
tests    := $(patsubst %.c,$(O)/%,$(wildcard tests/*_test.c))
rooted   := $(patsubst %.c,$(O)/%,$(wildcard tests/*_root.c))
rig      := $(patsubst %.c,$(B)/%.o,$(wildcard tests/netns/*.bpf.c))
peers    := $(patsubst %.c,$(O)/%,$(wildcard tests/*_peer.c))
support  := $(patsubst %.c,$(O)/%.o,$(filter-out %_test.c %.bpf.c %_root.c %_peer.c tests/fuzz_% tests/bench.c tests/lint/%, \
	$(wildcard tests/*.c tests/*/*.c)))
fuzzers  := $(patsubst %.c,$(B)/fuzz/%,$(wildcard tests/fuzz_*.c))
pages    := $(patsubst user/%.scd,$(B)/man/%,$(wildcard user/*.scd))
run       = B='$(abspath $(B))' O='$(abspath $(O))' T='$(T)' tests/run

.DELETE_ON_ERROR:
.PRECIOUS: $(O)/%.o $(B)/%.skel.h
.PHONY: all programs tests peers fuzzers man check test lint fuzz bench tunnels complexity vmtest demo deps install format help clean FORCE
all: programs man ## build the kernel object, the programs and the man pages
programs: $(programs)
tests: $(tests) $(rooted) $(peers) $(rig) $(O)/tests/bench ## build the test programs
peers: $(peers) $(rig)
man: $(pages)
ifeq ($(VARIANT),fuzz)
fuzzers: $(fuzzers)
else
fuzzers:
	@$(MAKE) --no-print-directory VARIANT=fuzz B='$(B)' fuzzers
endif

# Checked at every build, rewritten only when it changes.
$(B)/protocols.gen.h: FORCE
	@mkdir -p $(@D)
	@scripts/tables header >$@.new || { rm -f $@.new; exit 1; }
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# Other flags than last time: build again.
$(O)/host.flags: flags = $(HOST)
$(B)/bpf.flags: flags = $(BPF)
$(O)/host.flags $(B)/bpf.flags: FORCE
	@mkdir -p $(@D)
	@echo '$(flags)' | cmp -s - $@ || echo '$(flags)' >$@

$(B)/portcullis.bpf.o: bpf/portcullis.bpf.c $(B)/protocols.gen.h
$(B)/traffic.bpf.o: tests/measure/traffic.bpf.c
$(B)/messages.bpf.o: tests/measure/messages.bpf.c $(B)/protocols.gen.h
$(B)/steps.bpf.o: tests/steps.bpf.c $(B)/protocols.gen.h
$(rig): $(B)/%.o: %.c
$(B)/portcullis.bpf.o $(B)/traffic.bpf.o $(B)/messages.bpf.o $(B)/steps.bpf.o $(rig): $(B)/bpf.flags
	@mkdir -p $(@D)
	$(call say,BPF)
	$(Q)$(BPF) -MMD -MP -MF $@.d -c $(filter %.bpf.c,$^) -o $@
	$(Q)llvm-strip -g $@

$(B)/%.skel.h: $(B)/%.bpf.o
	$(call say,SKELETON)
	$(Q)$(BPFTOOL) gen skeleton $< name $* >$@

$(O)/tests/load_root.o: | $(B)/steps.skel.h
$(O)/tests/bench.o $(filter $(O)/tests/measure/%,$(support)): | $(B)/traffic.skel.h $(B)/messages.skel.h
$(O)/%.o: %.c $(O)/host.flags $(B)/protocols.gen.h | $(B)/portcullis.skel.h
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(HOST) -MMD -MP -c $< -o $@

$(O)/libportcullis.a: $(lib)
$(O)/libtests.a: $(support)
$(O)/lib%.a:
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcs $@ $^

$(O)/portcullis-exporter: more := libmicrohttpd
$(programs): $(O)/%: $(O)/user/%.o $(O)/libportcullis.a
	$(call say,LINK)
	$(Q)$(call LINK,$(more)) -o $@

$(peers): more := libmodbus
$(O)/tests/fuzz_%: LDFLAGS += -fsanitize=fuzzer
$(O)/tests/%: $(O)/tests/%.o $(O)/libtests.a $(O)/libportcullis.a
	$(call say,LINK)
	$(Q)$(call LINK,$(more)) -o $@

# From the tables, and from what the programs say --help.
$(B)/man/%: user/%.scd scripts/tables $(programs)
	@mkdir -p $(@D)
	$(call say,MAN)
	$(Q)B='$(B)' scripts/tables scdoc $< >$@.scd && scdoc <$@.scd >$@

check: all tests ## tests that need no root: units, vectors, goldens, man pages
	@$(run) lint=man host
test: deps ## everything, as root: builds, lint, sanitizers, fuzzers, kernel, namespaces, virtual machine
	@$(run) all
lint: $(B)/portcullis.skel.h ## format, shellcheck, codespell, clang-tidy, house rules, man pages
	@B='$(B)' scripts/lint
fuzz: $(patsubst %,$(O)/tests/%_test,reasons vectors replay) fuzzers ## run each fuzzer for T=60 seconds
	@$(run) fuzz
bench: all $(O)/tests/bench $(O)/tests/vectors_test ## measure, as root; also written to build/bench.json
	@B='$(abspath $(B))' $(O)/tests/bench
tunnels: all tests ## write the table of portcullis-tunnels(7) from a run
	@B='$(abspath $(B))' PORTCULLIS_WRITE=1 bash tests/netns/tunnels.sh

complexity: all tests ## write tests/complexity.txt: what the verifier had to do
	@{ $(O)/tests/load_root; B='$(abspath $(B))' scripts/vmtest; } | sed -n 's/^ *complexity: //p' >tests/complexity.txt
vmtest: all tests ## load and run on kernel K=6.1 of Debian, in a virtual machine
	@B='$(abspath $(B))' scripts/vmtest $(K)
demo: ## see it work, as root, in a minute: installs what is missing, builds, shows
	@scripts/deps demo
	@$(MAKE) --no-print-directory all peers
	@B='$(abspath $(B))' scripts/demo
deps: ## install what is missing, as root, from Debian's packages
	@scripts/deps

install: all ## install programs and man pages below DESTDIR=
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin
	install $(O)/portcullis $(O)/portcullis-exporter $(DESTDIR)$(PREFIX)/bin
	install $(O)/portcullisd $(DESTDIR)$(PREFIX)/sbin
	for page in $(pages); do install -D -m 644 $$page \
		$(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit; done

format: ## rewrite the C sources in the project's format
	clang-format-14 -i $(filter-out tests/lint/%,$(wildcard bpf/*.[ch] bpf/proto/*.h user/*.[ch] \
		tests/*.[ch] tests/*/*.[ch] include/portcullis/*.h))
help: ## this list
	@sed -n 's/^\([a-z]*\):.* ## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18
clean: ## remove build/
	rm -rf $(B)

-include $(wildcard $(B)/*.d $(O)/user/*.d $(O)/tests/*.d $(O)/tests/*/*.d)
