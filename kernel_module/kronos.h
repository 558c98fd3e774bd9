/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What the parts of the module promise each other. The order below is the
 * order of the layers: a part calls only those above it in this file, and
 * those below through the hooks at the end.
 */
#ifndef KRONOS_H
#define KRONOS_H

#include <linux/clockchips.h>
#include <linux/irq_work.h>
#include <linux/llist.h>
#include <linux/percpu.h>
#include <linux/rbtree.h>
#include <linux/sched.h>
#include <linux/task_work.h>

#include "uapi/kronos_module.h"

#define KRONOS_HOSTS_MAX 4096
#define KRONOS_CORES_MAX 1024
#define KRONOS_QUANTUM_NS ((u64)NSEC_PER_MSEC) /* of a turn, if others of the host wait */

/* ---- what the kernel does not export (symbols.c) ------------------------- */

int kronos_symbols_find(void);
struct clock_event_device *kronos_tick_device(int cpu);
void kronos_update_process_times(int user);
int kronos_task_work_add(struct task_struct *task, struct callback_head *work);
bool kronos_task_work_cancel(struct task_struct *task, struct callback_head *work);

/* ---- the virtual clock (clock.c) ------------------------------------------ */

int kronos_clock_init(void);
void kronos_clock_exit(void);
u64 kronos_tsc_to_ns(u64 ticks);
u64 kronos_ns_to_tsc(u64 ns);
/* Real time since the module was loaded, on the TSC. */
u64 kronos_real_ns(void);
/* Free: the TSC at which the clock shows this. */
u64 kronos_clock_to_tsc(u64 time);
bool kronos_frozen(void);
/* What a program that lives in this time reads from its TSC. */
u64 kronos_clock_ticks(u64 time);
/* CLOCK_MONOTONIC; frozen, where the network's clock stands. */
u64 kronos_now(void);
/* Frozen, with everything quiet: moves the clock on. Never back. */
void kronos_clock_advance(u64 now);
/* Only in stop_machine(). */
void kronos_clock_freeze(void);
/* It goes on from where it stands. */
void kronos_clock_thaw(void);

/* ---- per CPU --------------------------------------------------------------- */

struct kronos_task;

struct kronos_cpu {
	/* The virtual timer and the real one that it stands for (events.c). */
	struct clock_event_device device;
	struct clock_event_device *lapic; /* NULL: this CPU is not ours */
	u64 next;	/* expiry of the virtual timer, KTIME_MAX: none */
	u64 tick;	/* TSC of the next real tick, while frozen */
	u64 armed;	/* TSC for which the real timer is set */

	/* The slice that runs (slice.c). */
	struct kronos_task *task;	/* whose work is counted, or NULL */
	u64 start;			/* TSC since when */
	u64 cut;			/* TSC at which its turn is over */
	unsigned int paused;		/* so many times over */
	u64 pause;			/* TSC since when */
	u64 counted;			/* instructions at `start` */

	/* Wake-ups that cannot be done under the scheduler's locks (gate.c). */
	struct irq_work wake_work;
	struct llist_head wake;
	struct llist_head dead;

	/* Instructions in user mode, if a host's work is counted by them (instructions.c). */
	struct perf_event *counter;
	struct irq_work cut_work;
};

DECLARE_PER_CPU(struct kronos_cpu, kronos_cpus);

/* ---- instructions (instructions.c) ---------------------------------------- */

struct perf_event;

int kronos_instructions_init(void);
bool kronos_instructions_available(void);
/* Counts on all CPUs, which stay as long: both by the owner. */
int kronos_instructions_start(void);
void kronos_instructions_stop(void);
bool kronos_instructions_counting(void);
/* On this CPU so far; interrupts are off here and below. */
u64 kronos_instructions(struct kronos_cpu *kc);
/* Calls kronos_slice_overflown() after so many. */
void kronos_instructions_arm(struct kronos_cpu *kc, u64 count);

/* ---- virtual timer interrupts (events.c) ---------------------------------- */

int kronos_events_init(void);
void kronos_events_exit(void);
/* On each CPU, with interrupts off: sets the real timer for the new mode. */
void kronos_events_switch(void);
/* The earliest virtual expiry of all CPUs. */
u64 kronos_events_next(void);
/* Interrupts each CPU whose virtual timer has expired; returns how many. */
unsigned int kronos_events_fire(void);
/* This CPU's slice may run until kronos_cpu.cut; interrupts are off. */
void kronos_events_arm_cut(struct kronos_cpu *kc);

/* ---- hosts and dilated tasks (hosts.c, tasks.c, join.c) -------------------- */

struct kronos_core {
	atomic64_t position;	    /* its clock, on the axis of kronos_now() */
	u32 fraction;		    /* of a nanosecond, that is charged later */
	struct kronos_task *holder; /* who has the turn */
};

struct kronos_lp {		/* a host: the field's "logical process" */
	struct list_head entry; /* in creation order */
	struct list_head ready; /* among the hosts whose queue is not empty */
	struct rb_root_cached queue; /* for turns: who has received least first */
	u64 floor;		/* what the least served of those who want CPU time has received */
	u32 holders;		/* of turns */
	atomic_t coming;	/* tasks on their way to the gate */
	u32 id, pace, counter, cores;
	u64 cost;		/* virtual ns per unit of work, 32.32; 0: it is free */
	u64 read_cost;		/* virtual ns per reading of a clock, if work is free */
	atomic_t tasks;
	atomic64_t work;	/* ns of CPU time charged */
	u64 slices;		/* turns given */
	char name[KRONOS_MODULE_NAME_MAX];
	struct kronos_core core[];
};

struct kronos_task {
	struct hlist_node node;	    /* by task_struct */
	struct rb_node queued;	    /* in kronos_lp.queue */
	struct callback_head gate;  /* brings it to the gate */
	struct llist_node wake, dead;
	struct rcu_head rcu;
	struct task_struct *task;
	struct kronos_lp *lp;
	struct kronos_core *core;   /* where it ran last */
	unsigned long flags;	    /* bits: KRONOS_* below */
	u64 since;		    /* its own clock, or that of whoever has woken it */
	u64 turn;		    /* ns of its turn so far: CPU time, or virtual with instructions */
	u64 received;		    /* in turns, as of kronos_lp.floor where it waited; 0 if work is free */
	u64 work;		    /* ns of CPU time charged */
	u64 slack;		    /* its timer slack before */
	s64 disk_lead;		    /* ns that real time led when its first disk wait in this call began */
};

enum {
	KRONOS_ARMED,  /* the gate's work is queued */
	KRONOS_ACTIVE, /* runs, or will without anybody's doing */
	KRONOS_COMING, /* counts in kronos_lp.coming */
	KRONOS_GATED,  /* is in the gate: nothing is counted */
	KRONOS_HELD,   /* waits for the freeze */
	KRONOS_TURN,   /* holds its core */
	KRONOS_CUT,    /* its turn is over */
	KRONOS_POSTED, /* is on a CPU's wake list */
	KRONOS_DISK,   /* waits for a disk */
	KRONOS_TIMED,  /* has set a timer for the wait that it begins */
	KRONOS_VFORK,  /* waits for a child */
};

int kronos_lp_add(const struct kronos_host *config);
struct kronos_lp *kronos_lp_find(u32 id);
u32 kronos_lp_count(void);
/* The clock of the host that is furthest ahead. */
u64 kronos_lp_latest(void);
void kronos_lp_free_all(void);
/* Tasks of it wait for turns. */
static inline bool kronos_lp_queues(const struct kronos_lp *lp)
{
	return !RB_EMPTY_ROOT(&lp->queue.rb_root);
}

/* Under RCU, or with preemption off. */
struct kronos_task *kronos_task_find(struct task_struct *task);
struct kronos_task *kronos_task_make(struct task_struct *task, struct kronos_lp *lp, gfp_t gfp);
/* From here on it is a dilated task. Returns false if it is too late for that. */
bool kronos_task_insert(struct kronos_task *t);
/* One that was not inserted. */
void kronos_task_drop(struct kronos_task *t);
int kronos_task_join(const struct kronos_join *join);
unsigned int kronos_tasks_count(u32 lp);
void kronos_tracers_add(void);
unsigned int kronos_tracers_count(void);
void kronos_tasks_kill(u32 lp);
void kronos_tasks_for_each(void (*visit)(struct kronos_task *t));
/* Thawed: lets go of all tasks and frees all hosts. */
void kronos_tasks_release(void);
/* A task is gone: under the scheduler's locks. */
void kronos_task_dead(struct kronos_cpu *kc, struct kronos_task *t);
void kronos_tasks_bury(struct kronos_cpu *kc);

/* ---- waits that nothing interrupts, as for a disk (disks.c) --------------- */

/* Only in stop_machine(): nobody does, as far as is known. */
void kronos_disks_start(void);
/* It begins to wait in this state, before it is inactive; it is woken, and active by now. */
void kronos_disk_blocked(struct kronos_task *t, unsigned int state);
void kronos_disk_woken(struct kronos_task *t);
/* The current task arms this timer, which is due in so many of the kernel's ticks. */
void kronos_disk_timed(const void *timer, u64 ticks);
/* The current task is on its way to user mode. */
void kronos_disk_gate(struct kronos_task *t);
bool kronos_disks_waiting(void);
/* A count of waits. */
unsigned int kronos_disks_begun(void);
/* For the owner: whether the clock must stand. */
bool kronos_disks_hold(void);
/* If not, how far it may move at once. */
u64 kronos_disks_next(void);

/* ---- what must end before the clock moves (quiet.c) ----------------------- */

/* Only in stop_machine(): takes stock of who runs. */
void kronos_quiet_start(void);
void kronos_task_active(struct kronos_task *t);
void kronos_task_inactive(struct kronos_task *t);
void kronos_kthread_active(struct task_struct *task);
void kronos_kthread_inactive(struct task_struct *task);
/* Returns when nothing runs any more, or -EINTR if the caller is killed. */
int kronos_quiet_wait(void);
/* By anybody, in any context but under the scheduler's locks. */
void kronos_quiet_poke(void);
/* In the real tick. */
void kronos_quiet_tick(void);
/* tid of a task that the clock waits for. */
pid_t kronos_quiet_who(void);

/* ---- slices and turns (slice.c, gate.c) ----------------------------------- */

/* Interrupts are off in those that take a kronos_cpu. */
void kronos_slice_start(struct kronos_cpu *kc, struct kronos_task *t);
void kronos_slice_stop(struct kronos_cpu *kc);
/* Only in stop_machine(), on each CPU: no slice runs there. */
void kronos_slice_none(void);
/* The interrupted task's work is not counted in between; may be nested. */
void kronos_slice_pause(void);
void kronos_slice_resume(void);
/* The real timer has found that the slice is over. */
void kronos_slice_expired(struct kronos_cpu *kc);
/* So many instructions have been executed, or others' (instructions.c). */
void kronos_slice_overflown(struct kronos_cpu *kc);
/* Recomputes the end of the slice that runs here. */
void kronos_slice_limit(struct kronos_cpu *kc);
/* The clock of whoever runs here; the network's if nobody's work is counted. */
u64 kronos_slice_now(void);
/* The same, for programs that ask; a host whose work is free pays for it. */
u64 kronos_slice_read(void);
u64 kronos_core_now(struct kronos_core *core);

void kronos_gate_init_task(struct kronos_task *t);
void kronos_gate_arm(struct kronos_task *t);
/* In the middle of the switch away from a task that sleeps, or is dead. */
void kronos_gate_blocked(struct kronos_cpu *kc, struct kronos_task *t, unsigned int state);
/* It is new, or woken from a wait: soon it is at the gate, or waits again. */
void kronos_gate_coming(struct kronos_task *t);
/* It is not on its way any more; returns whether it was. */
bool kronos_gate_arrive(struct kronos_task *t);
void kronos_gate_leave_core(struct kronos_cpu *kc, struct kronos_task *t);
void kronos_gate_wake(struct irq_work *work);
/* Opens the gate until the clocks reach `end`. */
void kronos_gate_open(u64 end);
void kronos_gate_close(void);
/* Something is due earlier: nobody may run past it. */
void kronos_gate_shorten(u64 end);
u64 kronos_gate_end(void);
/* No host may run before this; U64_MAX: nobody waits. */
u64 kronos_gate_earliest(void);
/* Thawed: wakes everybody at the gate. */
void kronos_gate_release(void);

/* ---- what the scheduler tells (probes.c) ----------------------------------- */

int kronos_probes_init(void);
void kronos_probes_exit(void);

/* ---- rounds (rounds.c) ----------------------------------------------------- */

int kronos_rounds_freeze(s64 epoch);
void kronos_rounds_thaw(void);
/* Of the experiment: thaws, and sets CLOCK_REALTIME right. */
void kronos_rounds_end(void);
int kronos_rounds_progress(struct kronos_progress *progress, struct file *until);
void kronos_rounds_interrupt(void);
s64 kronos_rounds_virtual(u64 now);

/* ---- waiting in real time (wait.c) ---------------------------------------- */

int kronos_wait_fd(struct file *file, s64 timeout);
int kronos_wait_until(bool (*condition)(void), s64 timeout);
/* In the real tick. */
void kronos_wait_tick(void);
/* Conditions may have changed, or how it is seen that time is up. */
void kronos_wait_poke(void);

/* ---- virtual rdtsc (tsc.c) ------------------------------------------------- */

int kronos_tsc_init(void);
void kronos_tsc_exit(void);
bool kronos_tsc_virtual(void);
/* The current task's rdtsc traps from now on. */
void kronos_tsc_trap(void);
/* Only in stop_machine(): a task that does not run. */
void kronos_tsc_release(struct kronos_task *t);

/* ---- where rounds' real time goes (debug.c) --------------------------------- */

enum kronos_phase {
	KRONOS_PHASE_WINDOW, /* hosts run, each by itself */
	KRONOS_PHASE_SETTLE, /* timers fire, and what they set going comes to rest */
};

int kronos_debug_init(void);
void kronos_debug_exit(void);
/* Both in the owner's calls only. */
void kronos_debug_phase(enum kronos_phase phase, u64 ns);
void kronos_debug_reset(void);

/* ---- self-tests of a debug build (selftest.c) ------------------------------- */

int kronos_selftest(void);

/* ---- /dev/kronos (device.c) ------------------------------------------------ */

int kronos_device_init(void);
void kronos_device_exit(void);

/* ---- figures --------------------------------------------------------------- */

extern struct kronos_module_stats kronos_stats;

#endif /* KRONOS_H */
