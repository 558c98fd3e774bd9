// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Waits that nothing interrupts, as for a disk or a remote file system. They end
 * in real time, so the clock stands for them. Not for those that a virtual timer
 * ends, and not for parents that wait for a vfork()ed child, which is dilated as
 * well. Where one takes very long, or waits for something in virtual time after
 * all, the clock goes on, as fast as real time.
 */
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>

#include "kronos.h"

#define FAR_AWAY (5 * HZ)
#define STEP_NS (10 * NSEC_PER_MSEC) /* of the clock at once, when it goes on */

static unsigned int disk_limit_ms = 5000;
module_param(disk_limit_ms, uint, 0644);
MODULE_PARM_DESC(disk_limit_ms,
		 "real time for which the clock stands for a disk, on top of what it goes on since");

static atomic_t waiting; /* tasks */
static atomic_t begun;	/* waits */
static s64 latest;

/* How far real time is ahead of the clock. */
static s64 lead(void)
{
	return kronos_real_ns() - kronos_now();
}

static void end_wait(struct kronos_task *t)
{
	if (test_and_clear_bit(KRONOS_DISK, &t->flags))
		atomic_dec(&waiting);
}

void kronos_disk_blocked(struct kronos_task *t, unsigned int state)
{
	bool timed = test_and_clear_bit(KRONOS_TIMED, &t->flags);

	if ((state & (TASK_UNINTERRUPTIBLE | TASK_NOLOAD)) != TASK_UNINTERRUPTIBLE || timed)
		return;
	if (!t->disk_lead)
		t->disk_lead = lead();
	atomic_inc(&waiting);
	atomic_inc(&begun);
	set_bit(KRONOS_DISK, &t->flags);
	smp_mb__after_atomic(); /* note_vfork() sets its bit, then looks for this one */
	if (test_bit(KRONOS_VFORK, &t->flags))
		end_wait(t);
}

void kronos_disk_woken(struct kronos_task *t)
{
	clear_bit(KRONOS_TIMED, &t->flags);
	end_wait(t);
}

void kronos_disk_timed(const void *timer, u64 ticks)
{
	struct kronos_task *t;

	/*
	 * A timer on its stack ends the wait that it is about to begin; one that is
	 * far away is for disks that do not answer.
	 */
	if (!(READ_ONCE(current->__state) & TASK_UNINTERRUPTIBLE) || !object_is_on_stack(timer) ||
	    ticks >= FAR_AWAY)
		return;
	t = kronos_task_find(current);
	if (t)
		set_bit(KRONOS_TIMED, &t->flags);
}

static void note_vfork(struct task_struct *parent)
{
	struct kronos_task *t = kronos_task_find(parent);

	if (!t)
		return;
	set_bit(KRONOS_VFORK, &t->flags);
	smp_mb__after_atomic(); /* kronos_disk_blocked() sets its bit, then looks for this one */
	end_wait(t);
}

void kronos_disk_gate(struct kronos_task *t)
{
	clear_bit(KRONOS_VFORK, &t->flags);
	clear_bit(KRONOS_TIMED, &t->flags);
	t->disk_lead = 0;
	if (!READ_ONCE(current->vfork_done))
		return;
	rcu_read_lock();
	note_vfork(rcu_dereference(current->real_parent));
	rcu_read_unlock();
}

void kronos_disks_start(void)
{
	atomic_set(&waiting, 0);
}

unsigned int kronos_disks_begun(void)
{
	return atomic_read_acquire(&begun);
}

bool kronos_disks_waiting(void)
{
	return atomic_read(&waiting);
}

static void note_latest(struct kronos_task *t)
{
	if (test_bit(KRONOS_DISK, &t->flags))
		latest = max(latest, READ_ONCE(t->disk_lead));
}

bool kronos_disks_hold(void)
{
	if (!kronos_disks_waiting() || signal_pending(current))
		return false;
	latest = S64_MIN / 2;
	rcu_read_lock();
	kronos_tasks_for_each(note_latest);
	rcu_read_unlock();
	if (lead() - latest < READ_ONCE(disk_limit_ms) * (s64)NSEC_PER_MSEC)
		return true;
	kronos_stats.disks_forced++;
	return false;
}

u64 kronos_disks_next(void)
{
	return kronos_disks_waiting() ? kronos_now() + STEP_NS : U64_MAX;
}
