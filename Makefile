# SPDX-License-Identifier: GPL-2.0-only
#
# From nothing to a verdict: every target brings what it needs. All products are
# in build/, all logs in build/logs/. DEBUG=1 takes a kernel full of checks,
# KCSAN=1 one that looks for data races.

TOP   := $(CURDIR)
STEP  := scripts/step

# BASE is the kernel that the overlay is laid over; another than the default has a
# folder of its own in build/. So has ARCH, the machine, for another than this one.
export BASE
ifdef ARCH
export ARCH
endif
B     := $(shell BASE='$(BASE)' ARCH='$(ARCH)' scripts/base || echo none)
ifeq ($(B),none)
$(error nothing was built)
endif
ifneq ($(if $(ARCH),$(shell ARCH='$(ARCH)' scripts/arch cross)),)
ifneq ($(filter test-module field deb deb-module testdeb page coverage,$(MAKECMDGOALS)),)
$(error ARCH=$(ARCH) is for kernel, tools and tests: the rest is built for this machine alone)
endif
endif

# Turmoil is for the kernel that notices.
ifneq ($(filter stress,$(MAKECMDGOALS)),)
DEBUG := 1
endif

# A package may be of any configuration.
ifneq ($(filter deb testdeb,$(MAKECMDGOALS)),)
export WHOLE := 1
endif

ifdef DEBUG
KDIR      := $(B)/kernel-debug
FRAGMENTS := vm/kernel.config vm/debug.config
MEM       ?= 1G
else
KDIR      := $(B)/kernel
FRAGMENTS := vm/kernel.config
endif

# What the two instruments look at. Kbuild asks for each object: $@ is its, not ours.
OURS       := mm/oom_policy/%.o mm/bpf_memcontrol.o kernel/bpf/oom_policy%.o
NEIGHBOURS := mm/oom_kill.o mm/memcontrol%.o kernel/cgroup/cgroup.o kernel/exit.o \
	kernel/fork.o kernel/signal.o kernel/bpf/syscall.o fs/proc/base.o

ifdef KCSAN
KDIR      := $(B)/kernel-kcsan
FRAGMENTS := vm/kernel.config vm/kcsan.config
export KCSAN_SANITIZE := $$(if $$(filter $(OURS) $(NEIGHBOURS),$$@),y,n)
endif

ifneq ($(filter coverage,$(MAKECMDGOALS)),)
COVERAGE  := 1
endif
ifdef COVERAGE
KDIR      := $(B)/kernel-coverage
FRAGMENTS := vm/kernel.config vm/coverage.config
export GCOV_PROFILE := $$(if $$(filter $(OURS),$$@),y)
# Every function once, so that a branch of the source is one of the program.
export KCC := gcc $$(if $$(filter $(OURS),$$@),-fno-early-inlining -include $(B)/coverage.h)
endif
export KERNEL := $(KDIR)/vmlinux

# The command as it was typed: no second reading of its dollars.
override CMD := $(value CMD)
override APPEND := $(value APPEND)
export CMD APPEND MEM CPUS SHARE ICOUNT DEBUG KCSAN COVERAGE

# They are ours, not of the makes that the steps start.
MAKEOVERRIDES =
unexport MAKEFLAGS

ifneq ($(words $(TOP)),1)
$(error the path of this folder has a blank, with which no kernel builds: $(TOP))
endif

# What a test names is known before anything is built for it.
ifneq ($(filter test coverage field,$(MAKECMDGOALS)),)
SELECTED := $(shell BASE='$(BASE)' ARCH='$(ARCH)' FIELD=$(filter field,$(MAKECMDGOALS)) DEBUG='$(DEBUG)' KCSAN='$(KCSAN)' COVERAGE='$(COVERAGE)' \
	JOBS='$(JOBS)' PART='$(PART)' scripts/run-tests -l $(TESTS) || echo none)
ifneq ($(filter none,$(SELECTED)),)
$(error nothing was built)
endif
endif

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 20

.PHONY: deps
deps: ## install the Debian packages that are missing
	@scripts/deps

.PHONY: overlay
overlay: deps
	@scripts/overlay

.PHONY: kernel
kernel: overlay $(if $(COVERAGE),coverage.h) ## the kernel with OOM policies (KERNEL_SRC=dir: from another source)
	@$(STEP) $(notdir $(KDIR)) scripts/kernel $(B)/src $(KDIR) $(FRAGMENTS)

# The same kernel without us, as far as reports and the memory controller go, or all
# of it.
.PHONY: stock stock-all
stock: overlay
	@$(STEP) kernel-stock scripts/kernel $(B)/stock/src $(B)/stock/kernel \
		vm/kernel.config vm/stock.config
stock-all: overlay
	@$(STEP) kernel-stock-all scripts/kernel $(B)/stock/src $(B)/stock/kernel-all vm/kernel.config

.PHONY: tools
tools: kernel ## libbpf, bpftool and the sample policies
	@$(STEP) tools scripts/tools
	@scripts/initramfs

.PHONY: tests
tests: kernel
	@$(STEP) tools scripts/tools tests
	@scripts/initramfs

.PHONY: demo
demo: tools ## the same shortage twice: without a policy and with one
	@MEM=$(or $(MEM),384M) SHARE= vm/run oom_policy_demo

# What our files include has inlined what it must before our own are asked not to.
.PHONY: coverage.h
coverage.h: overlay
	@scripts/coverage header

.PHONY: test
test: tests $(if $(findstring stock,$(SELECTED)),stock) ## all tests, as KTAP (TESTS="link selection": some; JOBS=1)
	@scripts/run-tests $(TESTS)

.PHONY: test-module
test-module: tests ## the module on Debian's own kernels (KERNELS=, TESTS="selection": some)
	@scripts/test-module $(TESTS)

.PHONY: field
field: tools ## the same with Debian, systemd and other killers in the machine (TESTS="field_killers": some)
	@scripts/deps field
	@$(if $(filter field_install,$(SELECTED)),$(STEP) field-small scripts/field small)
	@$(if $(filter-out field_install field_dkms,$(filter field_%,$(SELECTED))), \
		$(STEP) kernel-field scripts/kernel $(B)/src $(B)/kernel-field \
			vm/kernel.config vm/field.config && $(STEP) field scripts/field)
	@$(if $(filter field_dkms,$(SELECTED)),$(STEP) field-dkms scripts/field dkms)
	@FIELD=1 TIMEOUT=$${TIMEOUT:-1200} scripts/run-tests $(TESTS); ended=$$?; \
		scripts/field-table; exit $$ended

.PHONY: coverage
coverage: tests $(if $(findstring stock,$(SELECTED)),stock) ## which lines and branches the tests reach: build/coverage/ (TESTS="link": some)
	@scripts/deps coverage
	@scripts/coverage $(TESTS)

.PHONY: fuzz
fuzz: tests ## random trees against a model of the rules: N=2000, SEED= to see one again
	@MEM=$(or $(MEM),192M) SHARE= TIMEOUT=$$((600 + $(or $(N),200))) \
		vm/run /tests/fuzz -n $(or $(N),200) $(if $(SEED),-s $(SEED))

.PHONY: stress
stress: tests ## OOMs amid turmoil, on a kernel full of checks: MINUTES=10, SEED=
	@MEM=640M SHARE= TIMEOUT=$$((600 + 60 * $(or $(MINUTES),10))) \
		vm/run /tests/stress -m $(or $(MINUTES),10) $(if $(SEED),-s $(SEED))

.PHONY: bench
bench: tests ## what a selection costs, in instructions: build/bench/ (SHAPES="1000 10x10x10": some)
	@scripts/deps bench
	@scripts/bench $(SHAPES)

.PHONY: bench-early
bench-early: tests ## early kills and the grace against what there is: build/bench-early/
	@scripts/bench-early

.PHONY: bench-tools
bench-tools: tests ## what bpftool takes with 10,000 cgroups, in instructions, and to read a file of each
	@MEM=3G SHARE= TIMEOUT=$${TIMEOUT:-3600} ICOUNT=1 vm/run /tests/bench_scale

.PHONY: page
page: tools ## the page of "bpftool oom report" in a browser, and pictures of it: build/page/
	@scripts/deps page
	@scripts/test-page

.PHONY: shell
shell: tests ## a shell in the machine; CMD= SHARE= MEM= CPUS= APPEND= ICOUNT=1
	@if [ -n "$$CMD" ]; then vm/run "$$CMD"; else vm/run; fi

.PHONY: check
check: kernel ## style and static checks of our files
	@scripts/deps check
	@scripts/check $(FRAGMENTS)

.PHONY: configs
configs: overlay ## build what we touch under unusual configurations
	@scripts/configs

.PHONY: patches
patches: overlay ## the overlay as a series of patches, in build/patches
	@scripts/patches

.PHONY: series
series: tests stock-all patches ## build after each patch of the series (FULL=1: a kernel each time)
	@scripts/build-patches

.PHONY: deb
deb: tools ## Debian packages in build/deb; CONFIG=file (default: the running kernel's)
	@scripts/deps deb
	@scripts/deb-tools
	@$(STEP) deb-kernel scripts/deb-kernel $(CONFIG)

.PHONY: deb-module
deb-module: tools ## Debian packages of the module (DKMS) and the tools, in build/deb
	@scripts/deps deb
	@scripts/deb-tools
	@scripts/deb-dkms

.PHONY: testdeb
testdeb: tools ## pack and install a kernel too, and boot it (minutes)
	@scripts/deps deb
	@scripts/test-deb kernel

.PHONY: clean
clean: ## remove what was built
	rm -rf $(addprefix build/,7.3 arm64 i386 src stock obj tools tests logs run bench bench-early module accel initramfs.cpio \
		kernel kernel-debug kernel-kcsan kernel-coverage kernel-field field page coverage coverage.h \
		check patches each deb deb-test kernel-deb kernel-deb-test) build/overlay.* build/initramfs.* \
		build/series.* build/deb.*
