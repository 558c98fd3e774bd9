// SPDX-License-Identifier: MIT
/*
 * What each ptrace stop of a dilated task means. What happens at system calls is in
 * timed.c.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>

#include <linux/ptrace.h>

#include "blocked.h"
#include "calls.h"
#include "counter.h"
#include "engine.h"
#include "handover.h"
#include "host.h"
#include "inject.h"
#include "latch.h"
#include "park.h"
#include "stamps.h"
#include "stops.h"
#include "task.h"
#include "timens.h"
#include "timers.h"
#include "tsc.h"
#include "tsc_libraries.h"
#include "turns.h"
#include "uptime.h"

static unsigned int ends_seen; /* since SIGCHLD was last taken */
static bool end_hidden;	       /* there may be one that none of these was */

/* A step that began in a call, or has entered one, ends when the call does. */
static bool is_step(const struct task *task, int code)
{
	return task->host->counter == KRONOS_COUNTER_INSTRUCTIONS &&
	       (code == TRAP_TRACE || code == TRAP_BRKPT || code == SIGTRAP);
}

static void stop_signal(struct task *task, int signal)
{
	int code = signal == SIGTRAP ? stop_si_code(task) : 0;

	/* The latch's SIGTRAP is for nobody else to see, nor that of a step. */
	if (code == TRAP_PERF || is_step(task, code)) {
		task->latch_spent = code == TRAP_PERF;
		handover_woken(task);
		wait_latched(task);
		return;
	}
	if ((signal == SIGSEGV && tsc_emulate(task)) ||
	    (code == SI_KERNEL && tsc_emulate_replaced(task)))
		return;
	timers_signalled(task, signal);
	wait_signalled(task, signal);
	task->signal = signal;
}

static bool enters_call(const struct task *task)
{
	struct ptrace_syscall_info info;

	return ptrace(PTRACE_GET_SYSCALL_INFO, task->tid, sizeof(info), &info) > 0 &&
	       info.op == PTRACE_SYSCALL_INFO_ENTRY;
}

static void stop_syscall(struct task *task, bool interrupted)
{
	enum exit_reason reason = task->exit;
	struct user_regs_struct regs;

	task->in_call = (reason == EXIT_WATCHED || reason == EXIT_NONE) &&
			enters_call(task);
	if (task->in_call) {
		if (task->process->stamped)
			stamps_enter(task);
		return;
	}
	task->exit = EXIT_NONE;
	switch (reason) {
	case EXIT_NONE: /* of a process whose packets are stamped */
	case EXIT_TIMED:
	case EXIT_WATCHED:
		wait_exit(task, interrupted);
		break;
	case EXIT_RESULT:
		if (task_get_regs(task, &regs))
			task->leave(task, &regs);
		wait_exit(task, interrupted);
		break;
	case EXIT_EXEC:
		if (task_get_regs(task, &regs) && regs.rax == 0 &&
		    !timed_refuses_program(task, &regs)) {
			inject_clock(task);
			timens_exec(task->process);
		}
		latch_open(task);
		counter_open(task);
		break;
	}
}

/* Returns false if the task does not want to run. */
static bool stop_event(struct task *task, int signal)
{
	switch (signal) {
	case SIGSTOP:
	case SIGTSTP:
	case SIGTTIN:
	case SIGTTOU:
		wait_held(task);
		task->state = TASK_HELD;
		stop_leave(task, PTRACE_LISTEN, 0);
		return false;
	}
	if (task->latch < 0 && !task->exit) { /* its first stop */
		latch_open(task);
		counter_open(task);
	}
	/* A stop that lasted is the user's. */
	if (task->state != TASK_HELD)
		wait_interrupted(task);
	return true;
}

/*
 * Its last clock reads, which are in its memory, are charged by now. Whoever
 * waits for its end is woken by it: time may not go on before (task_gone()). A
 * leader is not gone before its threads are.
 */
static void stop_exit(struct task *task)
{
	if (!task->exiting &&
	    (task->tid != task->process->pid || task->process->threads == 1)) {
		task->exiting = true;
		engine.exiting++;
	}
	stops_listed(task, false);
	/* It may wake them. */
	handover_stop(task->host);
	if (engine.slice.task && engine.slice.task != task)
		blocked_watch(engine.slice.task);
	stop_leave(task, PTRACE_CONT, 0);
}

static void on_stop(struct task *task, int status)
{
	int signal = WSTOPSIG(status), event = status >> 16;
	bool goes_on = engine.slice.task == task && !task->cut;
	bool interrupted = task->interrupted;

	engine.stats.stops++;
	blocked_forget(task);
	park_forget(task);
	/* Whatever stop it is, it has taken the place of that one. */
	task->interrupted = false;
	/* Only a leader that stood still while another thread called exec. */
	if (task->state == TASK_READY) {
		turns_leave(task);
		task->state = TASK_AWAY;
	}
	task->in_call = event && event != PTRACE_EVENT_STOP;
	switch (event) {
	case 0:
		if (signal == (SIGTRAP | 0x80))
			stop_syscall(task, interrupted);
		else
			stop_signal(task, signal);
		break;
	case PTRACE_EVENT_SECCOMP:
		if (task->state == TASK_JOINING) {
			engine.joining -= !task->overdue;
			task_schedule(task->tid);
			uptime_join(task->process);
		}
		if (!timed_enter(task))
			goes_on = false;
		if (task->parked)
			return;
		break;
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
	case PTRACE_EVENT_CLONE:
		task_forked(task, event);
		break;
	case PTRACE_EVENT_VFORK_DONE:
		task->vforking = false;
		break;
	case PTRACE_EVENT_EXEC:
		task_executed(task);
		break;
	case PTRACE_EVENT_EXIT:
		stop_exit(task);
		return;
	case PTRACE_EVENT_STOP:
		if (!stop_event(task, signal))
			return;
		break;
	}
	task_ready(task, goes_on);
}

void task_stopped(pid_t tid, int status)
{
	struct task *task = task_find(tid);

	if (!WIFSTOPPED(status)) {
		ends_seen++;
		if (task)
			task_gone(task);
		return;
	}
	if (!task)
		task = task_new(tid);
	stop_reported(task);
	task_handle_stop(task, status);
}

void task_handle_stop(struct task *task, int status)
{
	if (task->host)
		on_stop(task, status);
	else if (status >> 16 == PTRACE_EVENT_EXIT)
		stop_leave(task, PTRACE_CONT, 0); /* it and perhaps its maker have been killed */
	else
		task->state = TASK_HELD; /* until its parent is seen to have forked */
}

/* ---- who is asked ------------------------------------------------------ */

static bool signalled(void)
{
	static const struct timespec now = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	return sigtimedwait(&set, NULL, &now) == SIGCHLD;
}

/* To ask all may take this part of the time. */
#define ASK_ALL_SHARE 20

static uint64_t asked_tsc, asked_ticks; /* when, and how long it took */

static bool may_ask_all(void)
{
	return tsc_now() - asked_tsc >= asked_ticks * ASK_ALL_SHARE;
}

/* Takes a time that grows with their number. */
static void ask_all(void)
{
	uint64_t begin = tsc_now();
	int status;
	pid_t tid;

	stops_reap();
	while ((tid = waitpid(-1, &status, WNOHANG | __WALL | __WNOTHREAD)) > 0)
		task_stopped(tid, status);
	end_hidden = false;
	asked_tsc = tsc_now();
	asked_ticks = asked_tsc - begin;
}

/*
 * SIGCHLD is for ends then, most of which have been seen already: they were expected.
 * That one of a task that was killed may hide behind them is looked for less often.
 */
static void drain_listed(bool settle)
{
	bool ask = latch_stops_lost();

	if (ask)
		latch_forget_stops();
	else
		stops_take();
	if (signalled()) {
		end_hidden = true;
		ask |= !ends_seen;
		ends_seen = 0;
	}
	if (ask || (end_hidden && (settle || may_ask_all())))
		ask_all();
}

static void drain(bool settle)
{
	if (latch_lists_stops())
		drain_listed(settle);
	else
		while (signalled())
			ask_all();
	task_end_orphans();
}

void task_drain(void)
{
	drain(false);
}

void task_settle(void)
{
	drain(true);
}

void task_collect(void)
{
	if (!latch_lists_stops() || latch_stops_lost() || engine.unlatched ||
	    engine.exiting || end_hidden)
		task_drain();
	else
		stops_take();
}

void task_await_exits(void)
{
	static const struct timespec nap = { .tv_nsec = 50 * NSEC_PER_USEC };
	uint64_t start = tsc_now();

	while (engine.exiting && ns_since(start) < NSEC_PER_SEC) {
		nanosleep(&nap, NULL);
		task_drain();
	}
}
