// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What the scheduler tells by its tracepoints of every fork, switch and
 * wake-up: children follow their parents, and the other parts learn who runs.
 */
#include <linux/interrupt.h>
#include <linux/sched/signal.h>
#include <linux/tracepoint.h>
#include <trace/events/sched.h>

#include "compat.h"
#include "kronos.h"

static void on_fork(void *data, struct task_struct *parent, struct task_struct *child)
{
	struct kronos_task *p, *t;

	if (!kronos_tasks_count(0))
		return;
	p = kronos_task_find(parent);
	if (!p)
		return;
	t = kronos_task_make(child, p->lp, GFP_ATOMIC);
	if (!t) {
		pr_warn_ratelimited("no memory for a child of %s (%d): it is killed\n",
				    parent->comm, task_pid_nr(parent));
		send_sig(SIGKILL, child, 1);
		return;
	}
	t->core = p->core;
	t->since = kronos_frozen() ? kronos_slice_now() : 0;
	t->slack = p->slack;
	if (!kronos_task_insert(t)) {
		kronos_task_drop(t);
		return;
	}
	if (kronos_frozen()) {
		kronos_gate_coming(t);
		kronos_task_active(t);
	}
	kronos_gate_arm(t);
}

static void switch_out(struct kronos_cpu *kc, struct task_struct *prev, bool blocked,
		       unsigned int state)
{
	struct kronos_task *t;

	if (prev->flags & PF_KTHREAD) {
		if (blocked)
			kronos_kthread_inactive(prev);
		return;
	}
	t = kronos_task_find(prev);
	if (!t)
		return;
	if (state & TASK_DEAD)
		kronos_task_dead(kc, t);
	else if (blocked)
		kronos_gate_blocked(kc, t, state);
}

static void on_switch(void *data, bool preempt, struct task_struct *prev, struct task_struct *next,
		      unsigned int prev_state)
{
	struct kronos_cpu *kc = this_cpu_ptr(&kronos_cpus);
	struct kronos_task *t;

	if (!kronos_frozen()) {
		if (prev_state & TASK_DEAD && kronos_tasks_count(0)) {
			t = kronos_task_find(prev);
			if (t)
				kronos_task_dead(kc, t);
		}
		return;
	}
	if (kc->task)
		kronos_slice_stop(kc);
	switch_out(kc, prev, kronos_has_blocked(prev, preempt, prev_state), prev_state);
	if (next->flags & PF_KTHREAD)
		return;
	t = kronos_task_find(next);
	if (t && !test_bit(KRONOS_GATED, &t->flags))
		kronos_slice_start(kc, t);
}

/* Both before it is put on a queue and after: it may sleep in between. */
static void on_wake(void *data, struct task_struct *task)
{
	struct kronos_task *t;

	if (!kronos_frozen() || is_idle_task(task))
		return;
	if (task->flags & PF_KTHREAD) {
		kronos_kthread_active(task);
		return;
	}
	t = kronos_task_find(task);
	if (!t)
		return;
	if (!test_bit(KRONOS_ACTIVE, &t->flags) && !test_bit(KRONOS_GATED, &t->flags)) {
		if (!in_hardirq())
			t->since = max(t->since, kronos_slice_now());
		kronos_gate_coming(t);
	}
	kronos_task_active(t);
	kronos_disk_woken(t);
}

/* Behind the timer kernels tell different things. */
static void on_timer(void *data, const struct timer_list *timer)
{
	kronos_disk_timed(timer, timer->expires - jiffies);
}

static void on_hrtimer(void *data, const struct hrtimer *timer)
{
	kronos_disk_timed(timer, 0);
}

/* What softirqs do for the network is the work of whoever sends; the rest is not. */
static bool is_for_others(unsigned int softirq)
{
	return softirq != NET_TX_SOFTIRQ && softirq != NET_RX_SOFTIRQ && softirq != HRTIMER_SOFTIRQ;
}

static void on_softirq(void *data, unsigned int softirq)
{
	if (kronos_frozen() && is_for_others(softirq))
		kronos_slice_pause();
}

static void on_softirq_end(void *data, unsigned int softirq)
{
	if (kronos_frozen() && is_for_others(softirq))
		kronos_slice_resume();
}

static struct probe {
	const char *name;
	void *function;
	struct tracepoint *point;
} probes[] = {
	{ "sched_process_fork", on_fork },
	{ "sched_switch", on_switch },
	{ "sched_waking", on_wake },
	{ "sched_wakeup", on_wake },
	{ "timer_start", on_timer },
	{ "hrtimer_start", on_hrtimer },
	{ "softirq_entry", on_softirq },
	{ "softirq_exit", on_softirq_end },
};

static void find_probe(struct tracepoint *point, void *unused)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(probes); i++)
		if (!strcmp(point->name, probes[i].name))
			probes[i].point = point;
}

static void unregister_probes(int count)
{
	while (count--)
		tracepoint_probe_unregister(probes[count].point, probes[count].function, NULL);
	tracepoint_synchronize_unregister();
	rcu_barrier(); /* of tasks that have ended */
}

int kronos_probes_init(void)
{
	int i, result;

	check_trace_callback_type_sched_switch(on_switch);
	for_each_kernel_tracepoint(find_probe, NULL);
	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		if (!probes[i].point) {
			pr_err("this kernel has no tracepoint %s\n", probes[i].name);
			result = -ENOENT;
		} else {
			result = tracepoint_probe_register(probes[i].point, probes[i].function, NULL);
		}
		if (result) {
			unregister_probes(i);
			return result;
		}
	}
	return 0;
}

void kronos_probes_exit(void)
{
	unregister_probes(ARRAY_SIZE(probes));
}
