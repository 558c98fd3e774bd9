// SPDX-License-Identifier: MIT
/*
 * Clocks that programs read by system calls; the replaced vDSO (vclock/) answers
 * most reads by itself. Setting a clock is refused (in filter.c, if it can be), as
 * for an unprivileged user.
 */
#include <errno.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/user.h>
#include <time.h>

#include "clocks.h"
#include "cputime.h"
#include "engine.h"
#include "host.h"
#include "inject.h"
#include "task.h"
#include "timed.h"

int64_t real_clock(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

bool clock_offset(const struct process *process, int64_t clock, int64_t *offset)
{
	switch ((int32_t)clock) {
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
		*offset = process->timens.monotonic;
		return true;
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
		*offset = engine.realtime;
		return true;
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		*offset = engine.boottime + process->timens.boottime;
		return true;
	case CLOCK_TAI:
		*offset = engine.tai;
		return true;
	}
	return false;
}

bool clock_waits(int64_t clock)
{
	switch ((int32_t)clock) {
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_REALTIME_COARSE:
		return false;
	}
	return true;
}

/* Where computation takes no time, some calls cost a little: loops of them end. */
static void charge_call(struct task *task, int64_t cost)
{
	struct host *host = task->host;

	if (engine.live || host->mult || host_is_instant(host))
		return;
	host->clock = host_now(host) + cost;
	cputime_charge(task, cost);
}

int64_t read_clock(struct task *task)
{
	charge_call(task, FREE_READ_COST);
	return host_now(task->host);
}

bool enter_clock_gettime(struct task *task, struct user_regs_struct *regs)
{
	const struct cpu_clock *cpu = NULL;
	int64_t offset = 0, now;
	struct timespec ts;

	if (!clock_offset(task->process, (int64_t)regs->rdi, &offset)) {
		cpu = cputime_clock(task, (int64_t)regs->rdi);
		if (!cpu)
			return true;
	}
	now = read_clock(task);
	ts = ns_to_timespec(cpu ? cpu->ns : now + offset);
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

static void read_adjtime(struct task *task, struct user_regs_struct *regs,
			 uint64_t address)
{
	struct timespec now;
	struct timex value;
	int result;

	if (task_read(task, address, &value, sizeof(value))) {
		call_skip(task, regs, -EFAULT);
		return;
	}
	if (value.modes && value.modes != ADJ_OFFSET_SS_READ) {
		call_skip(task, regs, -EPERM);
		return;
	}
	result = adjtimex(&value);
	now = ns_to_timespec(read_clock(task) + engine.realtime);
	value.time.tv_sec = now.tv_sec;
	value.time.tv_usec = value.status & STA_NANO ? now.tv_nsec : now.tv_nsec / 1000;
	if (task_write(task, address, &value, sizeof(value)))
		result = -EFAULT;
	call_skip(task, regs, result);
}

void emulate_adjtimex(struct task *task, struct user_regs_struct *regs)
{
	read_adjtime(task, regs, regs->rdi);
}

void emulate_clock_adjtime(struct task *task, struct user_regs_struct *regs)
{
	if ((int)regs->rdi == CLOCK_REALTIME)
		read_adjtime(task, regs, regs->rsi);
	else
		call_skip(task, regs, -EOPNOTSUPP);
}

void emulate_sysinfo(struct task *task, struct user_regs_struct *regs)
{
	struct sysinfo info;
	int64_t offset;
	int result = -EFAULT;

	if (!sysinfo(&info)) {
		clock_offset(task->process, CLOCK_BOOTTIME, &offset);
		info.uptime = (host_now(task->host) + offset + NSEC_PER_SEC - 1) /
			      NSEC_PER_SEC;
		result = task_write(task, regs->rdi, &info, sizeof(info));
	}
	call_skip(task, regs, result);
}

bool enter_sched_yield(struct task *task, struct user_regs_struct *regs)
{
	call_skip(task, regs, 0);
	charge_call(task, FREE_YIELD_COST);
	return false;
}
