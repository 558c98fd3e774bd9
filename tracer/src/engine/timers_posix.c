// SPDX-License-Identifier: MIT
/*
 * POSIX timers (timer_create and its kin) on virtual clocks. The kernel never
 * sees them: they have ids of their own, far from the kernel's, and their
 * signals are queued by the engine with all that the kernel would put in.
 * Those on CPU clocks are for the process' own.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "calls.h"
#include "clocks.h"
#include "cputime.h"
#include "engine.h"
#include "host.h"
#include "inject.h"
#include "pids.h"
#include "procfs.h"
#include "task.h"
#include "timers.h"

#define FIRST_ID 0x40000000

struct posix_timer {
	struct timer timer;
	LIST_ENTRY(posix_timer) entry;
	struct process *process;
	int32_t id;
	int64_t clock;	  /* its clock's offset to CLOCK_MONOTONIC */
	struct sigevent notify;
	pid_t tid;	  /* of the thread that gets the signal; 0: any */
	bool sent;	  /* a signal, which is not known to have been taken */
	int overrun;	  /* expiries since */
	int last_overrun; /* those before the last signal that was taken */
};

static struct posix_timer *timer_find(struct process *process, uint64_t id)
{
	struct posix_timer *timer;

	LIST_FOREACH(timer, &process->posix_timers, entry)
		if (timer->id == (int32_t)id)
			return timer;
	return NULL;
}

static void timer_free(struct posix_timer *timer)
{
	timer_cancel(&timer->timer, timer->process->host);
	LIST_REMOVE(timer, entry);
	free(timer);
}

void timers_posix_forget(struct process *process)
{
	while (!LIST_EMPTY(&process->posix_timers))
		timer_free(LIST_FIRST(&process->posix_timers));
}

void timers_posix_thread_gone(struct task *task)
{
	struct posix_timer *timer;

	LIST_FOREACH(timer, &task->process->posix_timers, entry)
		if (timer->timer.cpu == &task->cpu) {
			timer_cancel(&timer->timer, task->host);
			timer->timer.cpu = NULL;
		}
}

/* Whether its last signal waits to be taken. */
static bool is_pending(const struct posix_timer *timer)
{
	uint64_t pending = timer->tid ? procfs_status_set(timer->tid, "SigPnd:") :
					procfs_status_set(timer->process->pid, "ShdPnd:");

	return pending >> (timer->notify.sigev_signo - 1) & 1;
}

static void count_overruns(struct posix_timer *timer, int64_t expiries)
{
	timer->overrun = expiries < INT_MAX - timer->overrun ?
				 timer->overrun + (int)expiries :
				 INT_MAX;
}

/* A timer has one signal at a time, and counts what it could not send. */
static void timer_fire(struct event *event, struct host *host)
{
	struct posix_timer *timer = container_of(event, struct posix_timer, timer.event);
	int signal = timer->notify.sigev_signo;
	pid_t pid = timer->process->pid;
	siginfo_t info = {
		.si_signo = signal,
		.si_code = SI_TIMER,
	};

	int64_t expiries = timer_expiries(&timer->timer, host);

	if (timer->notify.sigev_notify == SIGEV_NONE) {
		timer_again(&timer->timer, host, false);
		return;
	}
	if (timer->sent && is_pending(timer)) {
		count_overruns(timer, expiries);
		timer_again(&timer->timer, host, false);
		return;
	}
	timer->sent = true;
	timer->overrun = 0;
	count_overruns(timer, expiries - 1);
	timer_again(&timer->timer, host, true);
	info.si_timerid = timer->id;
	info.si_value = timer->notify.sigev_value;
	if (timer->tid)
		syscall(SYS_rt_tgsigqueueinfo, pid, timer->tid, signal, &info);
	else
		syscall(SYS_rt_sigqueueinfo, pid, signal, &info);
	task_drain();
}

/* Makes the signal look as if the kernel had sent it; false: it does. */
static bool complete(struct task *task, siginfo_t *info)
{
	struct posix_timer *timer;

	if (info->si_code != SI_TIMER)
		return false;
	if (info->si_timerid == TIMERID_KERNEL) {
		*info = (siginfo_t){ .si_signo = info->si_signo, .si_code = SI_KERNEL };
		return true;
	}
	timer = timer_find(task->process, (uint64_t)info->si_timerid);
	if (!timer)
		return false;
	timer->sent = false;
	count_overruns(timer, timer_overruns(&timer->timer, task->host));
	timer->last_overrun = info->si_overrun = timer->overrun;
	return true;
}

void timers_signalled(struct task *task, int signal)
{
	siginfo_t info;

	if (LIST_EMPTY(&task->process->posix_timers) && signal != SIGALRM &&
	    signal != SIGVTALRM && signal != SIGPROF)
		return;
	if (!ptrace(PTRACE_GETSIGINFO, task->tid, 0, &info) && complete(task, &info))
		ptrace(PTRACE_SETSIGINFO, task->tid, 0, &info);
}

void timers_leave_sigwait(struct task *task, struct user_regs_struct *regs)
{
	siginfo_t info;

	if ((int64_t)regs->rax > 0 && !task_read(task, regs->rsi, &info, sizeof(info)) &&
	    complete(task, &info))
		task_write(task, regs->rsi, &info, sizeof(info));
}

/* As the kernel's good_sigevent(). */
static bool valid_notify(struct task *task, const struct sigevent *notify, pid_t *tid)
{
	const struct task *target;

	switch (notify->sigev_notify) {
	case SIGEV_NONE:
		return true;
	case SIGEV_THREAD_ID:
		target = notify->_sigev_un._tid > 0 ?
				 pids_task(task, notify->_sigev_un._tid) :
				 NULL;
		if (!target || target->process != task->process)
			return false;
		*tid = target->tid;
		break;
	case SIGEV_SIGNAL:
	case SIGEV_THREAD:
		break;
	default:
		return false;
	}
	return notify->sigev_signo >= 1 && notify->sigev_signo <= 64;
}

void timers_posix_create(struct task *task, struct user_regs_struct *regs)
{
	static int32_t next_id = FIRST_ID;
	struct process *process = task->process;
	struct posix_timer *timer;
	struct sigevent notify = {
		.sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGALRM,
		.sigev_value.sival_int = next_id,
	};
	struct cpu_clock *cpu = NULL;
	int64_t clock = 0;
	pid_t tid = 0;

	if (!clock_waits((int64_t)regs->rdi))
		return;
	if (!clock_offset(task->process, (int64_t)regs->rdi, &clock)) {
		cpu = cputime_own_clock(task, (int64_t)regs->rdi);
		if (!cpu)
			return; /* the kernel says what is wrong with it */
	}
	if (regs->rsi && task_read(task, regs->rsi, &notify, sizeof(notify))) {
		call_skip(task, regs, -EFAULT);
		return;
	}
	if (!valid_notify(task, &notify, &tid)) {
		call_skip(task, regs, -EINVAL);
		return;
	}
	if (task_write(task, regs->rdx, &next_id, sizeof(next_id))) {
		call_skip(task, regs, -EFAULT);
		return;
	}
	timer = xcalloc(sizeof(*timer));
	timer->process = process;
	timer->id = next_id++;
	timer->clock = clock;
	timer->timer.cpu = cpu;
	timer->notify = notify;
	timer->tid = tid;
	timer->timer.event.fire = timer_fire;
	LIST_INSERT_HEAD(&process->posix_timers, timer, entry);
	call_skip(task, regs, 0);
}

static int write_left(struct task *task, const struct posix_timer *timer,
		      uint64_t address)
{
	struct itimerspec value = {
		.it_interval = ns_to_timespec(timer->timer.interval),
		.it_value = ns_to_timespec(timer_left(&timer->timer, task->host)),
	};

	return address ? task_write(task, address, &value, sizeof(value)) : 0;
}

void timers_posix_settime(struct task *task, struct user_regs_struct *regs)
{
	struct posix_timer *timer = timer_find(task->process, regs->rdi);
	struct itimerspec value;
	int64_t time;
	int result;

	if (!timer)
		return;
	result = regs->rdx ? itimerspec_read(task, regs->rdx, &value) : -EINVAL;
	if (!result)
		result = write_left(task, timer, regs->r10);
	if (result) {
		call_skip(task, regs, result);
		return;
	}
	time = timespec_to_ns(&value.it_value);
	timer->timer.interval = time || timer->timer.cpu ? timespec_to_ns(&value.it_interval) : 0;
	timer->overrun = timer->last_overrun = 0;
	timer_set(&timer->timer, task->host, time, regs->rsi & TIMER_ABSTIME,
		  timer->clock);
	call_skip(task, regs, 0);
}

void timers_posix_gettime(struct task *task, struct user_regs_struct *regs)
{
	const struct posix_timer *timer = timer_find(task->process, regs->rdi);

	if (timer)
		call_skip(task, regs, regs->rsi ? write_left(task, timer, regs->rsi) :
						  -EFAULT);
}

void timers_posix_getoverrun(struct task *task, struct user_regs_struct *regs)
{
	const struct posix_timer *timer = timer_find(task->process, regs->rdi);

	if (timer)
		call_skip(task, regs, timer->last_overrun);
}

void timers_posix_delete(struct task *task, struct user_regs_struct *regs)
{
	struct posix_timer *timer = timer_find(task->process, regs->rdi);

	if (!timer)
		return;
	timer_free(timer);
	call_skip(task, regs, 0);
}
