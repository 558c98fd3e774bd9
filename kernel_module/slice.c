// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Slices: the time on a CPU in which a dilated task's work is counted. Its
 * host's clock moves with the work, and a real timer ends it at the window's
 * end. Where the kernel keeps a task longer, the host's clock runs ahead, and
 * the host waits until the network's has caught up.
 */
#include <linux/hardirq.h>
#include <linux/math64.h>
#include <linux/moduleparam.h>
#include <asm/msr.h>

#include "kronos.h"
#include "trace.h"

static unsigned int free_limit_ms = 1000;
module_param(free_limit_ms, uint, 0644);
MODULE_PARM_DESC(free_limit_ms, "CPU time after which a task whose work is free loses its turn");

static void raise(struct kronos_core *core, u64 to)
{
	s64 position = atomic64_read(&core->position);

	while (position < (s64)to && !atomic64_try_cmpxchg(&core->position, &position, to))
		;
}

/* A virtual machine's counter may step back a little when it changes its real CPU. */
static u64 notrace ticks_since(u64 start, u64 end)
{
	return (s64)(end - start) > 0 ? end - start : 0;
}

/* Ticks of work since kronos_cpu.start. */
static u64 notrace ticks(struct kronos_cpu *kc)
{
	return ticks_since(kc->start, kc->paused ? kc->pause : rdtsc());
}

static bool notrace by_instructions(const struct kronos_lp *lp)
{
	return lp->counter == KRONOS_MODULE_INSTRUCTIONS && lp->cost;
}

/* What a host's work takes, in virtual time; a fraction is left for the next time. */
static u64 cost_of(struct kronos_task *t, u64 units)
{
	u64 fraction = (u64)t->core->fraction + (u32)(units * t->lp->cost);

	t->core->fraction = fraction;
	return mul_u64_u64_shr(units, t->lp->cost, 32) + (fraction >> 32);
}

static void charge(struct kronos_cpu *kc)
{
	struct kronos_task *t = kc->task;
	u64 done = ticks(kc), ns = kronos_tsc_to_ns(done), taken, turn;

	kc->start += done;
	if (by_instructions(t->lp)) {
		u64 before = kc->counted;

		kc->counted = kronos_instructions(kc);
		taken = cost_of(t, kc->counted - before);
		turn = taken;
	} else {
		taken = cost_of(t, ns);
		turn = ns;
	}
	t->turn += turn;
	if (t->lp->cost)
		WRITE_ONCE(t->received, t->received + turn);
	t->work += ns;
	atomic64_add(ns, &t->lp->work);
	atomic64_add(taken, &t->core->position);
}

static u64 free_limit(void)
{
	return READ_ONCE(free_limit_ms) * (u64)NSEC_PER_MSEC;
}

/* CPU time until the window's end. */
static u64 budget(struct kronos_task *t)
{
	s64 left = kronos_gate_end() - atomic64_read(&t->core->position);

	if (!t->lp->cost)
		return free_limit() - min(t->turn, free_limit());
	if (left <= 0)
		return 0;
	if (left >= (s64)mul_u64_u64_shr(KRONOS_QUANTUM_NS, t->lp->cost, 32))
		return KRONOS_QUANTUM_NS;
	return mul_u64_u64_div_u64(left, 1ULL << 32, t->lp->cost);
}

/* The same in instructions. A turn is virtual time then: nothing depends on the machine's. */
static u64 instructions(struct kronos_task *t)
{
	s64 left = kronos_gate_end() - atomic64_read(&t->core->position);

	left = min_t(s64, left, KRONOS_QUANTUM_NS);
	return left > 0 ? mul_u64_u64_div_u64(left, 1ULL << 32, t->lp->cost) + 1 : 1;
}

void kronos_slice_limit(struct kronos_cpu *kc)
{
	/* Without a turn it is in the kernel, on its way to the gate. Paused, it has all the time. */
	if (!test_bit(KRONOS_TURN, &kc->task->flags) || test_bit(KRONOS_CUT, &kc->task->flags) ||
	    kc->paused) {
		kc->cut = U64_MAX;
		return;
	}
	if (by_instructions(kc->task->lp)) {
		kc->cut = U64_MAX;
		charge(kc); /* or each interrupt would let the window begin anew */
		kronos_instructions_arm(kc, instructions(kc->task));
		return;
	}
	kc->cut = kc->start + kronos_ns_to_tsc(budget(kc->task));
	kronos_events_arm_cut(kc);
}

void kronos_slice_start(struct kronos_cpu *kc, struct kronos_task *t)
{
	raise(t->core, max(kronos_now(), t->since));
	kc->task = t;
	kc->paused = 0;
	kc->start = rdtsc();
	kc->counted = kronos_instructions(kc);
	kronos_slice_limit(kc);
}

void kronos_slice_stop(struct kronos_cpu *kc)
{
	charge(kc);
	kc->task = NULL;
}

/*
 * What the kernel does in between for others is not the task's work. Meanwhile
 * there is no cut: it would be in the past, and interrupt that again and again.
 */
void kronos_slice_pause(void)
{
	struct kronos_cpu *kc;
	unsigned long flags;

	local_irq_save(flags);
	kc = this_cpu_ptr(&kronos_cpus);
	if (kc->task && !kc->paused++) {
		kc->pause = rdtsc();
		kc->cut = U64_MAX;
	}
	local_irq_restore(flags);
}

void kronos_slice_resume(void)
{
	struct kronos_cpu *kc;
	unsigned long flags;

	local_irq_save(flags);
	kc = this_cpu_ptr(&kronos_cpus);
	if (kc->task && kc->paused && !--kc->paused) {
		kc->start += ticks_since(kc->pause, rdtsc());
		kronos_slice_limit(kc);
	}
	local_irq_restore(flags);
}

void kronos_slice_none(void)
{
	this_cpu_write(kronos_cpus.task, NULL);
}

static bool turn_is_over(struct kronos_task *t)
{
	s64 overrun = atomic64_read(&t->core->position) - kronos_gate_end();

	if (!t->lp->cost && t->turn >= free_limit()) {
		raise(t->core, kronos_gate_end()); /* as if its work had a cost */
		kronos_stats.forced++;
		return true;
	}
	if (t->lp->pace != KRONOS_MODULE_INSTANT && overrun >= 0) {
		kronos_stats.max_overrun_ns = max(kronos_stats.max_overrun_ns, overrun);
		return true;
	}
	return t->turn >= KRONOS_QUANTUM_NS && kronos_lp_queues(t->lp);
}

void kronos_slice_expired(struct kronos_cpu *kc)
{
	struct kronos_task *t = kc->task;

	charge(kc);
	if (test_bit(KRONOS_TURN, &t->flags) && turn_is_over(t)) {
		kronos_stats.cuts++;
		trace_kronos_cut(t->task->pid, t->lp->id, atomic64_read(&t->core->position));
		set_bit(KRONOS_CUT, &t->flags);
		kronos_gate_arm(t);
	}
	kronos_slice_limit(kc);
}

void kronos_slice_overflown(struct kronos_cpu *kc)
{
	if (kronos_frozen() && kc->task && by_instructions(kc->task->lp))
		kronos_slice_expired(kc);
}

u64 kronos_core_now(struct kronos_core *core)
{
	return max_t(u64, atomic64_read(&core->position), kronos_now());
}

u64 notrace kronos_slice_now(void)
{
	struct kronos_cpu *kc;
	unsigned long flags;
	u64 now;

	local_irq_save(flags);
	kc = this_cpu_ptr(&kronos_cpus);
	now = kronos_now();
	if (kc->task) {
		struct kronos_lp *lp = kc->task->lp;
		u64 units = by_instructions(lp) ? kronos_instructions(kc) - kc->counted :
						  kronos_tsc_to_ns(ticks(kc));

		now = atomic64_read(&kc->task->core->position) + mul_u64_u64_shr(units, lp->cost, 32);
	}
	local_irq_restore(flags);
	return now;
}

/* A task whose work is free has come to the window's end by reading the clock. */
static void notrace end_turn(struct kronos_task *t)
{
	struct kronos_cpu *kc;

	local_irq_disable();
	kc = this_cpu_ptr(&kronos_cpus);
	if (kc->task == t && !test_bit(KRONOS_CUT, &t->flags))
		kronos_slice_expired(kc);
	local_irq_enable();
}

u64 notrace kronos_slice_read(void)
{
	struct kronos_task *t = this_cpu_read(kronos_cpus.task);

	/* Programs ask with preemption on; within the kernel it is mostly off. */
	if (t && t->lp->read_cost && preemptible() && t->task == current &&
	    atomic64_add_return(t->lp->read_cost, &t->core->position) >= (s64)kronos_gate_end())
		end_turn(t);
	return kronos_slice_now();
}
