// SPDX-License-Identifier: MIT
/*
 * All dilated tasks are SCHED_FIFO on the engine's CPU. What programs ask for
 * is checked as the kernel would check it, remembered and shown to them, and
 * changes nothing. Only nice values are the kernel's own.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/sched.h>

#include "calls.h"
#include "clocks.h"
#include "cputime.h"
#include "engine.h"
#include "host.h"
#include "inject.h"
#include "pids.h"
#include "scheduling.h"
#include "task.h"
#include "timers.h"

#define POLICY_KEEP (-1)
#define RR_INTERVAL_FILE "/proc/sys/kernel/sched_rr_timeslice_ms"
#define FAIR_INTERVAL (3 * NSEC_PER_MSEC) /* about what kernels say */

/* ---- what a task has ---------------------------------------------------- */

struct scheduling *scheduling_of(struct task *task)
{
	if (!task->scheduling) {
		task->scheduling = xcalloc(sizeof(*task->scheduling));
		affinity_default(task->host, &task->scheduling->cpus);
	}
	return task->scheduling;
}

struct attr sched_attr_of(const struct task *task)
{
	struct attr attr = { 0 };

	return task->scheduling ? task->scheduling->attr : attr;
}

void sched_inherit(struct task *child, const struct task *parent)
{
	struct attr *attr;

	if (!parent->scheduling)
		return;
	child->scheduling = xcalloc(sizeof(*child->scheduling));
	*child->scheduling = *parent->scheduling;
	attr = &child->scheduling->attr;
	if (!(attr->sched_flags & SCHED_FLAG_RESET_ON_FORK))
		return;
	attr->sched_flags &= ~(uint64_t)SCHED_FLAG_RESET_ON_FORK;
	if (!sched_is_fair(attr->sched_policy))
		*attr = (struct attr){ 0 };
	if (getpriority(PRIO_PROCESS, (id_t)child->tid) < 0)
		setpriority(PRIO_PROCESS, (id_t)child->tid, 0);
}

void sched_forget(struct task *task)
{
	free(task->scheduling);
	task->scheduling = NULL;
}

void sched_take(struct task *task, struct task *other)
{
	sched_forget(task);
	task->scheduling = other->scheduling;
	other->scheduling = NULL;
}

/* ---- policies ----------------------------------------------------------- */

static int64_t set_attr(const struct task *asker, struct task *task,
			const struct attr *attr)
{
	if (!sched_is_valid(attr))
		return -EINVAL;
	if (!sched_is_permitted(asker, task, attr))
		return -EPERM;
	if (sched_is_fair(attr->sched_policy))
		setpriority(PRIO_PROCESS, (id_t)task->tid, attr->sched_nice);
	scheduling_of(task)->attr = *attr;
	return 0;
}

/* sched_setscheduler() and sched_setparam(). */
static int64_t set_param(struct task *asker, pid_t pid, int policy, uint64_t address)
{
	struct sched_param param;
	struct attr attr = { 0 };
	struct task *task;

	if (!address || pid < 0)
		return -EINVAL;
	if (task_read(asker, address, &param, sizeof(param)))
		return -EFAULT;
	task = pids_task(asker, pid);
	if (!task)
		return pids_refusal(asker, pid);
	if (policy == POLICY_KEEP) {
		attr = sched_attr_of(task);
	} else {
		if (policy & SCHED_RESET_ON_FORK)
			attr.sched_flags = SCHED_FLAG_RESET_ON_FORK;
		attr.sched_policy = (uint32_t)(policy & ~SCHED_RESET_ON_FORK);
		if (attr.sched_policy == SCHED_DEADLINE)
			return -EINVAL;
	}
	attr.sched_priority = (uint32_t)param.sched_priority;
	attr.sched_nice = getpriority(PRIO_PROCESS, (id_t)task->tid);
	return set_attr(asker, task, &attr);
}

void sched_setscheduler_call(struct task *task, struct user_regs_struct *regs)
{
	int policy = (int)regs->rsi;

	call_skip(task, regs,
		  policy < 0 ? -EINVAL :
			       set_param(task, (pid_t)regs->rdi, policy, regs->rdx));
}

void sched_setparam_call(struct task *task, struct user_regs_struct *regs)
{
	call_skip(task, regs,
		  set_param(task, (pid_t)regs->rdi, POLICY_KEEP, regs->rsi));
}

/* A program may have a longer structure, with nothing in what is not known here. */
static int64_t read_attr(struct task *task, uint64_t address, struct attr *attr)
{
	static const uint32_t known = sizeof(*attr);
	uint8_t rest[4096];
	uint32_t size;

	if (task_read(task, address, &size, sizeof(size)))
		return -EFAULT;
	if (!size)
		size = ATTR_SIZE_MIN;
	if (size < ATTR_SIZE_MIN || size > sizeof(rest)) {
		task_write(task, address, &known, sizeof(known));
		return -E2BIG;
	}
	memset(attr, 0, sizeof(*attr));
	if (task_read(task, address, attr, size < known ? size : known) ||
	    (size > known && task_read(task, address + known, rest, size - known)))
		return -EFAULT;
	for (uint32_t i = 0; i + known < size; i++)
		if (rest[i]) {
			task_write(task, address, &known, sizeof(known));
			return -E2BIG;
		}
	if (attr->sched_nice < -20)
		attr->sched_nice = -20;
	if (attr->sched_nice > 19)
		attr->sched_nice = 19;
	return 0;
}

static int64_t setattr(struct task *asker, struct user_regs_struct *regs)
{
	struct attr attr, now;
	struct task *task;
	int64_t result;

	if (!regs->rsi || (pid_t)regs->rdi < 0 || (uint32_t)regs->rdx)
		return -EINVAL;
	result = read_attr(asker, regs->rsi, &attr);
	if (result)
		return result;
	if ((int)attr.sched_policy < 0)
		return -EINVAL;
	task = pids_task(asker, (pid_t)regs->rdi);
	if (!task)
		return pids_refusal(asker, (pid_t)regs->rdi);
	now = sched_attr_of(task);
	if (attr.sched_flags & SCHED_FLAG_KEEP_POLICY)
		attr.sched_policy = now.sched_policy;
	if (attr.sched_flags & SCHED_FLAG_KEEP_PARAMS) {
		attr.sched_priority = now.sched_priority;
		attr.sched_nice = getpriority(PRIO_PROCESS, (id_t)task->tid);
	}
	result = set_attr(asker, task, &attr);
	if (!result)
		task->scheduling->attr.sched_flags &= SCHED_FLAG_RESET_ON_FORK;
	return result;
}

void sched_setattr_call(struct task *task, struct user_regs_struct *regs)
{
	call_skip(task, regs, setattr(task, regs));
}

/* NULL: the call has returned already. */
static struct task *asked_for(struct task *asker, struct user_regs_struct *regs)
{
	struct task *task = NULL;

	if ((pid_t)regs->rdi < 0) {
		call_skip(asker, regs, -EINVAL);
	} else {
		task = pids_task(asker, (pid_t)regs->rdi);
		/* Of a process that is not dilated, the kernel knows. */
		if (!task && asker->process->level)
			call_skip(asker, regs, -ESRCH);
	}
	return task;
}

void sched_getscheduler_call(struct task *asker, struct user_regs_struct *regs)
{
	const struct task *task = asked_for(asker, regs);
	struct attr attr;

	if (!task)
		return;
	attr = sched_attr_of(task);
	call_skip(asker, regs,
		  attr.sched_policy | (attr.sched_flags & SCHED_FLAG_RESET_ON_FORK ?
					       SCHED_RESET_ON_FORK :
					       0));
}

void sched_getparam_call(struct task *asker, struct user_regs_struct *regs)
{
	const struct task *task;
	struct sched_param param = { 0 };

	if (!regs->rsi) {
		call_skip(asker, regs, -EINVAL);
		return;
	}
	task = asked_for(asker, regs);
	if (!task)
		return;
	param.sched_priority = (int)sched_attr_of(task).sched_priority;
	call_skip(asker, regs, task_write(asker, regs->rsi, &param, sizeof(param)));
}

void sched_getattr_call(struct task *asker, struct user_regs_struct *regs)
{
	uint32_t size = (uint32_t)regs->rdx;
	const struct task *task;
	struct attr attr;

	if (!regs->rsi || size > 4096 || size < ATTR_SIZE_MIN ||
	    (uint32_t)regs->r10) {
		call_skip(asker, regs, -EINVAL);
		return;
	}
	task = asked_for(asker, regs);
	if (!task)
		return;
	attr = sched_attr_of(task);
	attr.sched_nice = 0;
	if (sched_is_fair(attr.sched_policy))
		attr.sched_nice = getpriority(PRIO_PROCESS, (id_t)task->tid);
	attr.size = size < sizeof(attr) ? size : sizeof(attr);
	call_skip(asker, regs, task_write(asker, regs->rsi, &attr, attr.size));
}

void sched_rr_get_interval_call(struct task *asker, struct user_regs_struct *regs)
{
	const struct task *task = asked_for(asker, regs);
	struct timespec interval = { 0 };
	FILE *file = NULL;
	long ms = 100;

	if (!task)
		return;
	switch (sched_attr_of(task).sched_policy) {
	case SCHED_RR:
		file = fopen(RR_INTERVAL_FILE, "re");
		if (file && fscanf(file, "%ld", &ms) != 1)
			ms = 100;
		interval = ns_to_timespec(ms * NSEC_PER_MSEC);
		break;
	case SCHED_NORMAL:
	case SCHED_BATCH:
		interval = ns_to_timespec(FAIR_INTERVAL);
		break;
	}
	if (file)
		fclose(file);
	call_skip(asker, regs,
		  task_write(asker, regs->rsi, &interval, sizeof(interval)));
}
