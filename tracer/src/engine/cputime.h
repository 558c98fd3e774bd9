/* SPDX-License-Identifier: MIT */
/* CPU time, which follows the hosts' clocks. */
#ifndef KRONOS_CPUTIME_H
#define KRONOS_CPUTIME_H

#include <stdint.h>

struct cpu_clock;
struct process;
struct task;

/* The task has run so long in virtual time; what is due on it becomes an event. */
void cputime_charge(struct task *task, int64_t ns);
/* How long the task can run until something is due on its CPU time. */
int64_t cputime_left(const struct task *task);
/* The CPU clock with this id, of any dilated process; NULL if there is none. */
struct cpu_clock *cputime_clock(struct task *task, int64_t clock);
/* Only if it is of the task's own process: to set timers on. */
struct cpu_clock *cputime_own_clock(struct task *task, int64_t clock);
/* The clock's task or process ends: its timers never expire. */
void cputime_forget(struct cpu_clock *cpu);
/* The process has ended, or is about to: its parent gets its time. */
void cputime_inherit(struct process *process);
void cputime_free(struct process *process);

#endif /* KRONOS_CPUTIME_H */
