// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every number of the kernel's BPF enums has its name in libbpf, what libbpf and
 * bpftool probe for is there, and the tables of bpftool agree with one another and
 * with what its completion offers (the tests of that have run where this one was
 * built).
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "kselftest_harness.h"

#define SYNCTYPES	"/tests/synctypes.txt"
#define COMPLETION	"/tests/completion.txt"

static const char *attach_type_str(__u32 value)
{
	return libbpf_bpf_attach_type_str(value);
}

static const char *link_type_str(__u32 value)
{
	return libbpf_bpf_link_type_str(value);
}

static const char *map_type_str(__u32 value)
{
	return libbpf_bpf_map_type_str(value);
}

static const char *prog_type_str(__u32 value)
{
	return libbpf_bpf_prog_type_str(value);
}

FIXTURE(names)
{
	struct btf *btf;
};

FIXTURE_VARIANT(names)
{
	const char *enumeration;
	const char *prefix;
	const char *(*name_of)(__u32 value);
	const char *wanted;	/* has to be one of them */
};

FIXTURE_VARIANT_ADD(names, attach_types)
{
	.enumeration = "bpf_attach_type",
	.prefix = "BPF_",
	.name_of = attach_type_str,
	.wanted = "BPF_OOM_POLICY_TASK",
};

FIXTURE_VARIANT_ADD(names, link_types)
{
	.enumeration = "bpf_link_type",
	.prefix = "BPF_LINK_TYPE_",
	.name_of = link_type_str,
	.wanted = "BPF_LINK_TYPE_OOM_POLICY",
};

FIXTURE_VARIANT_ADD(names, map_types)
{
	.enumeration = "bpf_map_type",
	.prefix = "BPF_MAP_TYPE_",
	.name_of = map_type_str,
	.wanted = "BPF_MAP_TYPE_HASH",
};

FIXTURE_VARIANT_ADD(names, prog_types)
{
	.enumeration = "bpf_prog_type",
	.prefix = "BPF_PROG_TYPE_",
	.name_of = prog_type_str,
	.wanted = "BPF_PROG_TYPE_OOM_POLICY",
};

FIXTURE_SETUP(names)
{
	self->btf = btf__parse("/sys/kernel/btf/vmlinux", NULL);
	ASSERT_NE(NULL, self->btf);
}

FIXTURE_TEARDOWN(names)
{
	btf__free(self->btf);
}

static bool is_name(const char *text, const char *prefix, const char *name)
{
	if (strncmp(name, prefix, strlen(prefix)))
		return false;
	for (name += strlen(prefix); *name && tolower(*name) == *text; name++)
		text++;
	return !*name && !*text;
}

TEST_F(names, libbpf_has_them_all)
{
	const struct btf_type *type;
	const struct btf_enum *value;
	bool found = false;
	int id;
	__u32 i;

	id = btf__find_by_name_kind(self->btf, variant->enumeration, BTF_KIND_ENUM);
	ASSERT_LT(0, id);
	type = btf__type_by_id(self->btf, id);
	value = btf_enum(type);
	for (i = 0; i < btf_vlen(type); i++, value++) {
		const char *name = btf__str_by_offset(self->btf, value->name_off);
		const char *text;

		/* A number can have a former name, and a count is none. */
		if (strstr(name, "_DEPRECATED") || !strncmp(name, "__MAX_", strlen("__MAX_")))
			continue;
		text = variant->name_of(value->val);
		ASSERT_NE(NULL, text) TH_LOG("no name for %s", name);
		EXPECT_TRUE(is_name(text, variant->prefix, name))
			TH_LOG("%s is '%s'", name, text);
		found |= !strcmp(name, variant->wanted);
	}
	EXPECT_TRUE(found);
}

TEST(libbpf_probes_find_the_type)
{
	EXPECT_EQ(1, libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_OOM_POLICY, NULL));
	EXPECT_EQ(1, libbpf_probe_bpf_helper(BPF_PROG_TYPE_OOM_POLICY,
					     BPF_FUNC_map_lookup_elem, NULL));
	EXPECT_EQ(0, libbpf_probe_bpf_helper(BPF_PROG_TYPE_OOM_POLICY,
					     BPF_FUNC_skb_store_bytes, NULL));
}

/* No other type is taken for an error because of ours. */
TEST(libbpf_probes_have_no_errors)
{
	__u32 type;

	for (type = 1; libbpf_bpf_prog_type_str(type); type++)
		EXPECT_LE(0, libbpf_probe_bpf_prog_type(type, NULL))
			TH_LOG("%s", libbpf_bpf_prog_type_str(type));
}

static bool said_by(const char *command, const char *text)
{
	FILE *f = popen(command, "r");
	bool found = false;
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		found |= !strncmp(line, text, strlen(text));
	if (f)
		pclose(f);
	return found;
}

FIXTURE(bpftool)
{
};

FIXTURE_SETUP(bpftool)
{
}

FIXTURE_TEARDOWN(bpftool)
{
}

/* Half a minute on an emulated machine. */
TEST_F_TIMEOUT(bpftool, feature_probe, 300)
{
	EXPECT_TRUE(said_by("bpftool feature probe kernel",
			    "eBPF program_type oom_policy is available"));
	EXPECT_TRUE(said_by("bpftool feature list_builtins prog_types", "oom_policy"));
	EXPECT_TRUE(said_by("bpftool feature list_builtins attach_types", "oom_policy_task"));
	EXPECT_TRUE(said_by("bpftool feature list_builtins link_types", "oom_policy"));
}

TEST_F(bpftool, synctypes)
{
	char line[512] = "";
	FILE *f = fopen(SYNCTYPES, "re");

	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f)) {
		if (!strcmp(line, "exit 0\n"))
			continue;
		EXPECT_STREQ("", line);
	}
	EXPECT_STREQ("exit 0\n", line);
	fclose(f);
}

/* A name with blanks is one word, and a source is no program. */
TEST_F(bpftool, completion)
{
	static const char * const lines[] = {
		"show : [/[x]/] [/my tenant/] [/prod/]",
		"show my: [/my tenant/]",
		"show \"my: [/my tenant/]",
		"show my\\ : [/my tenant/]",
		"show /my: [/my tenant/]",
		"show /my\\ tenant/: [/my tenant/a*/]",
		"rank TOP/cgroup/m: [TOP/cgroup/my tenant/]",
		"rank d: [db/]",
		"rank ../m: [../my tenant/]",
		"rank /m: [/my tenant/]",
		"compare prod : [/[x]/] [/my tenant/] [/prod/]",
		"attach po: [policy.bpf.o]",
		"attach n: [name]",
		"attach name : [tenant_prio]",
		"attach tag : [0123456789abcdef]",
		"select prod prog p: [pinned] [policy.bpf.o]",
		"select prod prog note:",
		"replace prod po: [policy.bpf.o]",
		"replace prod policy.bpf.o ma: [map]",
		"exit 0",
	};
	FILE *f = fopen(COMPLETION, "re");
	char line[512];
	size_t i;

	ASSERT_NE(NULL, f);
	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		ASSERT_NE(NULL, fgets(line, sizeof(line), f));
		line[strcspn(line, "\n")] = '\0';
		EXPECT_STREQ(lines[i], line);
	}
	EXPECT_EQ(NULL, fgets(line, sizeof(line), f));
	fclose(f);
}

TEST_HARNESS_MAIN
