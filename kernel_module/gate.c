// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The gate: where a dilated task waits, on its return to user mode, for its
 * turn. What it did in the kernel is done and is not disturbed. A task comes to
 * the gate after each wait in the kernel, and when its turn is cut. A host has
 * as many turns at once as it has cores; who has received least CPU time is the
 * next, of equals who came first, as long as the core's clock has not reached
 * the end of the window. A core is kept free for a task that is on its way from
 * a wait: it may be the next.
 */
#include <linux/sched/signal.h>
#include <linux/spinlock.h>

#include "kronos.h"
#include "trace.h"

static DEFINE_RAW_SPINLOCK(gate_lock);
static LIST_HEAD(ready); /* hosts whose queue is not empty */
static u64 gate_end;	 /* no core may run past it */
static bool gate_open;	 /* in a progress */

/* ---- turns; all under gate_lock ------------------------------------------- */

#define task_of(node) rb_entry_safe(node, struct kronos_task, queued)

/* To be called before anybody comes or goes. */
static void raise_floor(struct kronos_lp *lp)
{
	struct kronos_task *first = task_of(rb_first_cached(&lp->queue));
	u64 least = first ? first->received : U64_MAX;
	unsigned int i;

	for (i = 0; i < lp->cores; i++)
		if (lp->core[i].holder)
			least = min(least, READ_ONCE(lp->core[i].holder->received));
	if (least != U64_MAX)
		lp->floor = max(lp->floor, least);
}

static bool has_received_less(struct rb_node *a, const struct rb_node *b)
{
	return task_of(a)->received < task_of(b)->received;
}

/*
 * What it did not want while it waited it does not get later, but for one turn.
 * One that is new has not waited: many short ones must not keep others from
 * running.
 */
static void catch_up(struct kronos_task *t)
{
	u64 ahead;

	raise_floor(t->lp);
	ahead = t->received ? min(t->lp->floor, KRONOS_QUANTUM_NS) : 0;
	t->received = max(t->received, t->lp->floor - ahead);
}

static void enqueue(struct kronos_task *t)
{
	if (!kronos_lp_queues(t->lp))
		list_add_tail(&t->lp->ready, &ready);
	rb_add_cached(&t->queued, &t->lp->queue, has_received_less);
}

static void dequeue(struct kronos_task *t)
{
	if (RB_EMPTY_NODE(&t->queued))
		return;
	rb_erase_cached(&t->queued, &t->lp->queue);
	RB_CLEAR_NODE(&t->queued);
	if (!kronos_lp_queues(t->lp))
		list_del_init(&t->lp->ready);
}

/* Elsewhere, too, it goes on from where it stands now. */
static void give_up_turn(struct kronos_task *t)
{
	clear_bit(KRONOS_CUT, &t->flags);
	if (!test_and_clear_bit(KRONOS_TURN, &t->flags))
		return;
	raise_floor(t->lp);
	t->lp->holders--;
	t->core->holder = NULL;
	t->since = max_t(u64, t->since, atomic64_read(&t->core->position));
}

static bool before_end(const struct kronos_lp *lp, u64 time)
{
	return lp->pace == KRONOS_MODULE_INSTANT || time < gate_end;
}

static bool is_free(struct kronos_lp *lp, struct kronos_core *core)
{
	return !core->holder && gate_open && before_end(lp, kronos_core_now(core));
}

/* Who is on the way may be the next. */
static bool all_are_awaited(const struct kronos_lp *lp)
{
	return (int)(lp->cores - lp->holders) <= atomic_read(&lp->coming);
}

/* A core for the task: the one that it had, if possible. */
static struct kronos_core *free_core(struct kronos_task *t)
{
	unsigned int i;

	if (all_are_awaited(t->lp))
		return NULL;
	if (is_free(t->lp, t->core))
		return t->core;
	for (i = 0; i < t->lp->cores; i++)
		if (is_free(t->lp, &t->lp->core[i]))
			return &t->lp->core[i];
	return NULL;
}

static void give_turn(struct kronos_task *t, struct kronos_core *core)
{
	dequeue(t);
	t->core = core;
	t->turn = 0;
	core->holder = t;
	t->lp->holders++;
	set_bit(KRONOS_TURN, &t->flags);
	kronos_task_active(t);
	kronos_stats.slices++;
	t->lp->slices++;
	trace_kronos_turn(t->task->pid, t->lp->id, kronos_core_now(core));
}

/* Gives turns to those who wait; all but the caller must then be woken. */
static void give_turns(struct kronos_lp *lp, struct kronos_task *caller, struct llist_head *wake)
{
	struct kronos_task *t, *next;

	for (t = task_of(rb_first_cached(&lp->queue)); t; t = next) {
		struct kronos_core *core = free_core(t);

		next = task_of(rb_next(&t->queued));
		if (!core)
			return;
		if (!before_end(lp, t->since))
			continue;
		give_turn(t, core);
		if (t != caller && !test_and_set_bit(KRONOS_POSTED, &t->flags))
			llist_add(&t->wake, wake);
	}
}

/* ---- wake-ups, never under gate_lock -------------------------------------- */

static void wake_all(struct llist_head *wake)
{
	struct kronos_task *t, *next;

	llist_for_each_entry_safe(t, next, llist_reverse_order(llist_del_all(wake)), wake) {
		clear_bit(KRONOS_POSTED, &t->flags);
		wake_up_process(t->task);
	}
}

/* What could not be done in the middle of a task switch. */
void kronos_gate_wake(struct irq_work *work)
{
	struct kronos_cpu *kc = container_of(work, struct kronos_cpu, wake_work);

	wake_all(&kc->wake);
	kronos_tasks_bury(kc);
	kronos_quiet_poke();
}

/* ---- on the way ------------------------------------------------------------- */

void kronos_gate_coming(struct kronos_task *t)
{
	if (!test_and_set_bit(KRONOS_COMING, &t->flags))
		atomic_inc(&t->lp->coming);
}

bool kronos_gate_arrive(struct kronos_task *t)
{
	if (!test_and_clear_bit(KRONOS_COMING, &t->flags))
		return false;
	atomic_dec(&t->lp->coming);
	return true;
}

/* ---- at the gate ---------------------------------------------------------- */

static void wait_for_turn(struct kronos_task *t)
{
	bool cut = test_bit(KRONOS_CUT, &t->flags);

	if (cut)
		give_up_turn(t);
	if (test_bit(KRONOS_TURN, &t->flags) || !RB_EMPTY_NODE(&t->queued))
		return;
	if (!cut)
		catch_up(t);
	enqueue(t);
}

static bool may_pass(struct kronos_task *t, struct llist_head *wake)
{
	bool pass = fatal_signal_pending(current);

	if (!pass && !kronos_frozen())
		pass = !test_bit(KRONOS_HELD, &t->flags);
	if (pass)
		dequeue(t);
	else
		wait_for_turn(t);
	kronos_gate_arrive(t);
	give_turns(t->lp, t, wake);
	return pass || test_bit(KRONOS_TURN, &t->flags);
}

static bool try_to_pass(struct kronos_task *t)
{
	LLIST_HEAD(wake);
	bool pass;

	rcu_read_lock(); /* for whom we wake: they may be killed */
	raw_spin_lock_irq(&gate_lock);
	pass = may_pass(t, &wake);
	if (!pass)
		set_current_state(TASK_KILLABLE);
	raw_spin_unlock_irq(&gate_lock);
	wake_all(&wake);
	rcu_read_unlock();
	return pass;
}

static void enter(struct kronos_task *t)
{
	struct kronos_cpu *kc;

	local_irq_disable();
	kc = this_cpu_ptr(&kronos_cpus);
	if (kc->task == t)
		kronos_slice_stop(kc);
	set_bit(KRONOS_GATED, &t->flags);
	local_irq_enable();
}

static void leave(struct kronos_task *t)
{
	local_irq_disable();
	clear_bit(KRONOS_GATED, &t->flags);
	if (kronos_frozen())
		kronos_slice_start(this_cpu_ptr(&kronos_cpus), t);
	local_irq_enable();
}

static void gate(struct callback_head *work)
{
	struct kronos_task *t = container_of(work, struct kronos_task, gate);

	clear_bit(KRONOS_ARMED, &t->flags);
	if (current->flags & PF_EXITING)
		return;
	kronos_tsc_trap();
	kronos_disk_gate(t);
	enter(t);
	while (!try_to_pass(t))
		schedule();
	leave(t);
}

void kronos_gate_init_task(struct kronos_task *t)
{
	RB_CLEAR_NODE(&t->queued);
	init_task_work(&t->gate, gate);
}

void kronos_gate_arm(struct kronos_task *t)
{
	if (!test_and_set_bit(KRONOS_ARMED, &t->flags) && kronos_task_work_add(t->task, &t->gate))
		clear_bit(KRONOS_ARMED, &t->flags); /* it exits */
}

/* In the middle of the switch away from a task that sleeps now. */
void kronos_gate_blocked(struct kronos_cpu *kc, struct kronos_task *t, unsigned int state)
{
	if (test_bit(KRONOS_GATED, &t->flags)) {
		/* With a turn its wake-up is on its way. */
		if (!test_bit(KRONOS_TURN, &t->flags))
			kronos_task_inactive(t);
		return;
	}
	kronos_gate_arm(t);
	kronos_gate_leave_core(kc, t);
	kronos_disk_blocked(t, state);
	kronos_task_inactive(t);
}

void kronos_gate_leave_core(struct kronos_cpu *kc, struct kronos_task *t)
{
	bool came = kronos_gate_arrive(t);

	if (!came && !test_bit(KRONOS_TURN, &t->flags))
		return;
	raw_spin_lock(&gate_lock);
	give_up_turn(t);
	give_turns(t->lp, NULL, &kc->wake);
	raw_spin_unlock(&gate_lock);
	if (!llist_empty(&kc->wake))
		irq_work_queue(&kc->wake_work);
}

/* ---- for the rounds ------------------------------------------------------- */

void kronos_gate_open(u64 end)
{
	struct kronos_lp *lp, *next;
	LLIST_HEAD(wake);

	rcu_read_lock();
	raw_spin_lock_irq(&gate_lock);
	gate_open = true;
	WRITE_ONCE(gate_end, end);
	list_for_each_entry_safe(lp, next, &ready, ready)
		give_turns(lp, NULL, &wake);
	raw_spin_unlock_irq(&gate_lock);
	wake_all(&wake);
	rcu_read_unlock();
}

void kronos_gate_close(void)
{
	raw_spin_lock_irq(&gate_lock);
	gate_open = false;
	WRITE_ONCE(gate_end, 0);
	raw_spin_unlock_irq(&gate_lock);
}

/* On the CPU that has set a timer: its own slice ends there as well. */
void kronos_gate_shorten(u64 end)
{
	struct kronos_cpu *kc = this_cpu_ptr(&kronos_cpus);
	unsigned long flags;

	if (end >= READ_ONCE(gate_end))
		return;
	raw_spin_lock_irqsave(&gate_lock, flags);
	if (end < gate_end)
		WRITE_ONCE(gate_end, end);
	if (kc->task)
		kronos_slice_limit(kc);
	raw_spin_unlock_irqrestore(&gate_lock, flags);
}

u64 kronos_gate_end(void)
{
	return READ_ONCE(gate_end);
}

u64 kronos_gate_earliest(void)
{
	struct kronos_lp *lp;
	u64 earliest = U64_MAX;
	unsigned int i;

	raw_spin_lock_irq(&gate_lock);
	list_for_each_entry(lp, &ready, ready)
		for (i = 0; i < lp->cores; i++)
			earliest = min(earliest, kronos_core_now(&lp->core[i]));
	raw_spin_unlock_irq(&gate_lock);
	return earliest;
}

void kronos_gate_release(void)
{
	struct kronos_lp *lp;
	struct rb_node *node;
	LLIST_HEAD(wake);

	rcu_read_lock();
	raw_spin_lock_irq(&gate_lock);
	list_for_each_entry(lp, &ready, ready)
		for (node = rb_first_cached(&lp->queue); node; node = rb_next(node))
			if (!test_and_set_bit(KRONOS_POSTED, &task_of(node)->flags))
				llist_add(&task_of(node)->wake, &wake);
	raw_spin_unlock_irq(&gate_lock);
	wake_all(&wake);
	rcu_read_unlock();
}
