// SPDX-License-Identifier: MIT
/*
 * Dilated tasks and their processes: how they are seized, multiply and end. What
 * their stops mean is in task_stops.c, when they run in slice.c.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/user.h>
#include <unistd.h>
#include <uthash.h>

#include <linux/sched.h>

#include "blocked.h"
#include "calls.h"
#include "counter.h"
#include "cpus.h"
#include "cputime.h"
#include "engine.h"
#include "handover.h"
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
#include "turns.h"
#include "uptime.h"

#define SEIZE_OPTIONS                                                          \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |    \
	 PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEVFORKDONE |  \
	 PTRACE_O_TRACEEXIT | PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL)

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

int process_open(const struct process *process, int fd)
{
	int pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0);
	int own;

	if (pidfd < 0)
		return -1;
	own = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	close(pidfd);
	return own;
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

struct task *task_new(pid_t tid)
{
	struct task *task = xcalloc(sizeof(*task));

	task->tid = tid;
	task->latch = task->counter = -1;
	task->state = TASK_AWAY;
	HASH_ADD_INT(tasks, tid, task);
	engine.unlatched++;
	stops_listed(task, false);
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

void task_gone(struct task *task)
{
	struct host *host = task->host;

	blocked_forget(task);
	handover_forget(task);
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
			turns_leave(task);
		LIST_REMOVE(task, host_entry);
		host->task_count--;
		process_put(task->process);
		host_changed(host);
	}
	park_forget(task);
	stop_forget(task);
	stops_listed(task, true);
	if (engine.slice.task == task)
		engine.slice.task = NULL;
	HASH_DEL(tasks, task);
	free(task);
}

void task_schedule(pid_t tid)
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

void task_ready(struct task *task, bool goes_on)
{
	struct host *host = task->host;

	engine_assert(task->state != TASK_READY);
	task->state = TASK_READY;
	terminal_left(task);
	turns_enter(task, goes_on);
	/* Whoever woke it did so now: its host's clock cannot be earlier. */
	if (engine.slice.task && engine.slice.task->host != host)
		host_advance(host, host_now(engine.slice.task->host));
	host_changed(host);
}

void task_promote(struct task *task)
{
	const struct sched_param param = { .sched_priority = PRIO_TASK };

	if (task->demoted)
		sched_setscheduler(task->tid, SCHED_FIFO, &param);
	task->demoted = false;
}

void task_leave_queue(struct task *task)
{
	engine_assert(task->state == TASK_READY);
	turns_leave(task);
	task->state = TASK_AWAY;
	task->cut = false;
	task_promote(task);
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

/* ---- how they multiply ------------------------------------------------- */

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

void task_forked(struct task *parent, int event)
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
		child->process->sticky_timeouts = parent->process->sticky_timeouts;
		child->process->stamped = parent->process->stamped;
		child->process->tsc_trapped = parent->process->tsc_trapped;
	}
	if (child->state == TASK_HELD) { /* it has stopped already */
		latch_open(child);
		counter_open(child);
		task_ready(child, false);
	}
}

void task_executed(struct task *task)
{
	struct process *process = task->process;
	struct task *other, *next;
	unsigned long former;

	if (stop_message(task, &former) && (pid_t)former != task->tid) {
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
	handover_forget(task);
	task->exit = EXIT_EXEC;
	latch_close(task);
	counter_close(task);
	inject_forget(process);
	rings_forget(process);
	timers_exec(process);
}

void task_for_each(void (*visit)(struct task *task, void *arg), void *arg)
{
	struct task *task, *next;

	HASH_ITER(hh, tasks, task, next)
		visit(task, arg);
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

void task_end_orphans(void)
{
	if (unmade)
		task_for_each(end_orphan, NULL);
}
