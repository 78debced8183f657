// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leaves where a kill is in vain: those whose last victims have given next to nothing
 * back, since what fills the leaf outlives them, and those that have nothing on the nodes
 * that are short. They are passed over as if they were empty, as long as somebody else
 * has more to give.
 *
 * When a policy has chosen a victim, its memcg remembers what was charged then. The victim
 * looks again on its way out, without a lock, when its mm and its files are gone: later,
 * whoever comes after it may have filled the leaf anew. The next event that comes to the
 * leaf judges the kill, under oom_lock; a rehearsal judges a copy.
 */

#include <asm/barrier.h>
#include <linux/cgroup.h>
#include <linux/cpuset.h>
#include <linux/memcontrol.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/oom.h>
#include <linux/page_counter.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include "event.h"

/* Less than one part in so many of what is charged is next to nothing. */
#define OOM_POLICY_NOTHING	8

/* On the nodes that are short: one part in so many, or so many pages, are something. */
#define OOM_POLICY_NODE_PART	16
#define OOM_POLICY_NODE_PAGES	(SZ_1M / PAGE_SIZE)

static unsigned long oom_policy_charged(struct mem_cgroup *memcg)
{
	return page_counter_read(&memcg->memory) + page_counter_read(&memcg->swap);
}

/**
 * oom_policy_freeable - what the death of its tasks is expected to give back
 * @memcg: the memcg, with all below it
 *
 * Memory and swap that is charged, without what outlives a task or may be mapped by
 * others: files in the page cache and in tmpfs, all other shared memory, reclaimable
 * slab. Anonymous memory counts, and so does what the kernel keeps for the tasks, and
 * all that is in swap. The charges are exact, the rest may lag behind.
 *
 * Return: pages; of the root, which has no charges, its anonymous memory.
 */
unsigned long oom_policy_freeable(struct mem_cgroup *memcg)
{
	unsigned long usage, outlives;

	if (mem_cgroup_is_root(memcg))
		return memcg_page_state(memcg, NR_ANON_MAPPED);

	usage = page_counter_read(&memcg->memory);
	outlives = memcg_page_state(memcg, NR_FILE_PAGES) +
		   memcg_page_state(memcg, NR_SLAB_RECLAIMABLE_B) / PAGE_SIZE;
#ifdef CONFIG_SWAP
	/* Pages in the swap cache count as files, and are anonymous. */
	outlives -= min(outlives, memcg_page_state(memcg, NR_SWAPCACHE));
#endif
	return page_counter_read(&memcg->swap) + usage - min(usage, outlives);
}

/*
 * A leaf that still has something that goes with its tasks is not to blame for one that
 * was small, or whose share others have taken at once.
 */
static bool oom_policy_was_in_vain(struct mem_cgroup *memcg,
				   const struct oom_policy_futile *futile)
{
	unsigned long given = futile->usage - READ_ONCE(futile->low);

	return given < futile->usage / OOM_POLICY_NOTHING &&
	       oom_policy_freeable(memcg) < oom_policy_charged(memcg) / OOM_POLICY_NOTHING;
}

static void oom_policy_judge_kill(struct mem_cgroup *memcg,
				  struct oom_policy_futile *futile, u32 max)
{
	unsigned long now = oom_policy_charged(memcg);

	/* Pairs with the release by whoever has left: what it saw is in @low. */
	if (futile->watched && smp_load_acquire(&futile->left)) {
		WRITE_ONCE(futile->watched, false);
		if (oom_policy_was_in_vain(memcg, futile)) {
			futile->kills++;
			futile->held += futile->last;
		} else {
			futile->kills = 0;
			futile->held = 0;
		}
	}

	/* It is not what it was. */
	if (futile->kills >= max && abs_diff(now, futile->usage) > futile->held) {
		futile->kills = 0;
		futile->held = 0;
	}
}

static bool oom_policy_is_futile(struct oom_policy_event *ev, struct mem_cgroup *memcg)
{
	const u32 max = ev->chooser ? ev->chooser->max_futile : 0;
	struct oom_policy_futile *futile = &oom_policy_memcg(memcg)->futile;
	struct oom_policy_futile copy;

	if (!max)
		return false;
	if (ev->rehearsed) {
		/* An event may judge it meanwhile: then this is before or after. */
		copy = data_race(*futile);
		futile = &copy;
	}

	oom_policy_judge_kill(memcg, futile, max);
	if (futile->kills < max)
		return false;

	if (!ev->vain.nr++) {
		css_get(&memcg->css);
		ev->vain.memcg = memcg;
		ev->vain.kills = futile->kills;
	}
	ev->vain.held = max(ev->vain.held, futile->held);
	return true;
}

/* Pages that can be freed, exact but for what the CPUs have not handed in yet. */
static unsigned long oom_policy_node_pages(struct mem_cgroup *memcg, int nid)
{
	struct mem_cgroup_per_node *pn = memcg->nodeinfo[nid];
	unsigned long pages = 0;
	int zone, lru;

	for (zone = 0; zone < MAX_NR_ZONES; zone++)
		for (lru = 0; lru < NR_LRU_LISTS; lru++)
			pages += READ_ONCE(pn->lru_zone_size[zone][lru]);
#ifdef CONFIG_LRU_GEN
	for (zone = 0; zone < MAX_NR_ZONES * MAX_NR_GENS * ANON_AND_FILE; zone++)
		pages += max(READ_ONCE((&pn->lruvec.lrugen.nr_pages[0][0][0])[zone]), 0L);
#endif
	return pages;
}

static void oom_policy_add_nodes(struct mem_cgroup *memcg, const nodemask_t *nodes,
				 unsigned long *here, unsigned long *all)
{
	unsigned long pages;
	int nid;

	for_each_node_state(nid, N_MEMORY) {
		pages = oom_policy_node_pages(memcg, nid);
		*all += pages;
		if (node_isset(nid, *nodes))
			*here += pages;
	}
}

static const nodemask_t *oom_policy_short_nodes(const struct oom_control *oc)
{
	switch (oc->constraint) {
	case CONSTRAINT_MEMORY_POLICY:
		return oc->nodemask;
	case CONSTRAINT_CPUSET:
		return &cpuset_current_mems_allowed;
	default:
		return NULL;
	}
}

/* Where its pages may be is known by the stock judgement of a task; this is where they are. */
static bool oom_policy_is_elsewhere(const struct oom_policy_event *ev,
				    struct mem_cgroup *memcg)
{
	const nodemask_t *nodes = oom_policy_short_nodes(ev->oc);
	unsigned long here = 0, all = 0;
	struct mem_cgroup *pos;

	if (!nodes)
		return false;

	for (pos = mem_cgroup_iter(memcg, NULL, NULL); pos;
	     pos = mem_cgroup_iter(memcg, pos, NULL))
		oom_policy_add_nodes(pos, nodes, &here, &all);
	return here < OOM_POLICY_NODE_PAGES && here < all / OOM_POLICY_NODE_PART;
}

/**
 * oom_policy_in_vain - is a leaf to be passed over since a kill there is in vain
 * @ev: the event; not under RCU
 * @memcg: the leaf, referenced
 * @choice: how the walk got there
 *
 * Once a leaf was passed over for its last kills, whoever comes in its place has to have
 * more to give than those victims held: to kill it would be as much in vain.
 */
bool oom_policy_in_vain(struct oom_policy_event *ev, struct mem_cgroup *memcg,
			enum oom_walk_choice choice)
{
	bool vain;

	/* Where there is no choice, or it is not the policy's. */
	if (!ev->strict || memcg == ev->scope || memcg == ev->top ||
	    mem_cgroup_is_root(memcg) ||
	    (choice != OOM_WALK_LEAF && choice != OOM_WALK_GROUP))
		return false;

	vain = oom_policy_is_futile(ev, memcg) ||
	       (ev->vain.nr && oom_policy_freeable(memcg) <= ev->vain.held) ||
	       oom_policy_is_elsewhere(ev, memcg);
	ev->passed |= vain;
	return vain;
}

/**
 * oom_policy_watch_kill - a victim was chosen: what will it give back
 * @ev: the event, a real one, with a victim
 */
void oom_policy_watch_kill(struct oom_policy_event *ev)
{
	struct oom_policy_futile *futile;
	struct mm_struct *mm;

	if (!oom_outcome_chosen(ev->outcome) || mem_cgroup_is_root(ev->leaf))
		return;

	mm = oom_policy_grab_mm(ev->oc->chosen);
	if (!mm)
		return;

	futile = &oom_policy_memcg(ev->leaf)->futile;
	futile->last = oom_policy_mm_pages(mm);
	futile->usage = oom_policy_charged(ev->leaf);
	WRITE_ONCE(futile->low, futile->usage);
	WRITE_ONCE(futile->left, false);
	/* Pairs with the acquire by whoever leaves. */
	smp_store_release(&futile->watched, true);
	mmdrop(mm);
}

/* It has put its mm and its files. Of several threads the last one sees the least. */
static void oom_policy_victim_left(struct task_struct *victim)
{
	struct oom_policy_futile *futile;
	struct mem_cgroup *memcg;
	unsigned long now;

	if (mem_cgroup_disabled())
		return;

	rcu_read_lock();
	for (memcg = mem_cgroup_from_task(victim); memcg; memcg = parent_mem_cgroup(memcg)) {
		futile = &oom_policy_memcg(memcg)->futile;
		/* Pairs with the release when the kill was watched: @low is as of then. */
		if (!smp_load_acquire(&futile->watched))
			continue;
		now = oom_policy_charged(memcg);
		if (now < READ_ONCE(futile->low))
			WRITE_ONCE(futile->low, now);
		/* Pairs with the acquire where the kill is judged. */
		smp_store_release(&futile->left, true);
	}
	rcu_read_unlock();
}

void __oom_policy_exited(struct task_struct *task)
{
	oom_policy_dying_left(task);
	if (READ_ONCE(task->signal->oom_mm))
		oom_policy_victim_left(task);
}

/**
 * oom_policy_forget_vain - no leaf is passed over any more, or the event is over
 * @ev: the event
 */
void oom_policy_forget_vain(struct oom_policy_event *ev)
{
	mem_cgroup_put(ev->vain.memcg);
	ev->vain = (struct oom_policy_vain) {};
	ev->passed = false;
}
