// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy that a configuration names: loaded, and attached in place of the one
 * before, without a moment in which none rules if its options are the same.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "oom_attach.h"
#include "tool.h"

/* A file in the directory of pins, "" for the directory itself. */
const char *oom_pin_path(const char *name)
{
	static char path[2][PATH_MAX];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s%s%s", oom_pin_dir, *name ? "/" : "", name);
	return path[turn];
}

int oom_replace_pin(int fd, const char *name)
{
	char fresh[64];

	snprintf(fresh, sizeof(fresh), "%s_new", name);
	unlink(oom_pin_path(fresh));
	if (bpf_obj_pin(fd, oom_pin_path(fresh)) ||
	    rename(oom_pin_path(fresh), oom_pin_path(name)))
		return fail("cannot pin %s: %s", oom_pin_path(name), strerror(errno));
	return 0;
}

static struct bpf_program *find_policy(struct bpf_object *obj)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, obj)
		if (bpf_program__type(prog) == BPF_PROG_TYPE_OOM_POLICY)
			return prog;
	return NULL;
}

/* Where a global variable of eight bytes is in its map; NULL if there is none. */
static __u64 *find_global(struct bpf_object *obj, const char *name)
{
	const struct btf *btf = bpf_object__btf(obj);
	const __s32 id = btf ? btf__find_by_name_kind(btf, name, BTF_KIND_VAR) : -1;
	const struct btf_var_secinfo *var;
	const struct btf_type *section;
	struct bpf_map *map;
	size_t size;
	char *data;
	__u32 i, n;

	for (i = 1; id > 0 && i < btf__type_cnt(btf); i++) {
		section = btf__type_by_id(btf, i);
		if (!btf_is_datasec(section))
			continue;
		var = btf_var_secinfos(section);
		for (n = 0; n < btf_vlen(section) && var[n].type != (__u32)id; n++)
			;
		if (n == btf_vlen(section) || var[n].size != sizeof(__u64))
			continue;
		map = bpf_object__find_map_by_name(obj, btf__name_by_offset(btf,
									    section->name_off));
		data = map ? bpf_map__initial_value(map, &size) : NULL;
		return data ? (__u64 *)(data + var[n].offset) : NULL;
	}
	return NULL;
}

static int set_floor(const struct oom_conf *conf, struct bpf_object *obj)
{
	__u64 *floor = conf->floor_line ? find_global(obj, "oom_floor") : NULL;

	if (floor)
		*floor = conf->floor;
	else if (conf->floor_line)
		return conf_fail(conf, conf->floor_line, "%s has no floor", conf->policy);
	return 0;
}

static int open_policy(const struct oom_conf *conf, struct bpf_object **obj,
		       struct bpf_program **prog)
{
	char why[128];

	*obj = bpf_object__open_file(conf->policy, NULL);
	if (!*obj) {
		libbpf_strerror(errno, why, sizeof(why));
		return conf_fail(conf, conf->policy_line, "cannot open %s: %s",
				 conf->policy, why);
	}
	*prog = find_policy(*obj);
	if (!*prog)
		return conf_fail(conf, conf->policy_line, "%s has no OOM policy", conf->policy);
	return set_floor(conf, *obj);
}

int oom_policy_load(const struct oom_conf *conf, struct bpf_object **obj,
		    struct bpf_program **prog)
{
	int err;

	*obj = NULL;
	if (!conf->policy_line)
		return 0;
	if (open_policy(conf, obj, prog))
		return -1;
	err = bpf_object__load(*obj);
	if (!err)
		return 0;
	if (libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_OOM_POLICY, NULL) != 1)
		return fail("no OOM policies here: they take CONFIG_BPF_OOM_POLICY, and root");
	return conf_fail(conf, conf->policy_line, "the kernel refused %s: %s",
			 conf->policy, strerror(-err));
}

static int open_conf_cgroup(const struct oom_conf *conf)
{
	const char *path = conf->cgroup ?: "/";
	char full[PATH_MAX + sizeof(CGROUP_ROOT)];
	int fd;

	snprintf(full, sizeof(full), CGROUP_ROOT "%s", path);
	fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return conf_fail(conf, conf->cgroup_line ?: conf->policy_line,
				 "cannot open cgroup %s: %s", path, strerror(errno));
	return fd;
}

int oom_policy_check(const struct oom_conf *conf)
{
	struct bpf_program *prog;
	struct bpf_object *obj;
	int fd, err;

	if (!conf->policy_line)
		return 0;
	err = open_policy(conf, &obj, &prog);
	bpf_object__close(obj);
	fd = open_conf_cgroup(conf);
	if (fd < 0)
		return -1;
	close(fd);
	return err;
}

static int attach_error(const struct oom_conf *conf, int err)
{
	const int line = conf->policy_line;
	const char *path = conf->cgroup ?: "/";

	switch (err) {
	case EBUSY:
		return conf_fail(conf, line,
				 "cgroup %s has a policy already, which is not from here: bpftool oom detach %s",
				 path, path);
	case EOPNOTSUPP:
		return conf_fail(conf, line, "cgroup %s has no memory controller", path);
	case EPERM:
		return fail("no permission to attach a policy: it takes CAP_SYS_ADMIN");
	default:
		return conf_fail(conf, line, "cannot attach %s to cgroup %s: %s",
				 conf->policy, path, strerror(err));
	}
}

static int create_link(const struct oom_conf *conf, int prog_fd, int cgroup_fd, __u32 type)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);

	opts.oom_policy.flags = conf->flags;
	opts.oom_policy.budget_us = conf->budget_us;
	opts.oom_policy.grace_ms = conf->grace_ms;
	return bpf_link_create(prog_fd, cgroup_fd, type, &opts);
}

static bool is_in_slot(const struct bpf_link_info *link, int cgroup_fd, __u32 type)
{
	__u64 id;

	return link->prog_id && !cgroup_fd_id(cgroup_fd, &id) &&
	       link->oom_policy.cgroup_id == id && link->oom_policy.attach_type == type;
}

/*
 * What a link was attached with is for good: where that is to be another, a new link has
 * to take the old one's slot. A first try while the old one is still there tells whether
 * the new one will be taken; were it not, the old one would be put back.
 */
static int swap_link(const struct oom_conf *conf, int old_fd, const struct bpf_link_info *old,
		     int prog_fd, int cgroup_fd, __u32 type)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	int fd, old_prog_fd, err;

	fd = create_link(conf, prog_fd, cgroup_fd, type);
	if (fd != -EBUSY || !is_in_slot(old, cgroup_fd, type))
		return fd;
	old_prog_fd = bpf_prog_get_fd_by_id(old->prog_id);
	err = bpf_link_detach(old_fd);
	fd = err ?: create_link(conf, prog_fd, cgroup_fd, type);
	if (fd < 0 && !err && old_prog_fd >= 0) {
		opts.oom_policy.flags = old->oom_policy.flags;
		opts.oom_policy.budget_us = old->oom_policy.budget_us;
		opts.oom_policy.grace_ms = old->oom_policy.grace_ms;
		err = bpf_link_create(old_prog_fd, cgroup_fd, old->oom_policy.attach_type, &opts);
		if (err >= 0)
			oom_replace_pin(err, "policy");
	}
	if (old_prog_fd >= 0)
		close(old_prog_fd);
	return fd;
}

static bool is_same(const struct oom_conf *conf, const struct bpf_link_info *old,
		    int cgroup_fd, __u32 type)
{
	const __u32 budget_us = conf->budget_us ?: 100000;

	return is_in_slot(old, cgroup_fd, type) &&
	       old->oom_policy.state == BPF_OOM_LINK_IN_FORCE &&
	       old->oom_policy.flags == conf->flags &&
	       old->oom_policy.budget_us == budget_us &&
	       old->oom_policy.grace_ms == conf->grace_ms;
}

int oom_policy_put(const struct oom_conf *conf, const struct bpf_program *prog)
{
	struct bpf_link_info old = {};
	__u32 len = sizeof(old), type;
	int old_fd, cgroup_fd, prog_fd, fd, err;

	if (!conf->policy_line) {
		unlink(oom_pin_path("policy"));
		return 0;
	}
	cgroup_fd = open_conf_cgroup(conf);
	if (cgroup_fd < 0)
		return -1;
	type = bpf_program__expected_attach_type(prog);
	prog_fd = bpf_program__fd(prog);
	old_fd = bpf_obj_get(oom_pin_path("policy"));
	if (old_fd >= 0 && bpf_link_get_info_by_fd(old_fd, &old, &len))
		old.prog_id = 0;

	if (old_fd >= 0 && is_same(conf, &old, cgroup_fd, type)) {
		err = bpf_link_update(old_fd, prog_fd, NULL);
		if (err)
			err = attach_error(conf, -err);
	} else {
		fd = old_fd < 0 ? create_link(conf, prog_fd, cgroup_fd, type) :
				  swap_link(conf, old_fd, &old, prog_fd, cgroup_fd, type);
		err = fd < 0 ? attach_error(conf, -fd) : oom_replace_pin(fd, "policy");
		if (fd >= 0)
			close(fd);
	}
	if (old_fd >= 0)
		close(old_fd);
	close(cgroup_fd);
	return err;
}

