// SPDX-License-Identifier: MIT
/*
 * Clocks that programs read by system calls; the replaced vDSO (vclock/) answers
 * most reads by itself. Setting a clock is refused, as for an unprivileged user.
 */
#include <errno.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "timed.h"

bool clock_offset(int64_t clock, int64_t *offset)
{
	switch ((int32_t)clock) {
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
		*offset = 0;
		return true;
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
		*offset = engine.realtime;
		return true;
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		*offset = engine.boottime;
		return true;
	case CLOCK_TAI:
		*offset = engine.tai;
		return true;
	}
	return false;
}

static int64_t read_clock(struct task *task)
{
	struct host *host = task->host;

	if (!engine.live && !host->mult && !host_is_instant(host))
		host->clock = host_now(host) + FREE_READ_COST;
	return host_now(host);
}

bool enter_clock_gettime(struct task *task, struct user_regs_struct *regs)
{
	struct timespec ts;
	int64_t offset;

	if (!clock_offset((int64_t)regs->rdi, &offset))
		return true;
	ts = ns_to_timespec(read_clock(task) + offset);
	call_skip(task, regs, task_write(task, regs->rsi, &ts, sizeof(ts)));
	return true;
}

bool enter_gettimeofday(struct task *task, struct user_regs_struct *regs)
{
	struct timespec ts = ns_to_timespec(read_clock(task) + engine.realtime);
	struct timeval tv = { ts.tv_sec, ts.tv_nsec / 1000 };
	static const struct timezone none;
	int result = 0;

	if (regs->rdi)
		result = task_write(task, regs->rdi, &tv, sizeof(tv));
	if (!result && regs->rsi)
		result = task_write(task, regs->rsi, &none, sizeof(none));
	call_skip(task, regs, result);
	return true;
}

bool enter_time(struct task *task, struct user_regs_struct *regs)
{
	time_t now = ns_to_timespec(read_clock(task) + engine.realtime).tv_sec;

	if (regs->rdi && task_write(task, regs->rdi, &now, sizeof(now)))
		call_skip(task, regs, -EFAULT);
	else
		call_skip(task, regs, now);
	return true;
}

bool enter_refused(struct task *task, struct user_regs_struct *regs)
{
	call_skip(task, regs, -EPERM);
	return true;
}

bool enter_sched_yield(struct task *task, struct user_regs_struct *regs)
{
	struct host *host = task->host;

	call_skip(task, regs, 0);
	if (!engine.live && !host->mult && !host_is_instant(host))
		host->clock = host_now(host) + FREE_YIELD_COST;
	return false;
}
