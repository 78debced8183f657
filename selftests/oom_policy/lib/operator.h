/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tenants of three classes and a policy for them, as an operator has them: for the tests
 * of bpftool, which have included the harness.
 */
#ifndef SELFTESTS_OOM_POLICY_OPERATOR_H
#define SELFTESTS_OOM_POLICY_OPERATOR_H

#include <stdio.h>

#include "policy.h"
#include "says.h"

#define POLICY		"/usr/lib/oom_policy/tenant_prio.bpf.o"
#define PIN		"/sys/fs/bpf/bpftool_oom_test"
#define CONTRARY	"/tests/contrary.bpf.o"
#define PINS		"/sys/fs/bpf/bpftool_oom_contrary"

#define TREE								\
	"prod=100 batch=0 besteffort=-100 prod/db=10,16M prod/web=0,4M batch/etl=10,4M batch/ml=0,8M besteffort/job1=30,12M besteffort/job2=10,4M besteffort/job3=20,8M besteffort/safe=0,4M,adj=-1000 besteffort/empty=0"

/* Also what a test left that was ended by force. */
static inline void clean_up(void)
{
	shell("rm -rf " PIN " " PINS " /sys/fs/bpf/oom_policy_*");
}

static inline void attach_with_priorities(struct __test_metadata *_metadata,
					  const struct tree *tree, const char *options)
{
	const struct node *node;
	char batch[1024];
	int n, len;

	len = snprintf(batch, sizeof(batch), "oom attach " POLICY " / pin " PIN " %s\n",
		       options);
	for (n = 0; n < tree->nr_nodes; n++) {
		node = &tree->node[n];
		len += snprintf(batch + len, sizeof(batch) - len,
				"oom priority set %s %lld\n", node->path,
				(long long)node->priority);
	}
	runs(_metadata, 0, "echo '%s' | bpftool batch file -", batch);
}

#endif /* SELFTESTS_OOM_POLICY_OPERATOR_H */
