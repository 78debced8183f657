// SPDX-License-Identifier: GPL-2.0-only
/*
 * An orchestrator at work on the sample leaf_prio: an agent in a process of its own that
 * knows nothing but the pinned map. What it sets has to decide who dies.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "policy.h"
#include "sample.h"

#define PIN		"/sys/fs/bpf/orchestrators_map"
#define LINK_PIN	"/sys/fs/bpf/orchestrators_link"
#define NR_TENANTS	5
#define DELETED		2

/* What the agent writes, in the order of the tenants on its command line. */
static const __s64 priorities[NR_TENANTS] = { -100, 0, 100, 200, 300 };

/* The map by libbpf, and by the syscall alone: what both ways have to offer. */
struct access {
	int (*get)(const char *path);
	int (*update)(int fd, const __u64 *key, const __s64 *value);
	int (*lookup)(int fd, const __u64 *key, __s64 *value);
	int (*erase)(int fd, const __u64 *key);
	int (*next)(int fd, const __u64 *key, __u64 *next);
};

static int lib_get(const char *path)
{
	return bpf_obj_get(path);
}

static int lib_update(int fd, const __u64 *key, const __s64 *value)
{
	return bpf_map_update_elem(fd, key, value, BPF_ANY);
}

static int lib_lookup(int fd, const __u64 *key, __s64 *value)
{
	return bpf_map_lookup_elem(fd, key, value);
}

static int lib_erase(int fd, const __u64 *key)
{
	return bpf_map_delete_elem(fd, key);
}

static int lib_next(int fd, const __u64 *key, __u64 *next)
{
	return bpf_map_get_next_key(fd, key, next);
}

static const struct access by_libbpf = {
	.get = lib_get,
	.update = lib_update,
	.lookup = lib_lookup,
	.erase = lib_erase,
	.next = lib_next,
};

static int raw(int command, union bpf_attr *attr)
{
	return syscall(__NR_bpf, command, attr, sizeof(*attr));
}

static int raw_get(const char *path)
{
	union bpf_attr attr = { .pathname = (unsigned long)path };

	return raw(BPF_OBJ_GET, &attr);
}

static int raw_elem(int command, int fd, const __u64 *key, const void *value)
{
	union bpf_attr attr = {
		.map_fd = fd,
		.key = (unsigned long)key,
		.value = (unsigned long)value,
	};

	return raw(command, &attr);
}

static int raw_update(int fd, const __u64 *key, const __s64 *value)
{
	return raw_elem(BPF_MAP_UPDATE_ELEM, fd, key, value);
}

static int raw_lookup(int fd, const __u64 *key, __s64 *value)
{
	return raw_elem(BPF_MAP_LOOKUP_ELEM, fd, key, value);
}

static int raw_erase(int fd, const __u64 *key)
{
	return raw_elem(BPF_MAP_DELETE_ELEM, fd, key, NULL);
}

static int raw_next(int fd, const __u64 *key, __u64 *next)
{
	return raw_elem(BPF_MAP_GET_NEXT_KEY, fd, key, next);
}

static const struct access by_syscall = {
	.get = raw_get,
	.update = raw_update,
	.lookup = raw_lookup,
	.erase = raw_erase,
	.next = raw_next,
};

/* Keys of the map that are tenants', as bits; -1 for any other. */
static int iterate(const struct access *map, int fd, const __u64 *ids)
{
	__u64 key, *last = NULL;
	int seen = 0, n;

	while (!map->next(fd, last, &key)) {
		last = &key;
		for (n = 0; n < NR_TENANTS && ids[n] != key; n++)
			;
		if (n == NR_TENANTS || seen & 1 << n)
			return -1;
		seen |= 1 << n;
	}
	return errno == ENOENT ? seen : -1;
}

static int failures;

static void expect(bool met, const char *what)
{
	if (met)
		return;
	diag("agent: %s: %m", what);
	failures++;
}

static int agent(const struct access *map, const char *path, char **args)
{
	const int all = (1 << NR_TENANTS) - 1;
	__u64 ids[NR_TENANTS];
	__s64 value;
	int fd, n;

	fd = map->get(path);
	expect(fd >= 0, "open the pin");
	for (n = 0; n < NR_TENANTS; n++) {
		ids[n] = strtoull(args[n], NULL, 10);
		expect(!map->update(fd, &ids[n], &priorities[n]), "put");
	}
	for (n = 0; n < NR_TENANTS; n++)
		expect(!map->lookup(fd, &ids[n], &value) && value == priorities[n], "get");
	expect(iterate(map, fd, ids) == all, "iterate");
	expect(!map->erase(fd, &ids[DELETED]), "delete");
	expect(map->lookup(fd, &ids[DELETED], &value) && errno == ENOENT, "get what is gone");
	expect(map->erase(fd, &ids[DELETED]) && errno == ENOENT, "delete what is gone");
	expect(iterate(map, fd, ids) == (all & ~(1 << DELETED)), "iterate over the rest");
	return !!failures;
}

static int run(const char * const argv[])
{
	const pid_t pid = fork();
	int status;

	if (!pid) {
		execvp(argv[0], (char * const *)argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* Waits until a kill was counted that was not there before. */
static __u32 next_victim(struct policy *recorder, __u32 number)
{
	if (raise_oom_sysrq() || !wait_until(recorder->bss->nr_victims > number))
		return 0;
	return recorder->bss->victims[number];
}

FIXTURE(katalyst)
{
	struct tree tree;
	struct policy *recorder;
};

FIXTURE_VARIANT(katalyst)
{
	const char *access;
};

FIXTURE_VARIANT_ADD(katalyst, libbpf) { .access = "libbpf" };
FIXTURE_VARIANT_ADD(katalyst, syscall) { .access = "syscall" };

FIXTURE_SETUP(katalyst)
{
	const char * const loader[] = {
		"bpftool", "oom", "attach", SHARE "/leaf_prio.bpf.o", "/", "map", "oom_priority",
		"pin", PIN, "pin", LINK_PIN, NULL
	};

	ASSERT_EQ(0, protect_ancestors());
	ASSERT_EQ(0, tree_make(&self->tree, "A=0,8M B=0,12M C=0,16M D=0,24M E=0,32M"));
	self->recorder = policy_load(&self->tree);
	ASSERT_NE(NULL, self->recorder);
	ASSERT_EQ(0, run(loader));
}

FIXTURE_TEARDOWN(katalyst)
{
	unlink(LINK_PIN);
	unlink(PIN);
	policy__destroy(self->recorder);
	tree_remove(&self->tree);
}

TEST_F_TIMEOUT(katalyst, agent_orders_tenants, TEST_TIMEOUT_S)
{
	/* C's priority is deleted: 0 again, as B's, and C is larger. */
	static const char * const order[NR_TENANTS] = { "A", "C", "B", "D", "E" };
	char ids[NR_TENANTS][24];
	const char *argv[NR_TENANTS + 5] = { "/proc/self/exe", "agent", variant->access, PIN };
	const struct node *node;
	__u32 pid, n;

	for (n = 0; n < NR_TENANTS; n++) {
		snprintf(ids[n], sizeof(ids[n]), "%llu", self->tree.node[n].id);
		argv[n + 4] = ids[n];
	}
	ASSERT_EQ(0, run(argv));
	for (n = 0; n < NR_TENANTS; n++) {
		pid = next_victim(self->recorder, n);
		node = tree_find_pid(&self->tree, pid);
		EXPECT_STREQ(order[n], node ? node->path : "?");
		/* Gone, before the next one may be chosen. */
		EXPECT_TRUE(wait_until(tree_killed(&self->tree) == (int)n + 1));
	}
}

/* The documentation has these, by kernel; BPF_OOM_POLICY_TASK is the one after it. */
struct numbers {
	int major;
	__u32 attach_type;
	__u32 link_type;
};

static const struct numbers of_6_12 = { .major = 6, .attach_type = 57, .link_type = 15 };
static const struct numbers of_7_3 = { .major = 7, .attach_type = 62, .link_type = 16 };

static bool runs(const struct numbers *numbers)
{
	struct utsname name;

	return !uname(&name) && atoi(name.release) == numbers->major;
}

/* A program that abstains; -1 with errno if the kernel does not take it. */
static int load_by_number(__u32 attach_type)
{
	const struct bpf_insn insns[] = {
		{ .code = 0xb7, .imm = 3 },	/* r0 = BPF_OOM_ABSTAIN */
		{ .code = 0x95 },		/* exit */
	};
	struct {
		__u32 prog_type, insn_cnt;
		__u64 insns, license;
		__u32 log_level, log_size;
		__u64 log_buf;
		__u32 kern_version, prog_flags;
		char name[16];
		__u32 ifindex, expected_attach_type;
	} load = {
		.prog_type = 33,
		.insn_cnt = 2,
		.insns = (unsigned long)insns,
		.license = (unsigned long)"GPL",
		.expected_attach_type = attach_type,
	};

	return syscall(__NR_bpf, 5, &load, sizeof(load));
}

/* Whoever has no headers with the names loads and attaches by number. */
TEST(attached_by_number)
{
	const struct numbers *ours = runs(&of_7_3) ? &of_7_3 : &of_6_12;
	struct {
		__u32 prog_fd, target_fd, attach_type, flags;
		__u32 policy_flags, budget_us, grace_ms, max_futile;
	} link = { .policy_flags = 1, .budget_us = 5000 };
	struct bpf_link_info info;
	__u32 size = sizeof(info);
	int fd, i;

	ASSERT_TRUE(runs(ours));
	for (i = 0; i < 2; i++) {
		link.attach_type = ours->attach_type + i;
		link.prog_fd = load_by_number(link.attach_type);
		ASSERT_LE(0, (int)link.prog_fd);
		link.target_fd = cgroup_open("");
		fd = syscall(__NR_bpf, 28, &link, sizeof(link));
		ASSERT_LE(0, fd);
		memset(&info, 0, sizeof(info));
		ASSERT_EQ(0, bpf_link_get_info_by_fd(fd, &info, &size));
		EXPECT_EQ(ours->link_type, info.type);
		EXPECT_EQ(5000U, info.oom_policy.budget_us);
		EXPECT_EQ(1U, info.oom_policy.flags);
		close(fd);
		close(link.prog_fd);
		close(link.target_fd);
	}
}

TEST(numbers_of_another_kernel)
{
	const struct numbers *theirs = runs(&of_7_3) ? &of_6_12 : &of_7_3;
	int i;

	for (i = 0; i < 2; i++) {
		EXPECT_EQ(-1, load_by_number(theirs->attach_type + i));
		EXPECT_EQ(EINVAL, errno);
	}
}

int main(int argc, char **argv)
{
	if (argc == 4 + NR_TENANTS && !strcmp(argv[1], "agent"))
		return agent(strcmp(argv[2], "syscall") ? &by_libbpf : &by_syscall, argv[3],
			     argv + 4);
	require_bare_machine();
	return test_harness_run(argc, argv);
}
