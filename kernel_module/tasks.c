// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Which tasks are dilated, and to which host each belongs. The scheduler's
 * tracepoints tell of every fork, switch, wake-up and end: children follow
 * their parents, and the other parts learn who runs.
 */
#include <linux/hash.h>
#include <linux/hashtable.h>
#include <linux/interrupt.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/stop_machine.h>
#include <linux/tracepoint.h>
#include <trace/events/sched.h>

#include "compat.h"
#include "kronos.h"

static DEFINE_HASHTABLE(tasks, 10);
static DEFINE_RAW_SPINLOCK(tasks_lock); /* of changes to it */
static LIST_HEAD(hosts);		/* changed only by the owner's calls */
static u32 host_count;
static atomic_t task_count;
static atomic_t tracer_count; /* that have registered, also those that have ended since */
static bool releasing; /* nobody may join any more */

/* ---- hosts ------------------------------------------------------------------ */

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
	INIT_LIST_HEAD(&lp->queue);
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

u64 kronos_tasks_latest(void)
{
	struct kronos_lp *lp;
	u64 latest = 0;
	u32 i;

	list_for_each_entry(lp, &hosts, entry)
		for (i = 0; i < lp->cores; i++)
			latest = max_t(u64, latest, atomic64_read(&lp->core[i].position));
	return latest;
}

/* ---- tasks ------------------------------------------------------------------ */

/* Under RCU, or with preemption off. */
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

static struct kronos_task *make_task(struct task_struct *task, struct kronos_lp *lp, gfp_t gfp)
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

/* From here on it is a dilated task. Returns false if it is too late for that. */
static bool insert(struct kronos_task *t)
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

/* ---- joining ---------------------------------------------------------------- */

static int join_self(const struct kronos_join *join, struct kronos_lp *lp)
{
	struct kronos_task *t;
	bool known;

	rcu_read_lock();
	known = kronos_task_find(current);
	rcu_read_unlock();
	if (known)
		return -EALREADY;
	t = make_task(current, lp, GFP_KERNEL);
	if (!t)
		return -ENOMEM;
	if (join->flags & KRONOS_JOIN_HOLD)
		set_bit(KRONOS_HELD, &t->flags);
	if (join->flags & KRONOS_JOIN_TRACER)
		atomic_inc(&tracer_count);
	insert(t); /* the caller sees to it that nobody releases now */
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
			atomic_inc(&tracer_count);
		insert(t);
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
		t = make_task(j->leader, j->lp, GFP_KERNEL);
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
	struct kronos_lp *lp, *next;
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
	list_for_each_entry_safe(lp, next, &hosts, entry) {
		list_del(&lp->entry);
		kfree(lp);
	}
	host_count = 0;
	atomic_set(&tracer_count, 0);
	releasing = false;
}

/* ---- what the scheduler tells ----------------------------------------------- */

static void on_fork(void *data, struct task_struct *parent, struct task_struct *child)
{
	struct kronos_task *p, *t;

	if (!atomic_read(&task_count))
		return;
	p = kronos_task_find(parent);
	if (!p)
		return;
	t = make_task(child, p->lp, GFP_ATOMIC);
	if (!t) {
		pr_warn_ratelimited("no memory for a child of %s (%d): it is killed\n",
				    parent->comm, task_pid_nr(parent));
		send_sig(SIGKILL, child, 1);
		return;
	}
	t->core = p->core;
	t->woken = kronos_frozen() ? kronos_slice_now() : 0;
	t->slack = p->slack;
	if (!insert(t)) {
		put_task(&t->rcu);
		return;
	}
	if (kronos_frozen())
		kronos_task_active(t);
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
		kronos_gate_blocked(kc, t);
}

static void on_switch(void *data, bool preempt, struct task_struct *prev, struct task_struct *next,
		      unsigned int prev_state)
{
	struct kronos_cpu *kc = this_cpu_ptr(&kronos_cpus);
	struct kronos_task *t;

	if (!kronos_frozen()) {
		if (prev_state & TASK_DEAD && atomic_read(&task_count)) {
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
	if (!test_bit(KRONOS_ACTIVE, &t->flags) && !test_bit(KRONOS_GATED, &t->flags) && !in_hardirq())
		t->woken = kronos_slice_now();
	kronos_task_active(t);
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
	rcu_barrier(); /* put_task() */
}

int kronos_tasks_init(void)
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

void kronos_tasks_exit(void)
{
	unregister_probes(ARRAY_SIZE(probes));
}
