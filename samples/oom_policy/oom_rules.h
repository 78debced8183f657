/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which rule is a cgroup's: the same text for the BPF programs, which ask when a memcg
 * comes online, and for the tool, which asks for those that are there already. So the
 * two cannot come to different answers. Whoever includes this has bpf_loop().
 *
 * The first rule that fits decides. In a pattern
 *
 *	?	is any one character of UTF-8 but the slash
 *	*	any number of them
 *	**	any number of characters, the slash among them
 *
 * and everything else is itself, the backslash of systemd's \x2d too.
 */
#ifndef SAMPLES_OOM_POLICY_OOM_RULES_H
#define SAMPLES_OOM_POLICY_OOM_RULES_H

#include <linux/types.h>

#define MAX_RULES	256
#define MAX_PODS	1024
/* Powers of two, with the 0 at the end. */
#define GLOB_SIZE	256
#define PATH_SIZE	1024
#define POD_SIZE	64

/* A pattern that takes more steps than this on some path does not fit it. */
#define MAX_GLOB_STEPS	4096

enum oom_rule_kind {
	OOM_RULE_PATH,		/* the pattern is of a path from the root */
	OOM_RULE_UNIT,		/* of a path's last component */
	OOM_RULE_AVOID,		/* no pattern: the attribute user.oomd_avoid */
	OOM_RULE_OMIT,		/* user.oomd_omit */
};

/* Attributes that a cgroup has. */
enum oom_mark {
	OOM_MARK_AVOID	= 1U << OOM_RULE_AVOID,
	OOM_MARK_OMIT	= 1U << OOM_RULE_OMIT,
};

/* What goes into memory.oom.priority. */
struct oom_value {
	__s64 priority;
	__u32 state;		/* BPF_OOM_PRIORITY_SET, or MAX */
	__u32 line;		/* of the configuration */
};

struct oom_rule {
	struct oom_value value;
	__u64 kind;
	char glob[GLOB_SIZE];
};

/* PATH_SIZE bytes at @path may be read, whatever its length. */
struct oom_search {
	const struct oom_rule *rules;
	const char *path;
	__u32 nr_rules;
	__u32 marks;
	__u32 base;		/* where its last component begins, */
	__u32 pod;		/* and a pod's name in that; 0: nowhere */
	__s32 found;		/* which rule; -1: none */
};

struct oom_match {
	const char *glob;
	const char *path;
	__u32 g, p;
	__u32 star_g, star_p;	/* behind the last *, and where it has got to */
	__u32 deep_g, deep_p;	/* the same of ** */
	__u32 fits;
};

#define GLOB_AT(m, i)	((m)->glob[(i) & (GLOB_SIZE - 1)])
#define PATH_AT(m, i)	((m)->path[(i) & (PATH_SIZE - 1)])

/* How many bytes the character has that begins there; what is no UTF-8 has one. */
static inline __u32 oom_char_size(const struct oom_match *m, __u32 at)
{
	const unsigned char c = PATH_AT(m, at);
	__u32 size = 1;

	if (c >= 0xc0 && (PATH_AT(m, at + 1) & 0xc0) == 0x80)
		size = 2;
	if (c >= 0xe0 && size == 2 && (PATH_AT(m, at + 2) & 0xc0) == 0x80)
		size = 3;
	if (c >= 0xf0 && size == 3 && (PATH_AT(m, at + 3) & 0xc0) == 0x80)
		size = 4;
	return size;
}

/*
 * What a star has matched grows by one character when the rest does not fit. Only the
 * last star of each kind need be tried again: one before it has found the first place
 * for what is between the two, and a later place would leave less for the last one.
 */
static long oom_match_step(__u64 i, struct oom_match *m)
{
	const char g = GLOB_AT(m, m->g);
	const char p = PATH_AT(m, m->p);

	(void)i;
	if (g == '*' && GLOB_AT(m, m->g + 1) == '*') {
		m->g += 2;
		m->deep_g = m->g;
		m->deep_p = m->p;
		m->star_g = 0;
		return 0;
	}
	if (g == '*') {
		m->g++;
		m->star_g = m->g;
		m->star_p = m->p;
		return 0;
	}
	if (g == p || (g == '?' && p && p != '/')) {
		m->fits = !p;
		m->g++;
		m->p += g == '?' ? oom_char_size(m, m->p) : 1;
		return m->fits;
	}
	if (m->star_g && PATH_AT(m, m->star_p) && PATH_AT(m, m->star_p) != '/') {
		m->star_p += oom_char_size(m, m->star_p);
		m->p = m->star_p;
		m->g = m->star_g;
		return 0;
	}
	if (m->deep_g && PATH_AT(m, m->deep_p)) {
		m->deep_p += oom_char_size(m, m->deep_p);
		m->p = m->deep_p;
		m->g = m->deep_g;
		m->star_g = 0;
		return 0;
	}
	return 1;
}

static long oom_rule_step(__u64 i, struct oom_search *s)
{
	const struct oom_rule *rule;
	struct oom_match m = {};

	if (i >= MAX_RULES || i >= s->nr_rules)
		return 1;
	rule = &s->rules[i];
	if (rule->kind == OOM_RULE_AVOID || rule->kind == OOM_RULE_OMIT) {
		m.fits = !!(s->marks & 1U << (rule->kind & 3));
	} else {
		m.glob = rule->glob;
		m.path = s->path;
		m.p = rule->kind == OOM_RULE_UNIT ? s->base : 0;
		bpf_loop(MAX_GLOB_STEPS, oom_match_step, &m, 0);
	}
	if (!m.fits)
		return 0;
	s->found = i;
	return 1;
}

static long oom_base_step(__u64 i, struct oom_search *s)
{
	const char c = PATH_AT(s, i);

	if (!c)
		return 1;
	if (c == '/') {
		s->base = i + 1;
		s->pod = 0;
	} else if (c == 'p' && PATH_AT(s, i + 1) == 'o' && PATH_AT(s, i + 2) == 'd' && i &&
		   (PATH_AT(s, i - 1) == '/' || PATH_AT(s, i - 1) == '-')) {
		s->pod = i;
	}
	return 0;
}

/*
 * Where the last component of the path begins. A pod's name is "pod" and its UID at the
 * end of that: pod1234-... of the cgroupfs driver of kubelet, and
 * kubepods-burstable-pod1234_....slice of the systemd driver.
 */
static inline void oom_find_base(struct oom_search *s)
{
	bpf_loop(PATH_SIZE - 1, oom_base_step, s, 0);
}

static inline void oom_find_rule(struct oom_search *s)
{
	s->found = -1;
	bpf_loop(MAX_RULES, oom_rule_step, s, 0);
}

#endif /* SAMPLES_OOM_POLICY_OOM_RULES_H */
