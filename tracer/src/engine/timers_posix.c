// SPDX-License-Identifier: MIT
/*
 * POSIX timers (timer_create and its kin) on virtual clocks. The kernel never
 * sees them: they have ids of their own, far from the kernel's, and their
 * signals are queued by the engine with all that the kernel would put in.
 * Those on CPU clocks are for the process' own.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/user.h>
#include <time.h>
#include <unistd.h>

#include "calls.h"
#include "clocks.h"
#include "cputime.h"
#include "engine.h"
#include "inject.h"
#include "task.h"

#define FIRST_ID 0x40000000

struct posix_timer {
	struct timer timer;
	LIST_ENTRY(posix_timer) entry;
	struct process *process;
	int32_t id;
	int64_t clock;	  /* its clock's offset to CLOCK_MONOTONIC */
	int64_t interval;
	struct sigevent notify;
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

static void timer_fire(struct event *event, struct host *host)
{
	struct posix_timer *timer = container_of(event, struct posix_timer, timer.event);
	int signal = timer->notify.sigev_signo;
	pid_t pid = timer->process->pid;
	siginfo_t info = {
		.si_signo = signal,
		.si_code = SI_TIMER,
	};

	info.si_timerid = timer->id;
	info.si_value = timer->notify.sigev_value;
	timer_repeat(&timer->timer, host, timer->interval);
	if (timer->notify.sigev_notify == SIGEV_THREAD_ID)
		syscall(SYS_rt_tgsigqueueinfo, pid,
			timer->notify._sigev_un._tid, signal, &info);
	else if (timer->notify.sigev_notify != SIGEV_NONE)
		syscall(SYS_rt_sigqueueinfo, pid, signal, &info);
	task_drain();
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

	if (!clock_waits((int64_t)regs->rdi))
		return;
	if (!clock_offset((int64_t)regs->rdi, &clock)) {
		cpu = cputime_own_clock(task, (int64_t)regs->rdi);
		if (!cpu)
			return; /* the kernel says what is wrong with it */
	}
	if (regs->rsi && task_read(task, regs->rsi, &notify, sizeof(notify))) {
		call_skip(task, regs, -EFAULT);
		return;
	}
	if ((notify.sigev_notify != SIGEV_NONE &&
	     notify.sigev_notify != SIGEV_SIGNAL &&
	     notify.sigev_notify != SIGEV_THREAD &&
	     notify.sigev_notify != SIGEV_THREAD_ID) ||
	    (notify.sigev_notify != SIGEV_NONE &&
	     (notify.sigev_signo < 1 || notify.sigev_signo > 64))) {
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
	timer->timer.event.fire = timer_fire;
	LIST_INSERT_HEAD(&process->posix_timers, timer, entry);
	call_skip(task, regs, 0);
}

static int write_left(struct task *task, const struct posix_timer *timer,
		      uint64_t address)
{
	struct itimerspec value = {
		.it_interval = ns_to_timespec(timer->interval),
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
	timer->interval = timespec_to_ns(&value.it_interval);
	time = timespec_to_ns(&value.it_value);
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

/* Each expiry has been a signal of its own. */
void timers_posix_getoverrun(struct task *task, struct user_regs_struct *regs)
{
	if (timer_find(task->process, regs->rdi))
		call_skip(task, regs, 0);
}

void timers_posix_delete(struct task *task, struct user_regs_struct *regs)
{
	struct posix_timer *timer = timer_find(task->process, regs->rdi);

	if (!timer)
		return;
	timer_free(timer);
	call_skip(task, regs, 0);
}
