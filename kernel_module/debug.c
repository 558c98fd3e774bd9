// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * /sys/kernel/debug/kronos/rounds: where the real time of rounds goes. Each
 * phase of a round is measured, and counted in powers of two.
 */
#include <linux/debugfs.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/seq_file.h>

#include "kronos.h"

#define BUCKETS 24 /* the last one has all from 8 s on */

struct phase {
	const char *name;
	u64 count, total, longest; /* ns */
	u64 bucket[BUCKETS];	   /* from 2^(n-1) us to less than 2^n us */
};

/* Written in a progress, of which there is one at a time; read at any time. */
static struct phase phases[] = {
	[KRONOS_PHASE_WINDOW] = { .name = "hosts run" },
	[KRONOS_PHASE_SETTLE] = { .name = "kernel settles" },
};

static struct dentry *directory;

void kronos_debug_phase(enum kronos_phase phase, u64 ns)
{
	struct phase *p = &phases[phase];
	u64 us = div_u64(ns, NSEC_PER_USEC);

	p->count++;
	p->total += ns;
	p->longest = max(p->longest, ns);
	p->bucket[min(us ? ilog2(us) + 1 : 0, BUCKETS - 1)]++;
}

void kronos_debug_reset(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(phases); i++)
		phases[i] = (struct phase){ .name = phases[i].name };
}

static void show_phase(struct seq_file *file, const struct phase *p)
{
	int i;

	seq_printf(file, "%s: %llu times, %llu us, longest %llu us\n", p->name, p->count,
		   div_u64(p->total, NSEC_PER_USEC), div_u64(p->longest, NSEC_PER_USEC));
	for (i = 0; i < BUCKETS; i++)
		if (p->bucket[i])
			seq_printf(file, "  < %u us: %llu\n", 1U << i, p->bucket[i]);
}

static int rounds_show(struct seq_file *file, void *unused)
{
	const struct kronos_module_stats *s = &kronos_stats;
	u64 measured = s->run_ns + s->quiesce_ns;
	int i;

	seq_printf(file, "rounds: %llu, passed over %llu, windows %llu\n", s->rounds,
		   s->rounds_skipped, s->windows);
	seq_printf(file, "slices: %llu, cut %llu, forced %llu, overrun at most %lld ns\n", s->slices,
		   s->cuts, s->forced, s->max_overrun_ns);
	seq_printf(file, "timer interrupts: %llu\n", s->events);
	seq_printf(file, "waits for disks: %llu us, not waited for %llu times\n",
		   div_u64(s->disks_ns, NSEC_PER_USEC), s->disks_forced);
	seq_printf(file, "progress: %llu us, of which between phases %llu us\n",
		   div_u64(s->total_ns, NSEC_PER_USEC),
		   s->total_ns > measured ? div_u64(s->total_ns - measured, NSEC_PER_USEC) : 0);
	for (i = 0; i < ARRAY_SIZE(phases); i++)
		show_phase(file, &phases[i]);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(rounds);

/* Without debugfs the module works as well. */
int kronos_debug_init(void)
{
	directory = debugfs_create_dir("kronos", NULL);
	debugfs_create_file("rounds", 0444, directory, NULL, &rounds_fops);
	return 0;
}

void kronos_debug_exit(void)
{
	debugfs_remove(directory);
}
