# vqsh. `make help` lists the targets; README.md says more. Local settings go to config.mk.
-include config.mk

VERSION := 0.1.0
CC      ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
CXX     := $(if $(findstring clang,$(CC)),$(subst clang,clang++,$(CC)),g++)
PREFIX  ?= /usr/local
DESTDIR ?=
BLAS    ?= 1# 0: without OpenBLAS, our own kernels do it all
READLINE ?= 1# 0: without readline, plain line input
SAN     ?=# e.g. address,undefined
WERROR  ?= 0
OPT     ?= $(if $(SAN),-O1,-O2)
T       ?=# make check T=NAME runs the tests whose name contains NAME

# One object tree for each configuration, so that variants never mix.
empty :=
space := $(empty) $(empty)
comma := ,
BUILD := build/$(notdir $(CC))$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(filter 0,$(BLAS)),-noblas)$(if $(filter 0,$(READLINE)),-noreadline)

pkg = $(shell pkg-config $(1) $(2) 2>/dev/null || echo $(3))
WARN := -Wall -Wextra -Wshadow -Wwrite-strings -Wundef -Wpointer-arith -Wvla -Wformat=2
WARN_C := $(WARN) -Wstrict-prototypes -Wmissing-prototypes
ifeq ($(WERROR),1)
WARN += -Werror
WARN_C += -Werror
endif
CPPFLAGS += -I. -D_GNU_SOURCE -DVQSH_VERSION='"$(VERSION)"' -DVQ_BLAS=$(BLAS) -DVQ_READLINE=$(READLINE)
CPPFLAGS := $(CPPFLAGS) $(call pkg,--cflags,stb chafa cairo libcjson msgpack sentencepiece,-I/usr/include/stb -I/usr/include/cairo)
COMMON    = $(OPT) -g -fno-omit-frame-pointer $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)
CFLAGS   += -std=c11 $(COMMON)
CXXFLAGS += -std=c++17 $(COMMON)
# The C driver links, which has no runtime for checks of C++ types.
CXXFLAGS += $(if $(SAN),-fno-sanitize=vptr$(if $(findstring clang,$(CC)),$(comma)function))
LDFLAGS  += $(if $(SAN),-fsanitize=$(SAN))
LDLIBS   := $(call pkg,--libs,libcjson,-lcjson) $(call pkg,--libs,msgpack,-lmsgpackc) \
            $(call pkg,--libs,sqlite3,-lsqlite3) $(call pkg,--libs,sentencepiece,-lsentencepiece) \
            $(call pkg,--libs,chafa,-lchafa -lglib-2.0) $(call pkg,--libs,cairo,-lcairo) $(call pkg,--libs,libcrypto,-lcrypto) \
            $(call pkg,--libs,zlib,-lz)
ifneq ($(BLAS),0)
LDLIBS   += $(call pkg,--libs,openblas,-lopenblas)
endif
READLINE_LIBS := $(if $(filter-out 0,$(READLINE)),$(call pkg,--libs,readline,-lreadline))
LDLIBS   += -lstdc++ -lpthread -lm

core_src := $(wildcard core/*/*.c) core/vocab/spm.cc
viz_src  := $(wildcard viz/*.c)
repl_src := $(wildcard repl/*.c)
test_src := $(wildcard tests/unit/test_*.c)
objs      = $(patsubst %,$(BUILD)/%.o,$(basename $(1)))
core_obj := $(call objs,$(core_src))
viz_obj  := $(call objs,$(viz_src))
repl_obj := $(call objs,$(repl_src))
libs     := $(BUILD)/libsh.a $(BUILD)/libviz.a $(BUILD)/libcore.a
test_bin := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(test_src))
sh_tests := $(patsubst %,$(BUILD)/tests/test_%,split opt complete out html)
pty_bin  := $(BUILD)/tests/pty/pty_test
tool_bin := $(patsubst tests/tools/%.c,$(BUILD)/tests/tools/%,$(wildcard tests/tools/*.c))

# One short line for each step; V=1 shows the commands.
say = $(if $(V),,@printf '  %-4s%s\n' $(1) $@;)

.PHONY: all build-all run train-demo train-prose train-emoji test check test-browser bench-store bench-start setup install uninstall clean help lint FORCE
.DELETE_ON_ERROR:
.SECONDARY:

all: vqsh

# ./vqsh is the program of the configuration last built.
vqsh: $(BUILD)/vqsh FORCE
	@cmp -s $< $@ || { cp -f $< $@.tmp && mv -f $@.tmp $@; }

$(BUILD)/vqsh: $(BUILD)/repl/main.o $(libs) $(BUILD)/flags
	$(call say,LD)$(CC) $(LDFLAGS) -o $@ $< $(libs) $(READLINE_LIBS) $(LDLIBS)

# The shell but for main(), so that tests can link it.
$(BUILD)/libsh.a: $(filter-out %/main.o,$(repl_obj))
	@rm -f $@; ar rcs $@ $^

$(BUILD)/libcore.a: $(core_obj)
	@rm -f $@; ar rcs $@ $^
$(BUILD)/libviz.a: $(viz_obj)
	@rm -f $@; ar rcs $@ $^

# The instruction sets a kernel file may use; which one runs is chosen at run time.
ifneq ($(filter x86_64 amd64,$(shell uname -m)),)
$(BUILD)/core/kernels/%_avx2.o:   KERNEL := -mavx2 -mfma -mf16c
$(BUILD)/core/kernels/%_avx512.o: KERNEL := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c -mprefer-vector-width=512
$(BUILD)/core/kernels/%_vnni.o:   KERNEL := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mavx2 -mfma -mf16c -mprefer-vector-width=512
$(BUILD)/core/kernels/%_bf16.o:   KERNEL := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512bf16 -mavx2 -mfma -mf16c -mprefer-vector-width=512
endif
$(BUILD)/core/kernels/%.o: private OPT := $(if $(SAN),-O1,-O3) -fno-math-errno -fno-trapping-math
# clang warns of each loop that it does not vectorise, which at -O1 are all.
$(BUILD)/core/kernels/%.o: private WARN_C += $(if $(findstring clang,$(CC)),-Wno-pass-failed)

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(CFLAGS) $(WARN_C) $(KERNEL) -MMD -MP -c -o $@ $<
$(BUILD)/%.o: %.cc $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CXX)$(CXX) $(CPPFLAGS) $(CXXFLAGS) $(WARN) -MMD -MP -c -o $@ $<

# Rewritten only when it changes, so a change of flags rebuilds and nothing else does.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CXX) $(CPPFLAGS) $(CFLAGS) $(CXXFLAGS) $(WARN_C) $(LDFLAGS) $(LDLIBS)' | cmp -s - $@ || \
	 echo '$(CC) $(CXX) $(CPPFLAGS) $(CFLAGS) $(CXXFLAGS) $(WARN_C) $(LDFLAGS) $(LDLIBS)' > $@

$(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(BUILD)/libcore.a $(BUILD)/libviz.a
	$(call say,LD)$(CC) $(LDFLAGS) -o $@ $< $(BUILD)/libviz.a $(BUILD)/libcore.a $(call pkg,--libs,cmocka,-lcmocka) $(LDLIBS)
# Tests of the shell itself.
$(sh_tests): $(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(libs)
	$(call say,LD)$(CC) $(LDFLAGS) -o $@ $< $(libs) $(call pkg,--libs,cmocka,-lcmocka) $(READLINE_LIBS) $(LDLIBS)
$(pty_bin): $(call objs,$(wildcard tests/pty/*.c))
	$(call say,LD)$(CC) $(LDFLAGS) -o $@ $^ -lutil
$(BUILD)/tests/tools/%: $(BUILD)/tests/tools/%.o $(BUILD)/libcore.a $(BUILD)/libviz.a
	$(call say,LD)$(CC) $(LDFLAGS) -o $@ $< $(BUILD)/libviz.a $(BUILD)/libcore.a $(LDLIBS) -lutil

setup:
	@./setup.sh build

run: setup ## install what is missing, build, open the shell on a shipped model
	@$(MAKE) --no-print-directory all
	@samples/run.sh

train-demo: vqsh ## train a tiny model on Shakespeare in two minutes and let it write
	@mkdir -p build
	./vqsh --db build/train-demo.db --format table samples/train-demo.vqsh

# The data comes from package archives, once; the checkpoints stay in build/.
train-prose: ## train the shipped text model again, in some hours
train-emoji: ## train the shipped image model again, in some hours
train-prose train-emoji: train-%: vqsh
	@mkdir -p build
	[ -d build/data/$* ] || samples/train/get-$*.sh build/data/$*
	./vqsh --db build/train-$*.db --format table samples/train/$*.vqsh

test: ## install what is missing, build, run all the tests
	@./setup.sh build test
	@$(MAKE) --no-print-directory check

test-browser: build-all ## open, sort and print a report in Chromium, where that is installed
	@CC=$(CC) BUILD=$(BUILD) T=check/browser tests/run.sh

build-all: vqsh $(test_bin) $(pty_bin) $(tool_bin) ## the program and all of its tests

check: build-all ## the tests, installing nothing
	@CC=$(CC) BUILD=$(BUILD) T='$(T)' tests/run.sh

bench-store: vqsh $(BUILD)/tests/tools/bench_store ## measure the run database at 10,000 runs
	$(BUILD)/tests/tools/bench_store ./vqsh $(BUILD)/bench-store.db

bench-start: vqsh $(BUILD)/tests/tools/bench_start $(BUILD)/tests/tools/random_model ## measure how soon prompt and first token are there
	$(BUILD)/tests/tools/bench_start ./vqsh $(BUILD)/tests/tools/random_model $(BUILD)/bench-start

install: vqsh ## copy program, models and tour below $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/vqsh
	install -m 755 vqsh $(DESTDIR)$(PREFIX)/bin/vqsh
	cp -R samples/. $(DESTDIR)$(PREFIX)/share/vqsh/

uninstall: ## remove what install copied
	rm -f $(DESTDIR)$(PREFIX)/bin/vqsh
	rm -rf $(DESTDIR)$(PREFIX)/share/vqsh

clean: ## remove all that was built
	rm -rf build vqsh

help: ## this list
	@echo "vqsh $(VERSION). make [TARGET] [CC=clang] [SAN=address,undefined] [WERROR=1] [BLAS=0] [READLINE=0]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  all        build ./vqsh (the default)"

-include $(shell find build -name '*.d' 2>/dev/null)
