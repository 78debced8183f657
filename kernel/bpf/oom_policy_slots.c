// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which policy is attached where.
 *
 * A policy belongs to a cgroup, and occupies one slot of the memcg that the cgroup has
 * while the memory controller is enabled for it. In between the policy is dormant. It
 * is detached with what holds it (a link), or with the cgroup, whichever comes first.
 *
 * oom_policy_mutex serializes everything that changes a slot or the program of a
 * policy. It nests inside cgroup_mutex, and, where a program is replaced, inside
 * oom_lock. Selection never takes it: it reads slots under RCU, and holds a policy that
 * it goes on asking.
 */

#include <linux/bpf.h>
#include <linux/bpf_oom_policy.h>
#include <linux/cgroup.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/mutex.h>
#include <linux/oom_policy_host.h>

#include "oom_policy.h"

DEFINE_STATIC_KEY_FALSE(oom_policy_attached);

/* Slots, what is attached where, and the program of each policy. */
DEFINE_MUTEX(oom_policy_mutex);

/* Policies whose cgroup has no memcg at present; oom_policy_mutex. */
static LIST_HEAD(oom_policy_dormant);

static void oom_policy_fill_slot(struct oom_policy *policy, struct mem_cgroup *memcg)
{
	lockdep_assert_held(&oom_policy_mutex);

	policy->memcg = memcg;
	rcu_assign_pointer(oom_policy_memcg(memcg)->policy[policy->stage], policy);
}

static void oom_policy_clear_slot(struct oom_policy *policy)
{
	lockdep_assert_held(&oom_policy_mutex);

	if (!policy->memcg)
		return;

	RCU_INIT_POINTER(oom_policy_memcg(policy->memcg)->policy[policy->stage], NULL);
	policy->memcg = NULL;
}

static void oom_policy_do_detach(struct oom_policy *policy)
{
	oom_policy_clear_slot(policy);
	list_del_init(&policy->dormant);
	policy->cgroup_id = 0;
}

/* Cleared before the memcg of a cgroup that is being removed goes offline. */
static bool oom_policy_cgroup_removed(const struct cgroup *cgrp)
{
	return !(READ_ONCE(cgrp->self.flags) & CSS_ONLINE);
}

static bool oom_policy_cgroup_exists(u64 cgroup_id)
{
	struct cgroup *cgrp = __cgroup_get_from_id(cgroup_id);

	if (IS_ERR(cgrp))
		return false;
	cgroup_put(cgrp);
	return true;
}

/**
 * oom_policy_state - is a policy in force
 * @policy: the policy; oom_policy_mutex is held
 *
 * A cgroup does not tell of its removal whom it has no memcg for, and a dormant policy
 * does not keep a cgroup: that it is gone is seen when somebody asks.
 *
 * Return: how it stands.
 */
enum bpf_oom_link_state oom_policy_state(struct oom_policy *policy)
{
	lockdep_assert_held(&oom_policy_mutex);

	if (policy->memcg)
		return cgroup_subsys_on_dfl(memory_cgrp_subsys) ? BPF_OOM_LINK_IN_FORCE :
								  BPF_OOM_LINK_DORMANT;
	if (policy->cgroup_id && !oom_policy_cgroup_exists(policy->cgroup_id))
		oom_policy_do_detach(policy);
	return policy->cgroup_id ? BPF_OOM_LINK_DORMANT : BPF_OOM_LINK_DETACHED;
}

/**
 * __oom_policy_memcg_online - put in force again what is attached to a memcg's cgroup
 * @memcg: the memcg, which its cgroup does not show yet; cgroup_mutex is held
 *
 * So the slots are still empty, and nobody but the owner of the id is found: that of a
 * removed cgroup does not come again.
 */
void __oom_policy_memcg_online(struct mem_cgroup *memcg)
{
	const u64 id = cgroup_id(memcg->css.cgroup);
	struct oom_policy *policy, *next;

	/* The ids of cgroup v1 are others. */
	if (!cgroup_subsys_on_dfl(memory_cgrp_subsys))
		return;

	mutex_lock(&oom_policy_mutex);
	list_for_each_entry_safe(policy, next, &oom_policy_dormant, dormant) {
		if (policy->cgroup_id != id)
			continue;
		list_del_init(&policy->dormant);
		oom_policy_fill_slot(policy, memcg);
	}
	mutex_unlock(&oom_policy_mutex);
}

/**
 * oom_policy_memcg_offline - take out of force what is attached to a memcg's cgroup
 * @memcg: the memcg, which goes away; cgroup_mutex is held
 *
 * If the cgroup goes away, too, that is the end of the attachment: the links stay,
 * detached, until their last reference is dropped.
 */
void oom_policy_memcg_offline(struct mem_cgroup *memcg)
{
	struct oom_policy_memcg *slots = oom_policy_memcg(memcg);
	struct oom_policy *policy;
	int stage;

	mutex_lock(&oom_policy_mutex);
	slots->offline = true;
	for (stage = 0; stage < NR_OOM_POLICY_STAGES; stage++) {
		policy = rcu_dereference_protected(slots->policy[stage],
						   lockdep_is_held(&oom_policy_mutex));
		if (!policy)
			continue;
		if (oom_policy_cgroup_removed(memcg->css.cgroup)) {
			oom_policy_do_detach(policy);
		} else {
			oom_policy_clear_slot(policy);
			list_add_tail(&policy->dormant, &oom_policy_dormant);
		}
	}
	mutex_unlock(&oom_policy_mutex);
}

static int oom_policy_no_memcg(const struct cgroup *cgrp)
{
	return oom_policy_cgroup_removed(cgrp) ? -ENOENT : -EOPNOTSUPP;
}

/**
 * oom_policy_memcg_of - the memcg of a cgroup
 * @cgrp: its reference is consumed; or an error, which is returned
 *
 * Return: a reference, to be put; -ENOENT if the cgroup is being removed; -EOPNOTSUPP if
 * it has no memory controller of its own.
 */
struct mem_cgroup *oom_policy_memcg_of(struct cgroup *cgrp)
{
	struct cgroup_subsys_state *css;
	struct mem_cgroup *memcg;

	if (IS_ERR(cgrp))
		return ERR_CAST(cgrp);

	/* Its own css: an ancestor's would silently govern more than asked for. */
	rcu_read_lock();
	css = rcu_dereference(cgrp->subsys[memory_cgrp_id]);
	if (css && css_tryget_online(css))
		memcg = mem_cgroup_from_css(css);
	else
		memcg = ERR_PTR(oom_policy_no_memcg(cgrp));
	rcu_read_unlock();

	cgroup_put(cgrp);
	return memcg;
}

/**
 * oom_policy_get_memcg - the memcg with a cgroup id
 * @cgroup_id: as seen from the caller's cgroup namespace
 *
 * Return: a reference, to be put; -ENOENT if there is no such cgroup or it is being
 * removed; -EOPNOTSUPP if it has no memory controller of its own.
 */
struct mem_cgroup *oom_policy_get_memcg(u64 cgroup_id)
{
	return oom_policy_memcg_of(cgroup_get_from_id(cgroup_id));
}

/**
 * oom_policy_attach - put a policy in force
 * @policy: the policy; what is held on behalf of oom_policy_attached is the caller's
 * @memcg: where; referenced
 *
 * Return: 0; -EBUSY if the slot is taken; -ENOENT if the cgroup is being removed;
 * -EOPNOTSUPP if the memory controller is being disabled there.
 */
int oom_policy_attach(struct oom_policy *policy, struct mem_cgroup *memcg)
{
	struct oom_policy_memcg *slots = oom_policy_memcg(memcg);

	guard(mutex)(&oom_policy_mutex);

	if (slots->offline)
		return oom_policy_no_memcg(memcg->css.cgroup);
	if (rcu_access_pointer(slots->policy[policy->stage]))
		return -EBUSY;

	policy->cgroup_id = cgroup_id(memcg->css.cgroup);
	oom_policy_fill_slot(policy, memcg);
	return 0;
}

/**
 * oom_policy_detach - take a policy out of force for good
 * @policy: the policy, which may be so already
 */
void oom_policy_detach(struct oom_policy *policy)
{
	guard(mutex)(&oom_policy_mutex);
	oom_policy_do_detach(policy);
}

/* From the option to the number. */
static void oom_policy_set_futile(struct oom_policy *policy)
{
	const u32 option = policy->max_futile;

	policy->max_futile = option ?: OOM_POLICY_DEFAULT_FUTILE;
	if (option == BPF_OOM_POLICY_NEVER_FUTILE)
		policy->max_futile = 0;
}

/**
 * oom_policy_check_options - may a policy be attached like this
 * @policy: its stage and options; 0 becomes the default
 *
 * Return: 0; -EINVAL for unknown flags; -ERANGE if the grace or the budget is too long.
 */
int oom_policy_check_options(struct oom_policy *policy)
{
	u32 known = policy->stage == OOM_POLICY_STAGE_TASK ? BPF_F_OOM_POLICY_MEMCG :
							     OOM_POLICY_FLAGS;

	if (policy->flags & ~known)
		return -EINVAL;
	if (policy->grace_ms > OOM_POLICY_MAX_GRACE_MS ||
	    policy->budget_us > OOM_POLICY_MAX_BUDGET_US)
		return -ERANGE;

	policy->budget_us = policy->budget_us ?: OOM_POLICY_DEFAULT_BUDGET_US;
	oom_policy_set_futile(policy);
	return 0;
}

/**
 * oom_policy_get_info - options, state and counters of a policy
 * @policy: the policy, held
 * @info: filled in
 */
void oom_policy_get_info(struct oom_policy *policy, struct bpf_oom_policy_info *info)
{
	const u64 *fallbacks = policy->stats.fallbacks;

	*info = (struct bpf_oom_policy_info) {
		.attach_type = policy->stage == OOM_POLICY_STAGE_TASK ?
			       BPF_OOM_POLICY_TASK : BPF_OOM_POLICY,
		.flags = policy->flags,
		.budget_us = policy->budget_us,
		.grace_ms = policy->grace_ms,
		.max_futile = policy->max_futile,
		.selections = READ_ONCE(policy->stats.selections),
		.comparisons = READ_ONCE(policy->stats.comparisons),
		.kills = READ_ONCE(policy->stats.kills),
		.fallback_none_eligible = READ_ONCE(fallbacks[OOM_POLICY_NONE_ELIGIBLE]),
		.fallback_budget = READ_ONCE(fallbacks[OOM_POLICY_BUDGET]),
		.fallback_abstain = READ_ONCE(fallbacks[OOM_POLICY_ABSTAINED]),
		.fallback_disabled = READ_ONCE(fallbacks[OOM_POLICY_DISABLED]),
		.fallback_in_flight = READ_ONCE(fallbacks[OOM_POLICY_IN_FLIGHT]),
		.last_victim_cgroup_id = READ_ONCE(policy->stats.last_victim),
		.last_ns = READ_ONCE(policy->stats.last_ns),
		.worst_ns = READ_ONCE(policy->stats.worst_ns),
		.fallback_grace = READ_ONCE(fallbacks[OOM_POLICY_GRACE]),
		.spared = READ_ONCE(policy->stats.spared),
		.fallback_futile = READ_ONCE(fallbacks[OOM_POLICY_FUTILE]),
	};

	guard(mutex)(&oom_policy_mutex);
	info->state = oom_policy_state(policy);
	info->cgroup_id = policy->cgroup_id;
}
