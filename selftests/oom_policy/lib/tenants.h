/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tenants of operator.h as a fixture, for tests of bpftool that need nothing else.
 */
#ifndef SELFTESTS_OOM_POLICY_TENANTS_H
#define SELFTESTS_OOM_POLICY_TENANTS_H

#include "operator.h"

FIXTURE(bpftool)
{
	struct tree tree;
};

FIXTURE_SETUP(bpftool)
{
	clean_up();
	ASSERT_EQ(0, protect_self());
	ASSERT_EQ(0, tree_make(&self->tree, TREE));
}

FIXTURE_TEARDOWN(bpftool)
{
	clean_up();
	tree_remove(&self->tree);
}

#endif /* SELFTESTS_OOM_POLICY_TENANTS_H */
