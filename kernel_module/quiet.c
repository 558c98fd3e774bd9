// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Quiescence: the clock moves on only when nothing runs any more that the past
 * has set going. That is every dilated task that is not held at the gate, every
 * kernel thread, and all softirqs and interrupts. Other programs do not count.
 */
#include <linux/cpumask.h>
#include <linux/preempt.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>

#include "compat.h"
#include "kronos.h"

#define KTHREADS_MAX 512

static DEFINE_RAW_SPINLOCK(kthreads_lock);
static struct task_struct *kthreads[KTHREADS_MAX]; /* those that run or want to */
static unsigned int kthread_count;
static atomic_t active; /* kernel threads and dilated tasks */

static struct task_struct *waiter; /* in kronos_quiet_wait() */
static struct kronos_task *last_active;

static void activate(void)
{
	atomic_inc(&active);
}

/* Perhaps under the scheduler's locks: the waiter is woken a little later. */
static void deactivate(void)
{
	if (atomic_dec_and_test(&active) && READ_ONCE(waiter))
		irq_work_queue(this_cpu_ptr(&kronos_cpus.wake_work));
}

void kronos_task_active(struct kronos_task *t)
{
	if (!test_and_set_bit(KRONOS_ACTIVE, &t->flags))
		activate();
}

void kronos_task_inactive(struct kronos_task *t)
{
	if (test_and_clear_bit(KRONOS_ACTIVE, &t->flags))
		deactivate();
}

static int find_kthread(struct task_struct *task)
{
	unsigned int i;

	for (i = 0; i < kthread_count; i++)
		if (kthreads[i] == task)
			return i;
	return -1;
}

void kronos_kthread_active(struct task_struct *task)
{
	raw_spin_lock(&kthreads_lock);
	if (find_kthread(task) < 0 && kthread_count < KTHREADS_MAX) {
		kthreads[kthread_count++] = task;
		activate();
	}
	raw_spin_unlock(&kthreads_lock);
}

void kronos_kthread_inactive(struct task_struct *task)
{
	int i;

	raw_spin_lock(&kthreads_lock);
	i = find_kthread(task);
	if (i >= 0) {
		kthreads[i] = kthreads[--kthread_count];
		deactivate();
	}
	raw_spin_unlock(&kthreads_lock);
}

static void count_task(struct kronos_task *t)
{
	clear_bit(KRONOS_ACTIVE, &t->flags);
	clear_bit(KRONOS_DISK, &t->flags);
	if (kronos_is_runnable(t->task))
		kronos_task_active(t);
	else if (!test_bit(KRONOS_GATED, &t->flags))
		kronos_disk_blocked(t, READ_ONCE(t->task->__state));
}

void kronos_quiet_start(void)
{
	struct task_struct *leader, *task;

	atomic_set(&active, 0);
	kronos_disks_start();
	kthread_count = 0;
	for_each_process_thread(leader, task)
		if ((task->flags & PF_KTHREAD) && task != current && kronos_is_runnable(task))
			kronos_kthread_active(task);
	kronos_tasks_for_each(count_task);
}

/* ---- waiting --------------------------------------------------------------- */

/*
 * An interrupt sets softirqs pending before it ends, and they begin to be
 * served before they are cleared: in this order neither can slip through.
 */
static bool cpu_is_quiet(int cpu)
{
	const unsigned int busy = HARDIRQ_MASK | SOFTIRQ_OFFSET;

	return !(kronos_preempt_count_of(cpu) & busy) && !kronos_softirqs_of(cpu) &&
	       !(kronos_preempt_count_of(cpu) & busy);
}

static bool cpus_are_quiet(void)
{
	int cpu;

	for_each_online_cpu(cpu)
		if (!cpu_is_quiet(cpu))
			return false;
	return true;
}

/* What is quiet in between may have been set going by what was not yet. */
static bool is_quiet(void)
{
	return !atomic_read_acquire(&active) && cpus_are_quiet() && !atomic_read_acquire(&active);
}

/* Whoever is woken from a wait for a disk is active first; and a new wait shows. */
static bool may_go_on(void)
{
	unsigned int begun = kronos_disks_begun();

	return is_quiet() && !kronos_disks_hold() && !atomic_read_acquire(&active) &&
	       begun == kronos_disks_begun();
}

static void wait_for_disks(void)
{
	u64 start = kronos_real_ns();

	schedule();
	kronos_stats.disks_ns += kronos_real_ns() - start;
}

int kronos_quiet_wait(void)
{
	int result = 0;

	WRITE_ONCE(waiter, current);
	for (;;) {
		set_current_state(TASK_KILLABLE);
		if (fatal_signal_pending(current)) {
			result = -EINTR;
			break;
		}
		if (may_go_on())
			break;
		if (atomic_read(&active)) {
			schedule();
		} else if (kronos_disks_waiting()) {
			wait_for_disks();
		} else {
			__set_current_state(TASK_RUNNING);
			cond_resched();
			cpu_relax();
		}
	}
	__set_current_state(TASK_RUNNING);
	WRITE_ONCE(waiter, NULL);
	return result;
}

void kronos_quiet_poke(void)
{
	struct task_struct *task;

	rcu_read_lock();
	task = READ_ONCE(waiter);
	if (task && !atomic_read(&active))
		wake_up_process(task);
	rcu_read_unlock();
}

/* Disks are not waited for without a limit. */
void kronos_quiet_tick(void)
{
	if (kronos_disks_waiting())
		kronos_quiet_poke();
}

/* ---- who holds it up -------------------------------------------------------- */

static void note_active(struct kronos_task *t)
{
	if (test_bit(KRONOS_ACTIVE, &t->flags) || test_bit(KRONOS_DISK, &t->flags))
		last_active = t;
}

pid_t kronos_quiet_who(void)
{
	pid_t tid = 0;

	rcu_read_lock();
	last_active = NULL;
	kronos_tasks_for_each(note_active);
	if (last_active)
		tid = task_pid_nr(last_active->task);
	rcu_read_unlock();
	if (tid)
		return tid;
	raw_spin_lock_irq(&kthreads_lock);
	if (kthread_count)
		tid = task_pid_nr(kthreads[0]);
	raw_spin_unlock_irq(&kthreads_lock);
	return tid;
}
