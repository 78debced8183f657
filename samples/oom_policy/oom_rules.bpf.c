// SPDX-License-Identifier: GPL-2.0-only
/*
 * oom_rules: priorities that are there before anybody can use the cgroup.
 *
 * The idea: orchestrators make cgroups all the time, and few of them can write a file
 * in each. So rules say which path, which unit or which pod has which priority, and the
 * kernel is told when a memcg comes online. That is within mkdir(2), before the cgroup
 * can be seen, or within the write to cgroup.subtree_control that brings the memory
 * controller to cgroups which are there. There is no moment at which a process is in a
 * cgroup that has not got its priority yet, and nothing that has to keep running:
 * oom_rules.c puts the rules in place, and pins what is here.
 *
 *	mkdir kubepods.slice/kubepods-besteffort.slice		(kubelet)
 *	  -> memcg online -> rule "*kubepods-besteffort.slice" -200
 *	kubepods-besteffort.slice is there, and its memory.oom.priority is -200
 *
 * systemd says ManagedOOMPreference= of a unit by attributes of its cgroup, which it
 * sets between mkdir(2) and the unit's first process: they are seen there, too. As with
 * systemd-oomd, they count only where the cgroup belongs to root or to whom its parent
 * belongs: else a tenant could raise itself.
 *
 * Limits:
 * - what matches at the moment of the mkdir(2) counts. A priority that somebody
 *   writes later stays, until an attribute changes or the rules are applied again;
 * - a path of 1,024 bytes or more, or more than 64 levels down, has no rule;
 * - without the memory controller a cgroup has no priority.
 */
#include <stdbool.h>
#include <linux/bpf_oom_policy.h>
#include <bpf/bpf_helpers.h>

#include "kernel_types.h"
#include "oom_rules.h"

#define MAX_LEVELS		64
#define NAME_SIZE		256
#define CGROUP2_SUPER_MAGIC	0x63677270

int bpf_oom_policy_set_priority(struct mem_cgroup *memcg, __u32 state,
				__s64 priority) __ksym;

/* From the tool, before the load. */
struct oom_rule oom_rules[MAX_RULES] SEC(".data.rules");
__u32 nr_rules;

/* "pod" and the UID, as the last component of its path ends. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * MAX_PODS);
	__type(key, char[POD_SIZE]);
	__type(value, struct oom_value);
} pods SEC(".maps");

/* The attributes of cgroups: those from before these programs are the tool's to tell. */
struct {
	__uint(type, BPF_MAP_TYPE_CGRP_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} marks SEC(".maps");

/* A path is written from its end, which is at PATH_SIZE - 1; behind that are zeroes. */
struct room {
	char text[2 * PATH_SIZE];
	char name[NAME_SIZE];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct room);
} rooms SEC(".maps");

/* One for each program: neither runs twice at a time on a CPU. */
enum { ROOM_ONLINE, ROOM_XATTR };

struct climb {
	struct kernfs_node *kn;
	struct room *room;
	__u32 at;
	bool done;
};

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *kn)
{
	struct kernfs_node___6_12 *old = (void *)kn;

	if (bpf_core_field_exists(old->parent))
		return BPF_CORE_READ(old, parent);
	return BPF_CORE_READ(kn, __parent);
}

static long climb_step(__u64 i, struct climb *climb)
{
	struct kernfs_node *kn = climb->kn, *parent = kernfs_parent(kn);
	struct room *room = climb->room;
	long len;

	(void)i;
	if (!parent) {
		climb->done = true;
		return 1;
	}
	len = bpf_probe_read_kernel_str(room->name, sizeof(room->name),
					BPF_CORE_READ(kn, name)) - 1;
	/* A name of 256 bytes would be cut, but there are none in a file system. */
	if (len <= 0 || len >= NAME_SIZE || len >= climb->at)
		return 1;
	climb->at -= len;
	bpf_probe_read_kernel(&room->text[climb->at & (PATH_SIZE - 1)], len & (NAME_SIZE - 1),
			      room->name);
	climb->at--;
	room->text[climb->at & (PATH_SIZE - 1)] = '/';
	climb->kn = parent;
	return 0;
}

static const struct oom_value *find_pod(const char *name)
{
	char key[POD_SIZE] = {};

	bpf_probe_read_kernel_str(key, sizeof(key), name);
	return bpf_map_lookup_elem(&pods, key);
}

static const struct oom_value *find_value(struct kernfs_node *kn, __u32 key, __u32 own_marks)
{
	const struct oom_value *value = NULL;
	struct climb climb = { .kn = kn, .at = PATH_SIZE - 1 };
	struct oom_search s = { .marks = own_marks, .nr_rules = nr_rules };
	struct room *room = bpf_map_lookup_elem(&rooms, &key);

	if (!room)
		return NULL;
	climb.room = room;
	bpf_loop(MAX_LEVELS, climb_step, &climb, 0);
	if (!climb.done)
		return NULL;

	s.path = &room->text[climb.at & (PATH_SIZE - 1)];
	s.rules = oom_rules;
	oom_find_base(&s);
	if (s.pod)
		value = find_pod(&PATH_AT(&s, s.pod));
	if (value)
		return value;
	oom_find_rule(&s);
	return s.found < 0 || s.found >= MAX_RULES ? NULL : &oom_rules[s.found].value;
}

SEC("tp_btf/oom_policy_memcg_online")
int online(__u64 *ctx)
{
	struct mem_cgroup *memcg = (void *)ctx[0];
	const struct oom_value *value;

	/* Of a module's tracepoint the verifier does not know that there always is one. */
	if (!memcg)
		return 0;
	value = find_value(memcg->css.cgroup->kn, ROOM_ONLINE, 0);
	if (value)
		bpf_oom_policy_set_priority(memcg, value->state, value->priority);
	return 0;
}

static bool is_owned(struct dentry *dentry, struct inode *inode)
{
	const __u32 uid = BPF_CORE_READ(inode, i_uid.val);

	return !uid || uid == BPF_CORE_READ(dentry, d_parent, d_inode, i_uid.val);
}

static __u32 mark_of(const char *suffix)
{
	char name[16] = {};

	bpf_probe_read_kernel_str(name, sizeof(name), suffix);
	if (!bpf_strncmp(name, sizeof(name), "oomd_avoid"))
		return OOM_MARK_AVOID;
	return bpf_strncmp(name, sizeof(name), "oomd_omit") ? 0 : OOM_MARK_OMIT;
}

/* What an attribute has given goes with it, if no line is about what is left. */
static void remark(struct cgroup *cgrp, __u32 mark, bool set)
{
	const struct oom_value *value;
	struct mem_cgroup *memcg;
	__u32 *own, was;

	own = bpf_cgrp_storage_get(&marks, cgrp, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!own)
		return;
	was = *own;
	*own = set ? was | mark : was & ~mark;
	/* systemd says it again with whatever else it says: what is there by hand stays. */
	if (*own == was)
		return;
	value = find_value(cgrp->kn, ROOM_XATTR, *own);
	if (!value && (set || !find_value(cgrp->kn, ROOM_XATTR, *own | mark)))
		return;
	memcg = bpf_get_mem_cgroup(&cgrp->self);
	if (!memcg)
		return;
	bpf_oom_policy_set_priority(memcg, value ? value->state : BPF_OOM_PRIORITY_UNSET,
				    value ? value->priority : 0);
	bpf_put_mem_cgroup(memcg);
}

/*
 * Of its arguments: the dentry and the inode, the name without "user.", the value with
 * its size, and behind the flags what it returns. The verifier takes no pointer to const
 * void for one: the value's is asked for as a number.
 */
enum { ARG_DENTRY = 2, ARG_INODE, ARG_SUFFIX, ARG_VALUE, ARG_SIZE, ARG_FLAGS, ARG_RETURN };

SEC("fexit/kernfs_vfs_user_xattr_set")
int marked(__u64 *ctx)
{
	struct dentry *dentry = (void *)ctx[ARG_DENTRY];
	struct inode *inode = (void *)ctx[ARG_INODE];
	struct cgroup *cgrp;
	__u64 value = 0;
	char text = 0;
	__u32 mark;

	if ((int)ctx[ARG_RETURN] ||
	    BPF_CORE_READ(inode, i_sb, s_magic) != CGROUP2_SUPER_MAGIC)
		return 0;
	mark = mark_of((const char *)ctx[ARG_SUFFIX]);
	if (!mark || !is_owned(dentry, inode))
		return 0;
	bpf_get_func_arg(ctx, ARG_VALUE, &value);
	if (value && ctx[ARG_SIZE] == 1)
		bpf_probe_read_kernel(&text, sizeof(text), (void *)value);

	cgrp = bpf_cgroup_from_id(BPF_CORE_READ(inode, i_ino));
	if (!cgrp)
		return 0;
	remark(cgrp, mark, text == '1');
	bpf_cgroup_release(cgrp);
	return 0;
}

char _license[] SEC("license") = "GPL";
