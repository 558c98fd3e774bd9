// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Which tasks are dilated, from the moment when they become so until they end
 * or are let go.
 */
#include <linux/hash.h>
#include <linux/hashtable.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/stop_machine.h>

#include "compat.h"
#include "kronos.h"

static DEFINE_HASHTABLE(tasks, 10);
static DEFINE_RAW_SPINLOCK(tasks_lock); /* of changes to it */
static atomic_t task_count;
static atomic_t tracer_count; /* that have registered, also those that have ended since */
static bool releasing; /* nobody may join any more */

struct kronos_task *kronos_task_find(struct task_struct *task)
{
	struct kronos_task *t;

	hash_for_each_possible_rcu(tasks, t, node, (unsigned long)task, true)
		if (t->task == task)
			return t;
	return NULL;
}

void kronos_tasks_for_each(void (*visit)(struct kronos_task *t))
{
	struct kronos_task *t;
	int bucket;

	hash_for_each_rcu(tasks, bucket, t, node)
		visit(t);
}

struct kronos_task *kronos_task_make(struct task_struct *task, struct kronos_lp *lp, gfp_t gfp)
{
	struct kronos_task *t = kzalloc(sizeof(*t), gfp);

	if (!t)
		return NULL;
	kronos_gate_init_task(t);
	t->task = get_task_struct(task);
	t->lp = lp;
	t->core = &lp->core[0];
	t->slack = task->timer_slack_ns;
	return t;
}

bool kronos_task_insert(struct kronos_task *t)
{
	unsigned long flags;
	bool late;

	raw_spin_lock_irqsave(&tasks_lock, flags);
	late = releasing;
	if (!late) {
		t->task->timer_slack_ns = 0;
		atomic_inc(&t->lp->tasks);
		atomic_inc(&task_count);
		hash_add_rcu(tasks, &t->node, (unsigned long)t->task);
	}
	raw_spin_unlock_irqrestore(&tasks_lock, flags);
	return !late;
}

static void put_task(struct rcu_head *rcu)
{
	struct kronos_task *t = container_of(rcu, struct kronos_task, rcu);

	put_task_struct(t->task);
	kfree(t);
}

static void bury(struct kronos_task *t)
{
	atomic_dec(&t->lp->tasks);
	atomic_dec(&task_count);
	call_rcu(&t->rcu, put_task);
}

void kronos_task_dead(struct kronos_cpu *kc, struct kronos_task *t)
{
	bool ours;

	raw_spin_lock(&tasks_lock);
	ours = hash_hashed(&t->node);
	hash_del_rcu(&t->node);
	raw_spin_unlock(&tasks_lock);
	if (!ours) /* it is being released */
		return;
	kronos_gate_leave_core(kc, t);
	kronos_task_inactive(t);
	llist_add(&t->dead, &kc->dead);
	irq_work_queue(&kc->wake_work);
}

void kronos_tasks_bury(struct kronos_cpu *kc)
{
	struct kronos_task *t, *next;
	struct llist_node *dead = llist_del_all(&kc->dead);

	if (!dead)
		return;
	llist_for_each_entry_safe(t, next, dead, dead)
		bury(t);
	kronos_wait_poke();
}

unsigned int kronos_tasks_count(u32 id)
{
	struct kronos_lp *lp = id ? kronos_lp_find(id) : NULL;

	return atomic_read(lp ? &lp->tasks : &task_count);
}

void kronos_task_drop(struct kronos_task *t)
{
	put_task(&t->rcu);
}

void kronos_tracers_add(void)
{
	atomic_inc(&tracer_count);
}

unsigned int kronos_tracers_count(void)
{
	return atomic_read(&tracer_count);
}

void kronos_tasks_kill(u32 id)
{
	struct kronos_task *t;
	int bucket;

	rcu_read_lock();
	hash_for_each_rcu(tasks, bucket, t, node)
		if (!id || t->lp->id == id)
			send_sig(SIGKILL, t->task, 1);
	rcu_read_unlock();
}

/* ---- release ---------------------------------------------------------------- */

static void let_go(struct kronos_task *t)
{
	clear_bit(KRONOS_HELD, &t->flags);
	kronos_tsc_release(t);
}

static int let_all_go(void *unused)
{
	kronos_tasks_for_each(let_go);
	return 0;
}

/* Whoever is in the gate, or about to leave it, leaves it soon: it is thawed. */
static void release(struct kronos_task *t)
{
	if (test_bit(KRONOS_ARMED, &t->flags) && kronos_task_work_cancel(t->task, &t->gate))
		clear_bit(KRONOS_ARMED, &t->flags);
	while (test_bit(KRONOS_ARMED, &t->flags) || test_bit(KRONOS_GATED, &t->flags)) {
		kronos_gate_release();
		schedule_timeout_uninterruptible(1);
	}
	t->task->timer_slack_ns = t->slack;
	bury(t);
}

static struct kronos_task *take_any(void)
{
	struct kronos_task *t, *found = NULL;
	int bucket;

	raw_spin_lock_irq(&tasks_lock);
	hash_for_each(tasks, bucket, t, node) {
		hash_del_rcu(&t->node);
		found = t;
		break;
	}
	raw_spin_unlock_irq(&tasks_lock);
	return found;
}

void kronos_tasks_release(void)
{
	struct kronos_task *t;

	raw_spin_lock_irq(&tasks_lock);
	releasing = true;
	raw_spin_unlock_irq(&tasks_lock);
	stop_machine(let_all_go, NULL, NULL);
	kronos_gate_release();
	while ((t = take_any()))
		release(t);
	synchronize_rcu();
	while (kronos_tasks_count(0)) /* some are on their way to be buried */
		schedule_timeout_uninterruptible(1);
	kronos_lp_free_all();
	atomic_set(&tracer_count, 0);
	releasing = false;
}
