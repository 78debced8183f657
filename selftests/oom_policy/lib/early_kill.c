// SPDX-License-Identifier: GPL-2.0-only
/*
 * Early kills; early_kill.h says what each function is for.
 */
#include <bpf/bpf.h>

#include "early_kill.h"
#include "progs/early.h"

struct early *early_load(const char *name)
{
	struct early *early = early__open();
	struct bpf_program *prog;

	if (!early)
		return NULL;
	if (name) {
		prog = bpf_object__find_program_by_name(early->obj, name);
		bpf_program__set_autoload(prog, true);
	}
	if (early__load(early)) {
		early__destroy(early);
		return NULL;
	}
	return early;
}

int early_scene_set(struct early_scene *scene, const char *tree, const char *name)
{
	if (protect_self() || tree_make(&scene->tree, tree))
		return -1;
	scene->policy = policy_load(&scene->tree);
	scene->early = early_load(name);
	return scene->policy && scene->early ? 0 : -1;
}

void early_scene_clear(struct early_scene *scene)
{
	if (scene->early)
		scene->early->bss->go = 1;
	let_go(&scene->holder);
	early__destroy(scene->early);
	bpf_link__destroy(scene->link);
	policy__destroy(scene->policy);
	tree_remove(&scene->tree);
}

__u64 times_held(const struct bpf_link *link)
{
	struct bpf_link_info info;

	return policy_info(link, &info) ? 0 : info.oom_policy.fallback_grace;
}

int early_kill(struct early *early, __u64 cgroup_id, __u64 flags)
{
	struct early_args args = { .cgroup_id = cgroup_id, .flags = flags };
	int err;

	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &args, .ctx_size_in = sizeof(args));

	err = bpf_prog_test_run_opts(bpf_program__fd(early->progs.kill_now), &opts);
	return err ?: (int)opts.retval;
}
