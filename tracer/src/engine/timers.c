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
#include "cputime.h"
#include "engine.h"
#include "host.h"
#include "inject.h"
#include "task.h"
#include "timers.h"

/* ---- what timers share ------------------------------------------------- */

static int64_t timer_now(const struct timer *timer, const struct host *host)
{
	return timer->cpu ? timer->cpu->ns : host_now(host);
}

/* Else it is in its host's heap, if it is set at all. */
static bool in_cpu_heap(const struct timer *timer)
{
	return timer->cpu && timer->due > timer->cpu->ns;
}

void timer_cancel(struct timer *timer, struct host *host)
{
	if (in_cpu_heap(timer))
		heap_remove(&timer->cpu->timers, &timer->event.node);
	else
		host_remove_event(host, &timer->event);
}

static void timer_arm(struct timer *timer, struct host *host, int64_t due)
{
	timer_cancel(timer, host);
	timer->due = due;
	if (in_cpu_heap(timer))
		heap_set(&timer->cpu->timers, &timer->event.node, due);
	else
		host_add_event(host, &timer->event, timer->cpu ? host_now(host) : due);
}

int64_t timer_left(const struct timer *timer, const struct host *host)
{
	int64_t left = timer->due - timer_now(timer, host);

	if (!heap_contains(&timer->event.node))
		return 0;
	return left > 0 ? left : 1;
}

void timer_repeat(struct timer *timer, struct host *host, int64_t interval)
{
	if (interval)
		timer_arm(timer, host, timer->due + interval);
}

void timer_set(struct timer *timer, struct host *host, int64_t time, bool absolute,
	       int64_t offset)
{
	if (!time)
		timer_cancel(timer, host);
	else if (time == HEAP_NEVER)
		timer_arm(timer, host, time);
	else
		timer_arm(timer, host,
			  absolute ? time - offset : timer_now(timer, host) + time);
}

static bool timespec_valid(const struct timespec *ts)
{
	return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < NSEC_PER_SEC;
}

int64_t timespec_to_ns(const struct timespec *ts)
{
	return ts->tv_sec > INT32_MAX ? HEAP_NEVER :
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

static void itimer_expired(struct event *event, struct host *host, int which,
			   int signal)
{
	struct itimer *itimer = container_of(event, struct itimer, timer.event);
	struct process *process =
		container_of(itimer - which, struct process, itimers[0]);
	siginfo_t info = { .si_signo = signal, .si_code = SI_TIMER };

	timer_repeat(&itimer->timer, host, itimer->interval);
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
	struct itimer *itimer = &process->itimers[which];

	itimer->timer.event.fire = fire[which];
	itimer->timer.cpu = which == ITIMER_REAL ? NULL : &process->cpu;
	itimer->interval = interval;
	timer_set(&itimer->timer, process->host, value, false, 0);
}

static struct timeval to_timeval(int64_t ns)
{
	/* Rounded up: a timer that is set never shows zero. */
	int64_t us = (ns + NSEC_PER_USEC - 1) / NSEC_PER_USEC;

	return (struct timeval){ us / 1000000, us % 1000000 };
}

static int itimer_write(struct task *task, const struct itimer *itimer,
			uint64_t address)
{
	struct itimerval value = {
		.it_interval = to_timeval(itimer->interval),
		.it_value = to_timeval(timer_left(&itimer->timer, task->host)),
	};

	return address ? task_write(task, address, &value, sizeof(value)) : 0;
}

static bool valid_timeval(const struct timeval *tv)
{
	return tv->tv_sec >= 0 && tv->tv_usec >= 0 && tv->tv_usec < 1000000;
}

static int64_t from_timeval(const struct timeval *tv)
{
	return (tv->tv_sec > INT32_MAX ? INT32_MAX : tv->tv_sec) * NSEC_PER_SEC +
	       tv->tv_usec * NSEC_PER_USEC;
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
	const struct itimer *real = &task->process->itimers[ITIMER_REAL];
	int64_t left = timer_left(&real->timer, task->host);
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
		timer_cancel(&process->itimers[which].timer, process->host);
	timers_posix_forget(process);
	timerfds_forget(process);
}
