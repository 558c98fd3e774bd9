// SPDX-License-Identifier: MIT
/*
 * Dilated tasks: how they are seized, what each of their ptrace stops means,
 * how they multiply and end. What happens at system calls is in timed.c, when
 * they run in slice.c.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

#include <linux/ptrace.h>
#include <linux/sched.h>

#include "calls.h"
#include "counter.h"
#include "cpus.h"
#include "cputime.h"
#include "engine.h"
#include "host.h"
#include "inject.h"
#include "latch.h"
#include "park.h"
#include "pids.h"
#include "procfs.h"
#include "scheduling.h"
#include "stamps.h"
#include "stops.h"
#include "task.h"
#include "terminal.h"
#include "tcp_timers.h"
#include "timens.h"
#include "timers.h"
#include "tsc.h"
#include "uptime.h"

#define SEIZE_OPTIONS                                                          \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |    \
	 PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEVFORKDONE |  \
	 PTRACE_O_TRACEEXIT | PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL)

/* A task that only stops, and never blocks, lets others of its host run too. */
#define TURN (200 * NSEC_PER_USEC)

/* A task that has run so long without a stop is out of control. */
#define RUNAWAY_USEC 2000000

static struct task *tasks;
static struct process *processes;
static unsigned int unmade; /* tasks that have stopped, and whose maker has not yet */

size_t task_count(void)
{
	return HASH_COUNT(tasks);
}

struct task *task_find(pid_t tid)
{
	struct task *task;

	HASH_FIND_INT(tasks, &tid, task);
	return task;
}

struct process *process_find(pid_t pid)
{
	struct process *process;

	HASH_FIND_INT(processes, &pid, process);
	return process;
}

static struct process *process_get(pid_t pid, struct host *host)
{
	struct process *process = process_find(pid);

	if (!process) {
		process = xcalloc(sizeof(*process));
		STAILQ_INIT(&process->ended);
		process->pid = process->seen_pid = pid;
		process->host = host;
		HASH_ADD_INT(processes, pid, process);
	}
	process->threads++;
	return process;
}

static void process_put(struct process *process)
{
	if (--process->threads)
		return;
	timers_forget(process);
	rings_forget(process);
	inject_forget(process);
	uptime_forget(process);
	cputime_inherit(process);
	cputime_free(process);
	HASH_DEL(processes, process);
	free(process);
}

/* A task may be seen to stop before its parent is seen to have made it. */
static struct task *task_new(pid_t tid)
{
	struct task *task = xcalloc(sizeof(*task));

	task->tid = tid;
	task->latch = task->counter = -1;
	task->state = TASK_AWAY;
	HASH_ADD_INT(tasks, tid, task);
	engine.unlatched++;
	unmade++;
	return task;
}

static void task_adopt(struct task *task, pid_t pid, struct host *host)
{
	unmade--;
	task->process = process_get(pid, host);
	task->host = host;
	LIST_INSERT_HEAD(&host->tasks, task, host_entry);
	host->task_count++;
}

static void task_gone(struct task *task)
{
	struct host *host = task->host;

	latch_close(task);
	counter_close(task);
	engine.unlatched--;
	if (host && task->state == TASK_JOINING && !task->overdue)
		engine.joining--;
	if (task->exiting)
		engine.exiting--;
	if (!host) {
		unmade--;
	} else {
		terminal_left(task);
		timed_forget(task);
		timer_cancel(&task->sleep, host);
		timers_posix_thread_gone(task);
		cputime_forget(&task->cpu);
		sched_forget(task);
		if (task->state == TASK_READY)
			TAILQ_REMOVE(&host->ready, task, ready_entry);
		LIST_REMOVE(task, host_entry);
		host->task_count--;
		process_put(task->process);
		host_changed(host);
	}
	park_forget(task);
	stop_forget(task);
	if (engine.slice.task == task)
		engine.slice.task = NULL;
	HASH_DEL(tasks, task);
	free(task);
}

/* Every dilated task runs on the worker's CPU, above it. */
static void task_schedule(pid_t tid)
{
	const struct sched_param param = { .sched_priority = PRIO_TASK };

	cpus_pin(tid, engine.cpu);
	sched_setscheduler(tid, SCHED_FIFO, &param);
}

/*
 * If the engine is killed nobody cuts a running task any more, and at its
 * priority it would keep even the dying engine from the CPU. The kernel then
 * ends it: its count starts again at each stop.
 */
static void limit_cpu(pid_t pid)
{
	const struct rlimit limit = { RUNAWAY_USEC, RUNAWAY_USEC };

	prlimit(pid, RLIMIT_RTTIME, &limit, NULL);
}

int task_seize(pid_t pid, struct host *host)
{
	struct task *task;

	if (ptrace(PTRACE_SEIZE, pid, 0, SEIZE_OPTIONS))
		return -errno;
	task = task_find(pid);
	if (!task)
		task = task_new(pid);
	task_adopt(task, pid, host);
	task->state = TASK_JOINING;
	engine.joining++;
	limit_cpu(pid);
	pids_join(task->process);
	tcp_watch(host, pid);
	return 0;
}

void task_ready(struct task *task, bool first)
{
	struct host *host = task->host;

	engine_assert(task->state != TASK_READY);
	task->state = TASK_READY;
	terminal_left(task);
	if (first && task->turn < TURN) {
		TAILQ_INSERT_HEAD(&host->ready, task, ready_entry);
	} else {
		TAILQ_INSERT_TAIL(&host->ready, task, ready_entry);
		task->turn = 0;
	}
	/* Whoever woke it did so now: its host's clock cannot be earlier. */
	if (engine.slice.task && engine.slice.task->host != host)
		host_advance(host, host_now(engine.slice.task->host));
	host_changed(host);
}

void task_leave_queue(struct task *task)
{
	engine_assert(task->state == TASK_READY);
	TAILQ_REMOVE(&task->host->ready, task, ready_entry);
	task->state = TASK_AWAY;
	task->cut = false;
	if (task->latch_spent)
		latch_rearm(task);
}

void task_resume(struct task *task)
{
	int request = task->exit || task->process->stamped ? PTRACE_SYSCALL : PTRACE_CONT;
	int signal = task->signal;

	task_leave_queue(task);
	task->signal = 0;
	stop_leave(task, request, signal);
}

void task_interrupt(struct task *task)
{
	task->interrupted = true;
	ptrace(PTRACE_INTERRUPT, task->tid, 0, 0);
}

/* ---- stops ------------------------------------------------------------- */

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
		wait_latched(task);
		return;
	}
	if (signal == SIGSEGV && tsc_emulate(task))
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

static uint64_t clone_flags(const struct task *parent)
{
	struct user_regs_struct regs;
	uint64_t flags = 0;

	if (!task_get_regs(parent, &regs))
		return 0;
	if (regs.orig_rax == SYS_clone)
		flags = regs.rdi;
	else if (regs.orig_rax == SYS_clone3)
		task_read(parent, regs.rdi, &flags, sizeof(flags));
	return flags;
}

static void stop_fork(struct task *parent, int event)
{
	struct task *child;
	uint64_t flags = clone_flags(parent);
	bool thread = flags & CLONE_THREAD;
	unsigned long tid;

	if (!stop_message(parent, &tid))
		return;
	parent->vforking = event == PTRACE_EVENT_VFORK;
	child = task_find((pid_t)tid);
	if (!child && kill((pid_t)tid, 0)) /* killed, and gone */
		return;
	if (!child)
		child = task_new((pid_t)tid);
	task_adopt(child, thread ? parent->process->pid : (pid_t)tid, parent->host);
	sched_inherit(child, parent);
	prctls_inherit(child, parent);
	if (!thread) {
		inject_share(child->process, parent->process);
		uptime_share(child->process, parent->process);
		child->process->parent = parent->process->pid;
		pids_fork(child->process, parent->process, flags);
		timens_fork(child->process, parent->process, flags);
		child->process->filtered = parent->process->filtered;
		child->process->stamped = parent->process->stamped;
		child->process->tsc_trapped = parent->process->tsc_trapped;
	}
	if (child->state == TASK_HELD) { /* it has stopped already */
		latch_open(child);
		counter_open(child);
		task_ready(child, false);
	}
}

/* The process has one task from here on, and its leader's id. */
static void stop_exec(struct task *task, pid_t pid)
{
	struct process *process = task->process;
	struct task *other, *next;
	unsigned long former;

	if (stop_message(task, &former) && (pid_t)former != pid) {
		/* The leader has taken the place of the thread that called exec. */
		other = task_find((pid_t)former);
		if (other) {
			task->exit = other->exit;
			task->cpu.ns = other->cpu.ns;
			sched_take(task, other);
			task->prctls = other->prctls;
		}
	}
	for (other = LIST_FIRST(&task->host->tasks); other; other = next) {
		next = LIST_NEXT(other, host_entry);
		if (other != task && other->process == process)
			task_gone(other);
	}
	timed_forget(task);
	task->exit = EXIT_EXEC;
	latch_close(task);
	counter_close(task);
	inject_forget(process);
	rings_forget(process);
	timers_exec(process);
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
	stop_leave(task, PTRACE_CONT, 0);
}

static void on_stop(struct task *task, int status)
{
	int signal = WSTOPSIG(status), event = status >> 16;
	bool first = engine.slice.task == task && !task->cut;
	bool interrupted = task->interrupted;

	engine.stats.stops++;
	park_forget(task);
	/* Whatever stop it is, it has taken the place of that one. */
	task->interrupted = false;
	/* Only a leader that stood still while another thread called exec. */
	if (task->state == TASK_READY) {
		TAILQ_REMOVE(&task->host->ready, task, ready_entry);
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
			first = false;
		if (task->parked)
			return;
		break;
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
	case PTRACE_EVENT_CLONE:
		stop_fork(task, event);
		break;
	case PTRACE_EVENT_VFORK_DONE:
		task->vforking = false;
		break;
	case PTRACE_EVENT_EXEC:
		stop_exec(task, task->tid);
		break;
	case PTRACE_EVENT_EXIT:
		stop_exit(task);
		return;
	case PTRACE_EVENT_STOP:
		if (!stop_event(task, signal))
			return;
		break;
	}
	task_ready(task, first);
}

void task_stopped(pid_t tid, int status)
{
	struct task *task = task_find(tid);

	if (!WIFSTOPPED(status)) {
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

static bool maker_lives(pid_t tid)
{
	struct procfs_field fields[] = { { .key = "Tgid:\t" }, { .key = "PPid:\t" } };

	return procfs_status(tid, fields, 2) &&
	       (process_find(atoi(fields[0].text)) ||
		process_find(atoi(fields[1].text)));
}

/*
 * One that was killed in the middle of its fork() never tells of the child, which has
 * not run yet: as if it had been killed before.
 */
static void end_orphan(struct task *task, void *arg)
{
	(void)arg;
	if (!task->host && task->state == TASK_HELD && !maker_lives(task->tid))
		kill(task->tid, SIGKILL);
}

void task_drain(void)
{
	static const struct timespec now = { 0 };
	sigset_t set;
	int status;
	pid_t tid;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	latch_forget_stops(); /* each has sent the signal as well */
	stops_reap();
	/* Asking every tracee is dear, asking for the signal is not. */
	while (sigtimedwait(&set, NULL, &now) == SIGCHLD)
		while ((tid = waitpid(-1, &status,
				      WNOHANG | __WALL | __WNOTHREAD)) > 0)
			task_stopped(tid, status);
	if (unmade)
		task_for_each(end_orphan, NULL);
}

void task_collect(void)
{
	/* Those that have no latch, and those that are gone, are in no list. */
	if (!latch_lists_stops() || latch_stops_lost() || engine.unlatched ||
	    engine.exiting) {
		task_drain();
		return;
	}
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

void task_for_each(void (*visit)(struct task *task, void *arg), void *arg)
{
	struct task *task, *next;

	HASH_ITER(hh, tasks, task, next)
		visit(task, arg);
}
