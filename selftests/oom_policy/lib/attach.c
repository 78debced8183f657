// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attaching policies; attach.h says what each function is for.
 */
#include <unistd.h>

#include "attach.h"
#include "cgroups.h"
#include "helpers.h"

struct bpf_link *attach_opts(const struct bpf_program *prog, const char *path,
			     const struct bpf_oom_policy_opts *opts)
{
	const int fd = cgroup_open(path);
	struct bpf_link *link;

	if (fd < 0)
		return NULL;
	link = bpf_program__attach_oom_policy(prog, fd, opts);
	if (!link)
		diag("attaching to /%s: %m", path);
	close(fd);
	return link;
}
