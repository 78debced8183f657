// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every kfunc that policies may call: what it returns, against what the files of
 * the cgroup say, and a call of it that the verifier has to refuse.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf_oom_policy.h>

#include "kselftest_harness.h"
#include "cgroups.h"
#include "helpers.h"
#include "shortage.h"
#include "tree.h"
#include "progs/kfunc_values.h"
#include "kfuncs.skel.h"

static const char * const state_names[NR_STATES] = {
	[STATE_ANON]			= "anon",
	[STATE_FILE]			= "file",
	[STATE_SHMEM]			= "shmem",
	[STATE_KERNEL_STACK]		= "kernel_stack",
	[STATE_PAGETABLES]		= "pagetables",
	[STATE_INACTIVE_ANON]		= "inactive_anon",
	[STATE_ACTIVE_ANON]		= "active_anon",
	[STATE_UNEVICTABLE]		= "unevictable",
	[STATE_SLAB_RECLAIMABLE]	= "slab_reclaimable",
	[STATE_SLAB_UNRECLAIMABLE]	= "slab_unreclaimable",
	[STATE_KERNEL]			= "kernel",
	[STATE_SOCK]			= "sock",
};

static const char * const vm_event_names[NR_VM_EVENTS] = {
	[VM_EVENT_PGFAULT]		= "pgfault",
	[VM_EVENT_PGMAJFAULT]		= "pgmajfault",
	[VM_EVENT_PGLAZYFREE]		= "pglazyfree",
};

static const char * const memory_event_names[NR_MEMORY_EVENTS] = {
	[MEMORY_EVENT_LOW]		= "low",
	[MEMORY_EVENT_HIGH]		= "high",
	[MEMORY_EVENT_MAX]		= "max",
	[MEMORY_EVENT_OOM]		= "oom",
	[MEMORY_EVENT_OOM_KILL]		= "oom_kill",
	[MEMORY_EVENT_OOM_GROUP_KILL]	= "oom_group_kill",
};

/* A tree, the program that looks at /P/A there, and what it has found. */
struct observer {
	struct tree tree;
	struct kfuncs *skel;
	struct kfunc_values values;
};

static __u64 id_of(struct observer *observer, const char *path)
{
	return tree_find(&observer->tree, path)->id;
}

static int look(struct observer *observer)
{
	struct bpf_oom_ctx ctx = {
		.cgroup_id_1 = id_of(observer, "P/A"),
		.cgroup_id_2 = id_of(observer, "P/B"),
	};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));
	struct kfunc_values *values = &observer->values;
	struct bpf_map *map = observer->skel->maps.found;
	const __u32 zero = 0;

	memset(values, 0, sizeof(*values));
	if (bpf_map__update_elem(map, &zero, sizeof(zero), values, sizeof(*values), BPF_ANY) ||
	    bpf_prog_test_run_opts(bpf_program__fd(observer->skel->progs.look), &opts) ||
	    opts.retval != BPF_OOM_SECOND ||
	    bpf_map__lookup_elem(map, &zero, sizeof(zero), values, sizeof(*values), 0)) {
		diag("nothing was found: %m");
		return -1;
	}
	return 0;
}

/* The tasks sleep, but the kernel may still do things on their account. */
static bool look_between(struct observer *observer, const char *file, const char *key,
			 long *value)
{
	const long before = cgroup_read_long("P/A", file, key);

	if (look(observer))
		return false;
	*value = cgroup_read_long("P/A", file, key);
	return *value == before;
}

/* Whether a line of a file is what the program found. */
static bool agree(struct observer *observer, const char *file, const char *key,
		  const __s64 *found)
{
	long value = -1;

	if (!wait_until(look_between(observer, file, key, &value)) || value < 0 ||
	    value != *found) {
		diag("%s %s: %ld, found %lld", file, key ?: "", value, (long long)*found);
		return false;
	}
	return true;
}

FIXTURE(kfuncs)
{
	struct observer observer;
	struct kfunc_values *values;
	struct memcg_shortage shortage;
};

FIXTURE_SETUP(kfuncs)
{
	struct tree *tree = &self->observer.tree;

	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(tree, "P=0 P/A=0 P/B=0,8M P/A/x=0,8M,x2 P/A/y=0,12M,shared"));
	self->observer.skel = kfuncs__open_and_load();
	ASSERT_NE(NULL, self->observer.skel);
	self->observer.skel->bss->pid = tree_find(tree, "P/A/y")->pid[0];
	self->values = &self->observer.values;
}

FIXTURE_TEARDOWN(kfuncs)
{
	memcg_shortage_end(&self->shortage);
	kfuncs__destroy(self->observer.skel);
	tree_remove(&self->observer.tree);
}

TEST_F_TIMEOUT(kfuncs, usage_is_memory_current, TEST_TIMEOUT_S)
{
	EXPECT_TRUE(agree(&self->observer, "memory.current", NULL, &self->values->usage));
	EXPECT_LE(28 << 20, self->values->usage);
	EXPECT_LT(self->values->usage, self->values->root_usage);
}

static bool freeable_agrees(struct observer *observer)
{
	const struct kfunc_values *values = &observer->values;
	const long page = sysconf(_SC_PAGESIZE);
	long file, slab, usage;

	file = cgroup_read_long("P/A", "memory.stat", "file");
	slab = cgroup_read_long("P/A", "memory.stat", "slab_reclaimable");
	if (!look_between(observer, "memory.current", NULL, &usage))
		return false;
	return usage - file - slab / page * page == values->freeable;
}

/* Not what is shared, and there is no swap. */
TEST_F_TIMEOUT(kfuncs, freeable_is_usage_without_what_stays, TEST_TIMEOUT_S)
{
	/* To read them is to have them up to date. */
	EXPECT_LE(24 << 20, cgroup_read_long("", "memory.stat", "anon"));
	EXPECT_TRUE(wait_until(freeable_agrees(&self->observer)));
	EXPECT_LE(16 << 20, self->values->freeable);
	EXPECT_GE(self->values->usage - (12 << 20), self->values->freeable);
	EXPECT_LE(24 << 20, self->values->root_freeable);
}

TEST_F_TIMEOUT(kfuncs, page_states_are_memory_stat, TEST_TIMEOUT_S)
{
	int i;

	for (i = 0; i < NR_STATES; i++)
		EXPECT_TRUE(agree(&self->observer, "memory.stat", state_names[i],
				  &self->values->state[i]));
	EXPECT_LE(16 << 20, self->values->state[STATE_ANON]);
	EXPECT_LE(12 << 20, self->values->state[STATE_SHMEM]);
	EXPECT_LT(0, self->values->state[STATE_PAGETABLES]);
	EXPECT_EQ(-1, self->values->bad_state);
}

TEST_F_TIMEOUT(kfuncs, vm_events_are_memory_stat, TEST_TIMEOUT_S)
{
	int i;

	for (i = 0; i < NR_VM_EVENTS; i++)
		EXPECT_TRUE(agree(&self->observer, "memory.stat", vm_event_names[i],
				  &self->values->vm_event[i]));
	EXPECT_LT(0, self->values->vm_event[VM_EVENT_PGFAULT]);
	EXPECT_EQ(-1, self->values->bad_vm_event);
}

TEST_F_TIMEOUT(kfuncs, memory_events_are_memory_events, TEST_TIMEOUT_S)
{
	int i;

	ASSERT_EQ(0, memcg_shortage_begin(&self->shortage, "P/A", NULL));
	ASSERT_TRUE(wait_until(cgroup_read_long("P/A", "memory.events", "oom_kill") > 0));
	ASSERT_EQ(0, memcg_shortage_end(&self->shortage));
	for (i = 0; i < NR_MEMORY_EVENTS; i++)
		EXPECT_TRUE(agree(&self->observer, "memory.events", memory_event_names[i],
				  &self->values->memory_event[i]));
	EXPECT_LT(0, self->values->memory_event[MEMORY_EVENT_OOM]);
	EXPECT_LT(0, self->values->memory_event[MEMORY_EVENT_OOM_KILL]);
	EXPECT_EQ(-1, self->values->bad_memory_event);
}

TEST_F_TIMEOUT(kfuncs, cgroups, TEST_TIMEOUT_S)
{
	struct observer *observer = &self->observer;

	ASSERT_EQ(0, look(observer));
	EXPECT_EQ(id_of(observer, "P/A"), self->values->acquired_id);
	EXPECT_EQ(id_of(observer, "P"), self->values->ancestor_id);
	EXPECT_EQ(id_of(observer, "P/B"), self->values->from_id_id);
	EXPECT_EQ(0U, self->values->from_bad_id);
	EXPECT_EQ(3U, self->values->descendants);
	EXPECT_EQ(id_of(observer, "P/A") + id_of(observer, "P/A/x") + id_of(observer, "P/A/y"),
		  self->values->descendants_sum);
}

static __u32 count_processes(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	__u32 n = 0;

	while (dir && (entry = readdir(dir)))
		n += atoi(entry->d_name) > 0;
	if (dir)
		closedir(dir);
	return n;
}

/* Kernel threads come and go; the idle task has no directory. */
static bool counts_agree(struct observer *observer)
{
	const __u32 before = count_processes();

	return !look(observer) && count_processes() == before &&
	       observer->values.processes == before + 1;
}

TEST_F_TIMEOUT(kfuncs, tasks, TEST_TIMEOUT_S)
{
	const __u32 pid = self->observer.skel->bss->pid;

	EXPECT_TRUE(wait_until(counts_agree(&self->observer)));
	EXPECT_EQ(pid, self->values->from_pid_pid);
	EXPECT_EQ(pid, self->values->acquired_pid);
	EXPECT_EQ(0U, self->values->from_bad_pid);
	EXPECT_EQ(1U, self->values->under_1);
	EXPECT_EQ(0U, self->values->under_2);
}

/* What the verifier says to each program, NULL: it takes it; and what that of 7.3 says. */
static const struct {
	const char *prog;
	const char *refusals[2];
} calls[] = {
	{ "look", { NULL } },
	{ "task_stage", { NULL } },
	{ "root_memcg_not_put", { "Unreleased reference" } },
	{ "memcg_of_a_number", { "arg#0 pointer type STRUCT cgroup_subsys_state must point to",
	  "expected STRUCT cgroup_subsys_state" } },
	{ "put_of_a_cgroup", { "expected pointer to STRUCT mem_cgroup",
	  "bpf_put_mem_cgroup expects" } },
	{ "usage_of_a_cgroup", { "expected pointer to STRUCT mem_cgroup" } },
	{ "freeable_of_a_cgroup", { "expected pointer to STRUCT mem_cgroup" } },
	{ "page_state_of_a_cgroup", { "expected pointer to STRUCT mem_cgroup" } },
	{ "vm_events_of_a_cgroup", { "expected pointer to STRUCT mem_cgroup" } },
	{ "memory_events_of_a_cgroup", { "expected pointer to STRUCT mem_cgroup" } },
	{ "usage_of_perhaps_nothing", { "Possibly NULL pointer" } },
	{ "cgroup_not_released", { "Unreleased reference" } },
	{ "ancestor_not_released", { "Unreleased reference" } },
	{ "from_id_not_released", { "Unreleased reference" } },
	{ "release_of_what_is_not_ours", { "bpf_cgroup_release expects" } },
	{ "acquire_of_no_task", { "expected pointer to STRUCT task_struct" } },
	{ "from_pid_not_released", { "Unreleased reference" } },
	{ "release_of_no_task", { "expected pointer to STRUCT task_struct",
	  "bpf_task_release expects" } },
	{ "no_task_under_cgroup", { "expected pointer to STRUCT task_struct" } },
	{ "rcu_not_unlocked", { "bpf_rcu_read_lock" } },
	{ "rcu_not_locked", { "unmatched rcu read unlock" } },
	{ "css_iterator_kept", { "Unreleased reference" } },
	{ "task_iterator_kept", { "Unreleased reference" } },
};

static char log_text[1 << 18];

static bool said(size_t call)
{
	const char *const *refusals = calls[call].refusals;

	return strstr(log_text, refusals[0]) || (refusals[1] && strstr(log_text, refusals[1]));
}

static int load(const char *name)
{
	struct kfuncs *skel = kfuncs__open();
	struct bpf_program *prog = NULL;
	int err = -ENOENT;

	*log_text = '\0';
	if (skel)
		prog = bpf_object__find_program_by_name(skel->obj, name);
	if (prog) {
		bpf_program__set_autoload(skel->progs.look, false);
		bpf_program__set_autoload(prog, true);
		bpf_program__set_log_buf(prog, log_text, sizeof(log_text));
		bpf_program__set_log_level(prog, 1);
		err = kfuncs__load(skel);
	}
	kfuncs__destroy(skel);
	return err;
}

TEST(taken_and_refused)
{
	size_t i;
	int err;

	libbpf_set_print(NULL);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		err = load(calls[i].prog);
		EXPECT_EQ(!calls[i].refusals[0], !err)
			TH_LOG("%s: %d\n%s", calls[i].prog, err, log_text);
		if (calls[i].refusals[0])
			EXPECT_TRUE(said(i))
				TH_LOG("%s:\n%s", calls[i].prog, log_text);
	}
}

int main(int argc, char **argv)
{
	require_bare_machine();
	return test_harness_run(argc, argv);
}
