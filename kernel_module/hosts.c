// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The hosts of an experiment: their clocks, and what their work costs.
 */
#include <linux/slab.h>

#include "kronos.h"

static LIST_HEAD(hosts); /* changed only by the owner's calls */
static u32 host_count;

struct kronos_lp *kronos_lp_find(u32 id)
{
	struct kronos_lp *lp;

	list_for_each_entry(lp, &hosts, entry)
		if (lp->id == id)
			return lp;
	return NULL;
}

u32 kronos_lp_count(void)
{
	return host_count;
}

static void set_costs(struct kronos_lp *lp, u64 cost)
{
	const u64 one = 1ULL << 32;

	if (lp->pace == KRONOS_MODULE_INSTANT)
		return;
	if (lp->counter == KRONOS_MODULE_WORK_FREE)
		lp->read_cost = cost ?: 1;
	else
		lp->cost = cost ?: one;
}

int kronos_lp_add(const struct kronos_host *config)
{
	u32 cores = config->cores ?: 1, i;
	struct kronos_lp *lp;

	if (host_count >= KRONOS_HOSTS_MAX)
		return -ENOSPC;
	lp = kzalloc(struct_size(lp, core, cores), GFP_KERNEL);
	if (!lp)
		return -ENOMEM;
	lp->queue = RB_ROOT_CACHED;
	INIT_LIST_HEAD(&lp->ready);
	lp->id = ++host_count;
	lp->pace = config->pace;
	lp->counter = config->counter;
	lp->cores = cores;
	set_costs(lp, config->cost);
	for (i = 0; i < cores; i++)
		atomic64_set(&lp->core[i].position, 0);
	strscpy(lp->name, config->name, sizeof(lp->name));
	list_add_tail(&lp->entry, &hosts);
	return lp->id;
}

u64 kronos_lp_latest(void)
{
	struct kronos_lp *lp;
	u64 latest = 0;
	u32 i;

	list_for_each_entry(lp, &hosts, entry)
		for (i = 0; i < lp->cores; i++)
			latest = max_t(u64, latest, atomic64_read(&lp->core[i].position));
	return latest;
}

void kronos_lp_free_all(void)
{
	struct kronos_lp *lp, *next;

	list_for_each_entry_safe(lp, next, &hosts, entry) {
		list_del(&lp->entry);
		kfree(lp);
	}
	host_count = 0;
}
