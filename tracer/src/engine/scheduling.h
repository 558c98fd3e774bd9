/* SPDX-License-Identifier: MIT */
/* The scheduling that programs ask for; how tasks really run is the engine's. */
#ifndef KRONOS_SCHEDULING_H
#define KRONOS_SCHEDULING_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

struct host;
struct task;
struct user_regs_struct;

/* The kernel's struct sched_attr, which only some versions of glibc have. */
struct attr {
	uint32_t size;
	uint32_t sched_policy;
	uint64_t sched_flags;
	int32_t sched_nice;
	uint32_t sched_priority;
	uint64_t sched_runtime, sched_deadline, sched_period;
	uint32_t sched_util_min, sched_util_max;
};
#define ATTR_SIZE_MIN 48 /* without the last two */

/* NULL in a task: what every process begins with. */
struct scheduling {
	struct attr attr; /* but not the nice value */
	cpu_set_t cpus;
};

/* To be changed. */
struct scheduling *scheduling_of(struct task *task);
/* As it stands. */
struct attr sched_attr_of(const struct task *task);

/* scheduling_rules.c */
bool sched_is_fair(uint32_t policy);
bool sched_is_valid(const struct attr *attr);
/* Whether the first one may give this to the other. */
bool sched_is_permitted(const struct task *asker, const struct task *task,
			const struct attr *attr);
bool sched_is_privileged(const struct task *task);
/* Whether the first one's user owns the other. */
bool sched_is_same_owner(const struct task *a, const struct task *b);

/* affinity.c */
void affinity_default(const struct host *host, cpu_set_t *cpus);

/* The child begins with what its parent has asked for. */
void sched_inherit(struct task *child, const struct task *parent);
void sched_forget(struct task *task);
/* The task goes on as what the other one was. */
void sched_take(struct task *task, struct task *other);

void sched_setscheduler_call(struct task *task, struct user_regs_struct *regs);
void sched_setparam_call(struct task *task, struct user_regs_struct *regs);
void sched_setattr_call(struct task *task, struct user_regs_struct *regs);
void sched_getscheduler_call(struct task *task, struct user_regs_struct *regs);
void sched_getparam_call(struct task *task, struct user_regs_struct *regs);
void sched_getattr_call(struct task *task, struct user_regs_struct *regs);
void sched_rr_get_interval_call(struct task *task, struct user_regs_struct *regs);
void sched_setaffinity_call(struct task *task, struct user_regs_struct *regs);
void sched_getaffinity_call(struct task *task, struct user_regs_struct *regs);

#endif /* KRONOS_SCHEDULING_H */
