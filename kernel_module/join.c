// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Tasks that become dilated because they, or the owner, ask for it.
 */
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/stop_machine.h>

#include "compat.h"
#include "kronos.h"

static int join_self(const struct kronos_join *join, struct kronos_lp *lp)
{
	struct kronos_task *t;
	bool known;

	rcu_read_lock();
	known = kronos_task_find(current);
	rcu_read_unlock();
	if (known)
		return -EALREADY;
	t = kronos_task_make(current, lp, GFP_KERNEL);
	if (!t)
		return -ENOMEM;
	if (join->flags & KRONOS_JOIN_HOLD)
		set_bit(KRONOS_HELD, &t->flags);
	if (join->flags & KRONOS_JOIN_TRACER)
		kronos_tracers_add();
	kronos_task_insert(t); /* the caller sees to it that nobody releases now */
	preempt_disable();
	if (kronos_frozen())
		kronos_task_active(t);
	kronos_gate_arm(t);
	preempt_enable();
	kronos_wait_poke();
	return 0;
}

struct joining {
	struct kronos_lp *lp;
	struct task_struct *leader;
	struct llist_head made; /* one for each thread, and some to spare */
	u32 flags;
	int result;
};

/* In stop_machine(): whoever joins does not run now. */
static int join_threads(void *data)
{
	struct joining *j = data;
	struct task_struct *task;

	j->result = -ESRCH;
	for_each_thread(j->leader, task) {
		struct llist_node *node;
		struct kronos_task *t;

		if (kronos_task_find(task) || (task->flags & PF_EXITING))
			continue;
		node = llist_del_first(&j->made);
		if (!node) {
			j->result = -EAGAIN;
			return 0;
		}
		t = container_of(node, struct kronos_task, wake);
		t->task = get_task_struct(task);
		t->slack = task->timer_slack_ns;
		if (j->flags & KRONOS_JOIN_HOLD)
			set_bit(KRONOS_HELD, &t->flags);
		if ((j->flags & KRONOS_JOIN_TRACER) && j->result)
			kronos_tracers_add();
		kronos_task_insert(t);
		if (kronos_frozen() && kronos_is_runnable(task))
			kronos_task_active(t);
		kronos_gate_arm(t);
		j->result = 0;
	}
	return 0;
}

static int join_process(struct joining *j)
{
	unsigned int spare = get_nr_threads(j->leader) + 8;
	struct kronos_task *t, *next;

	while (spare--) {
		t = kronos_task_make(j->leader, j->lp, GFP_KERNEL);
		if (!t)
			break;
		put_task_struct(t->task);
		llist_add(&t->wake, &j->made);
	}
	stop_machine(join_threads, j, NULL);
	llist_for_each_entry_safe(t, next, llist_del_all(&j->made), wake)
		kfree(t);
	return j->result;
}

int kronos_task_join(const struct kronos_join *join)
{
	struct joining j = { .flags = join->flags, .lp = kronos_lp_find(join->host) };
	bool known;

	if (!j.lp)
		return -ENOENT;
	if (!join->tid)
		return join_self(join, j.lp);
	rcu_read_lock();
	j.leader = pid_task(find_vpid(join->tid), PIDTYPE_PID);
	if (j.leader)
		get_task_struct(j.leader);
	known = j.leader && kronos_task_find(j.leader);
	rcu_read_unlock();
	if (!j.leader)
		return -ESRCH;
	do {
		j.result = known ? -EALREADY : join_process(&j);
	} while (j.result == -EAGAIN);
	put_task_struct(j.leader);
	kronos_wait_poke();
	return j.result;
}
