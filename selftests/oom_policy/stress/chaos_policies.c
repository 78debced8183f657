// SPDX-License-Identifier: GPL-2.0-only
/*
 * Acts of the stress test upon policies: inside tenants anything comes and goes;
 * what is done to the policy of the whole machine is announced to the judge; and
 * selections are rehearsed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/bpf_oom_policy.h>

#include "cgroups.h"
#include "chaos_acts.h"
#include "chaos_kit.h"
#include "helpers.h"
#include "rehearse.h"

#define NR_SLOTS	6
#define NO_BUDGET_US	(10 * 1000 * 1000)
#define PIN_DIR		"/sys/fs/bpf/"
#define SYSCTL		"/proc/sys/vm/oom_policy_enabled"

/* Where policies come and go: inside tenants, never above them. */
static const char * const places[] = {
	TENANTS, HOMES, "low", "arena/reserve", "arena/precious",
	"arena/t0/spare0", "arena/t1/spare1", "arena/t2/spare2",
};

static int hostile_fd(void)
{
	const struct hostile *hostile = chaos.hostile;
	const struct bpf_program * const progs[] = {
		hostile->progs.always_first, hostile->progs.always_second,
		hostile->progs.always_equal, hostile->progs.always_abstain,
		hostile->progs.at_random, hostile->progs.rock_paper_scissors,
		hostile->progs.slow, hostile->progs.reads_everything,
		chaos.stress->progs.by_priority,
	};

	return bpf_program__fd(PICK(progs));
}

static int hostile_task_fd(void)
{
	const struct hostile *hostile = chaos.hostile;

	return bpf_program__fd(pick(2) ? hostile->progs.task_at_random :
				hostile->progs.task_reads_everything);
}

static int honest_fd(void)
{
	return bpf_program__fd(pick(2) ? chaos.stress->progs.by_priority :
				chaos.stress->progs.by_kept_priority);
}

static int attach(int prog_fd, enum bpf_attach_type type, const char *path, __u32 flags,
		  __u32 budget_us)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	const int fd = open_place(path);
	int link_fd;

	if (fd < 0)
		return -1;
	opts.oom_policy.flags = flags;
	opts.oom_policy.budget_us = budget_us;
	opts.oom_policy.grace_ms = pick(4) ? 0 : pick(20);
	link_fd = bpf_link_create(prog_fd, fd, type, &opts);
	close(fd);
	return link_fd;
}

/* Policies inside tenants, each slot a link. */
static int slots[NR_SLOTS];	/* file descriptors, 0: free */

static int fill_slot(int *slot)
{
	int link_fd;

	if (pick(3))
		link_fd = attach(hostile_fd(), BPF_OOM_POLICY, PICK(places), pick(8),
				 pick(2));
	else
		link_fd = attach(hostile_task_fd(), BPF_OOM_POLICY_TASK, PICK(places),
				 pick(8), pick(2));
	if (link_fd < 0)
		return -1;
	*slot = link_fd;
	return 0;
}

static int empty_slot(int *slot)
{
	close(*slot);
	*slot = 0;
	return 0;
}

static int update_slot(int link_fd)
{
	LIBBPF_OPTS(bpf_link_update_opts, opts);

	if (pick(2)) {
		opts.flags = BPF_F_REPLACE;
		opts.old_prog_fd = hostile_fd();
	}
	return bpf_link_update(link_fd, hostile_fd(), &opts);
}

/* Pins it, or trades it for the one that is pinned. */
static int pin_slot(int *slot)
{
	char path[64];
	int link_fd;

	snprintf(path, sizeof(path), PIN_DIR "stress%d", pick(NR_SLOTS));
	if (!bpf_obj_pin(*slot, path))
		return 0;
	link_fd = bpf_obj_get(path);
	unlink(path);
	if (link_fd < 0)
		return -1;
	close(*slot);
	*slot = link_fd;
	return 0;
}

void unpin_slots(void)
{
	char path[64];
	int i;

	for (i = 0; i < NR_SLOTS; i++) {
		snprintf(path, sizeof(path), PIN_DIR "stress%d", i);
		unlink(path);
	}
}

static int ask_slot(int link_fd)
{
	struct bpf_link_info info = {};
	__u32 size = sizeof(info);

	return bpf_link_get_info_by_fd(link_fd, &info, &size);
}

int act_policies(void)
{
	int *slot = &slots[pick(NR_SLOTS)];

	if (!*slot)
		return fill_slot(slot);
	switch (pick(6)) {
	case 0:
		return empty_slot(slot);
	case 1:
		return bpf_link_detach(*slot);
	case 2:
		return pin_slot(slot);
	case 3:
		return ask_slot(*slot);
	default:
		return update_slot(*slot);
	}
}

/*
 * The policy of the whole machine. While it is honest the epoch is even; updates
 * from one honest program to another do not interrupt that.
 */
static int root_link = -1;

static int attach_root(void)
{
	const __u32 flags = pick(2) ? BPF_F_OOM_POLICY_MEMCG :
			    BPF_F_OOM_POLICY_MEMCG | BPF_F_OOM_POLICY_KILL_ALL;

	root_link = attach(honest_fd(), BPF_OOM_POLICY, "", flags, NO_BUDGET_US);
	return root_link < 0 ? -1 : 0;
}

/* For lack of memory it may take more than one try. */
int install_root(void)
{
	while (attach_root()) {
		if (stopped())
			return -1;
		nap();
	}
	chaos_announce(&chaos.stress->bss->policy_epoch);
	return 0;
}

static void disturb_root(void)
{
	int above = -1;

	switch (pick(4)) {
	case 0:
		bpf_link_detach(root_link);
		await_kills(1);
		break;
	case 1:
		bpf_link_update(root_link, hostile_fd(), NULL);
		await_kills(1);
		break;
	case 2:
		put_file(SYSCTL, "0");
		await_kills(1);
		put_file(SYSCTL, "1");
		break;
	default:
		above = attach(hostile_fd(), BPF_OOM_POLICY, ARENA,
			       BPF_F_OOM_POLICY_MEMCG, 0);
		await_kills(1);
	}
	if (above >= 0)
		close(above);
	close(root_link);
}

int act_root(void)
{
	int i;

	for (i = pick(6); i >= 0 && !stopped(); i--) {
		bpf_link_update(root_link, honest_fd(), NULL);
		await_kills(1);
	}
	chaos_announce(&chaos.stress->bss->policy_epoch);
	disturb_root();
	return install_root();
}

static void surprise(long answer)
{
	chaos.shared->last_surprise = answer;
	__atomic_add_fetch(&chaos.shared->surprises, 1, __ATOMIC_RELAXED);
}

static __u64 pick_id(const char *path)
{
	struct stat st;
	char full[128];

	/* The inode number of a cgroup is its id. */
	snprintf(full, sizeof(full), CGROUP_ROOT "/%s", path);
	return stat(full, &st) ? 1U + pick(1000) : st.st_ino;
}

static bool may_be_refused(void)
{
	return errno == ENOENT || errno == EXDEV || errno == EOPNOTSUPP ||
	       errno == ENOSPC || errno == ENOMEM || errno == EINVAL || errno == EINTR;
}

static int try_compare(void)
{
	__u32 verdict;

	if (rehearse_compare(hostile_fd(), pick_id(PICK(places)), pick_id(PICK(places)),
			     &verdict, NULL)) {
		if (!may_be_refused())
			surprise(errno);
		return -1;
	}
	if (verdict > BPF_OOM_ABSTAIN)
		surprise(verdict);
	return 0;
}

static int try_select(void)
{
	static const char * const scopes[] = { "", ARENA, TENANTS, "low" };
	struct rehearsed said;

	if (rehearse_select(pick(2) ? honest_fd() : hostile_fd(), pick_id(PICK(scopes)),
			    &said)) {
		if (!may_be_refused())
			surprise(errno);
		return -1;
	}
	switch (said.retval) {
	case 0:
	case -ESRCH:
	case -EBUSY:
	case -ENOMEM:
		return 0;
	}
	surprise(said.retval);
	return 0;
}

int act_rehearsals(void)
{
	return pick(2) ? try_compare() : try_select();
}
