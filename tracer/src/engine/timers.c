// SPDX-License-Identifier: MIT
/*
 * Interval timers. The kernel's own are never armed; at the virtual time, or
 * when the CPU time has been used, the engine sends the signal.
 */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "calls.h"
#include "clocks.h"
#include "engine.h"
#include "host.h"
#include "inject.h"
#include "procfs.h"
#include "task.h"
#include "timers.h"

/* ---- what timers are set to ---------------------------------------------- */

static bool timespec_valid(const struct timespec *ts)
{
	return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < NSEC_PER_SEC;
}

/* As the kernel has it, who could not count further either. */
int64_t timespec_to_ns(const struct timespec *ts)
{
	return ts->tv_sec >= HEAP_NEVER / NSEC_PER_SEC ?
		       HEAP_NEVER :
		       ts->tv_sec * NSEC_PER_SEC + ts->tv_nsec;
}

int itimerspec_read(struct task *task, uint64_t address, struct itimerspec *value)
{
	if (task_read(task, address, value, sizeof(*value)))
		return -EFAULT;
	return timespec_valid(&value->it_value) &&
			       timespec_valid(&value->it_interval) ?
		       0 :
		       -EINVAL;
}

struct timespec ns_to_timespec(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / NSEC_PER_SEC,
				  .tv_nsec = ns % NSEC_PER_SEC };
}

/* ---- interval timers --------------------------------------------------- */

/* Whether the last signal waits to be taken: worth a look if signals are many. */
static bool is_pending(const struct timer *itimer, pid_t pid, int signal)
{
	return timer_is_fast(itimer) &&
	       procfs_status_set(pid, "ShdPnd:") >> (signal - 1) & 1;
}

static void itimer_expired(struct event *event, struct host *host, int which,
			   int signal)
{
	struct timer *itimer = container_of(event, struct timer, event);
	struct process *process =
		container_of(itimer - which, struct process, itimers[0]);
	siginfo_t info = { .si_signo = signal, .si_code = SI_TIMER };

	timer_expiries(itimer, host);
	if (is_pending(itimer, process->pid, signal)) {
		timer_again(itimer, host, false);
		return;
	}
	timer_again(itimer, host, true);
	info.si_timerid = TIMERID_KERNEL;
	syscall(SYS_rt_sigqueueinfo, process->pid, signal, &info);
	task_drain();
}

static void real_fire(struct event *event, struct host *host)
{
	itimer_expired(event, host, ITIMER_REAL, SIGALRM);
}

static void virtual_fire(struct event *event, struct host *host)
{
	itimer_expired(event, host, ITIMER_VIRTUAL, SIGVTALRM);
}

static void prof_fire(struct event *event, struct host *host)
{
	itimer_expired(event, host, ITIMER_PROF, SIGPROF);
}

static void itimer_set(struct process *process, int which, int64_t value,
		       int64_t interval)
{
	static void (*const fire[])(struct event *event, struct host *host) = {
		[ITIMER_REAL] = real_fire,
		[ITIMER_VIRTUAL] = virtual_fire,
		[ITIMER_PROF] = prof_fire,
	};
	struct timer *itimer = &process->itimers[which];

	itimer->event.fire = fire[which];
	itimer->cpu = which == ITIMER_REAL ? NULL : &process->cpu;
	/* The kernel keeps it of the others. */
	itimer->interval = which == ITIMER_REAL && !value ? 0 : interval;
	timer_set(itimer, process->host, value, false, 0);
}

static struct timeval to_timeval(int64_t ns)
{
	/* Rounded up: a timer that is set never shows zero. */
	int64_t us = ns / NSEC_PER_USEC + !!(ns % NSEC_PER_USEC);

	return (struct timeval){ us / 1000000, us % 1000000 };
}

static int itimer_write(struct task *task, const struct timer *itimer,
			uint64_t address)
{
	struct itimerval value = {
		.it_interval = to_timeval(itimer->interval),
		.it_value = to_timeval(timer_left(itimer, task->host)),
	};

	return address ? task_write(task, address, &value, sizeof(value)) : 0;
}

static bool valid_timeval(const struct timeval *tv)
{
	return tv->tv_sec >= 0 && tv->tv_usec >= 0 && tv->tv_usec < 1000000;
}

static int64_t from_timeval(const struct timeval *tv)
{
	return timespec_to_ns(&(struct timespec){ tv->tv_sec, tv->tv_usec * NSEC_PER_USEC });
}

void timers_setitimer(struct task *task, struct user_regs_struct *regs)
{
	struct itimerval value = { 0 };
	int result, which = (int)regs->rdi;

	if (which < ITIMER_REAL || which > ITIMER_PROF) {
		call_skip(task, regs, -EINVAL);
		return;
	}
	if (regs->rsi && task_read(task, regs->rsi, &value, sizeof(value))) {
		call_skip(task, regs, -EFAULT);
		return;
	}
	if (!valid_timeval(&value.it_value) || !valid_timeval(&value.it_interval)) {
		call_skip(task, regs, -EINVAL);
		return;
	}
	result = itimer_write(task, &task->process->itimers[which], regs->rdx);
	if (!result)
		itimer_set(task->process, which, from_timeval(&value.it_value),
			   from_timeval(&value.it_interval));
	call_skip(task, regs, result);
}

void timers_getitimer(struct task *task, struct user_regs_struct *regs)
{
	int which = (int)regs->rdi;
	int result = -EINVAL;

	if (which >= ITIMER_REAL && which <= ITIMER_PROF)
		result = regs->rsi ? itimer_write(task, &task->process->itimers[which],
						  regs->rsi) :
				     -EFAULT;
	call_skip(task, regs, result);
}

void timers_alarm(struct task *task, struct user_regs_struct *regs)
{
	const struct timer *real = &task->process->itimers[ITIMER_REAL];
	int64_t left = timer_left(real, task->host);
	int64_t seconds = (left + NSEC_PER_SEC / 2) / NSEC_PER_SEC;

	if (left && !seconds)
		seconds = 1;
	itimer_set(task->process, ITIMER_REAL,
		   (int64_t)(uint32_t)regs->rdi * NSEC_PER_SEC, 0);
	call_skip(task, regs, seconds);
}

/* ---- the end of a process ---------------------------------------------- */

void timers_exec(struct process *process)
{
	timers_posix_forget(process);
	timerfds_exec(process);
}

void timers_forget(struct process *process)
{
	for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++)
		timer_cancel(&process->itimers[which], process->host);
	timers_posix_forget(process);
	timerfds_forget(process);
}
