// SPDX-License-Identifier: MIT
/*
 * CPU time. A task has used what its host's clock has moved in its slices: work
 * divided by the relative CPU speed, as everything else. All of it counts as
 * user time. A process that ends leaves its time to its parent, at once and not
 * only when it is waited for.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/times.h>
#include <sys/types.h>
#include <sys/user.h>
#include <time.h>

#include "clocks.h"
#include "cputime.h"
#include "engine.h"
#include "host.h"
#include "inject.h"
#include "pids.h"
#include "task.h"
#include "timed.h"

/* How a clock id below zero is made: see clock_getcpuclockid(3). */
#define CPUCLOCK_PID(id) ((pid_t)~((id) >> 3))
#define CPUCLOCK_PERTHREAD 4
#define CPUCLOCK_WHICH 3 /* user and system, user, all; 3 is no CPU clock */

#define NSEC_PER_TICK (NSEC_PER_SEC / 100) /* of clock_t, which is USER_HZ */

/* A child that has ended, whom its process may still wait for. */
struct ended_child {
	STAILQ_ENTRY(ended_child) entry;
	pid_t pid;
	pid_t seen_pid; /* as its parent knows it */
	int64_t cpu;
};

/* Of this many, the oldest are looked at whether they are still there. */
#define ENDED_MIN 16

/* ---- clocks ------------------------------------------------------------ */

static void clock_charge(struct cpu_clock *cpu, struct host *host, int64_t ns)
{
	struct heap_node *first;

	cpu->ns += ns;
	while ((first = heap_first(&cpu->timers)) && first->time <= cpu->ns) {
		heap_remove(&cpu->timers, first);
		host_add_event(host, container_of(first, struct event, node),
			       host_now(host));
	}
}

void cputime_charge(struct task *task, int64_t ns)
{
	if (ns <= 0)
		return;
	task->host->busy += ns;
	clock_charge(&task->cpu, task->host, ns);
	clock_charge(&task->process->cpu, task->host, ns);
}

static int64_t clock_left(const struct cpu_clock *cpu)
{
	int64_t due = heap_time(&cpu->timers);

	return due == HEAP_NEVER ? HEAP_NEVER : due - cpu->ns;
}

int64_t cputime_left(const struct task *task)
{
	int64_t thread = clock_left(&task->cpu);
	int64_t process = clock_left(&task->process->cpu);

	return thread < process ? thread : process;
}

void cputime_forget(struct cpu_clock *cpu)
{
	struct heap_node *first;

	while ((first = heap_first(&cpu->timers))) {
		heap_remove(&cpu->timers, first);
		container_of(first, struct timer, event.node)->cpu = NULL;
	}
	heap_free(&cpu->timers);
}

struct cpu_clock *cputime_clock(struct task *task, int64_t clock)
{
	int32_t id = (int32_t)clock;
	struct task *other;

	if (id == CLOCK_PROCESS_CPUTIME_ID)
		return &task->process->cpu;
	if (id == CLOCK_THREAD_CPUTIME_ID)
		return &task->cpu;
	if (id >= 0 || (id & CPUCLOCK_WHICH) == CPUCLOCK_WHICH)
		return NULL;
	other = pids_task(task, CPUCLOCK_PID(id));
	if (!other)
		return NULL;
	if (id & CPUCLOCK_PERTHREAD)
		return other->process == task->process ? &other->cpu : NULL;
	return &other->process->cpu;
}

struct cpu_clock *cputime_own_clock(struct task *task, int64_t clock)
{
	struct cpu_clock *cpu = cputime_clock(task, clock);
	int32_t id = (int32_t)clock;
	bool per_thread = id == CLOCK_THREAD_CPUTIME_ID ||
			  (id < 0 && id & CPUCLOCK_PERTHREAD);

	return per_thread || cpu == &task->process->cpu ? cpu : NULL;
}

/* ---- sleeping ---------------------------------------------------------- */

static void sleep_over(struct event *event, struct host *host)
{
	struct task *task = container_of(event, struct task, sleep.event);

	/* It is not in another wait, which would have a deadline. */
	if (task->wait.call && task->wait.deadline == HEAP_NEVER)
		host_add_event(host, &task->wait.timeout, host_now(host));
}

/* 1, or what the call returns; -ENOENT: the kernel says what is wrong. */
int cputime_sleep(struct task *task, int64_t clock, int64_t time, bool absolute)
{
	struct cpu_clock *cpu = cputime_own_clock(task, clock);

	if (!cpu || (int32_t)clock == CLOCK_THREAD_CPUTIME_ID)
		return -ENOENT;
	if (cpu == &task->cpu)
		return -EINVAL; /* it would never end */
	if (absolute ? time <= cpu->ns : !time)
		return 0;
	if (task->wait.restart && task->sleep.cpu == cpu)
		return 1; /* as it was due before */
	timer_cancel(&task->sleep, task->host);
	task->sleep.cpu = cpu;
	task->sleep.event.fire = sleep_over;
	timer_set(&task->sleep, task->host, time, absolute, 0);
	return 1;
}

/* ---- resource usage ---------------------------------------------------- */

static struct ended_child *ended_find(const struct process *process, pid_t pid)
{
	struct ended_child *child;

	STAILQ_FOREACH(child, &process->ended, entry)
		if (child->seen_pid == pid)
			return child;
	return NULL;
}

static void ended_remove(struct process *process, struct ended_child *child)
{
	STAILQ_REMOVE(&process->ended, child, ended_child, entry);
	process->ended_count--;
	free(child);
}

/* Two at a time, so that there are never many more than zombies. */
static void ended_prune(struct process *process)
{
	struct ended_child *child;

	for (int i = 0; i < 2 && process->ended_count > ENDED_MIN; i++) {
		child = STAILQ_FIRST(&process->ended);
		if (kill(child->pid, 0)) {
			ended_remove(process, child);
			continue;
		}
		STAILQ_REMOVE_HEAD(&process->ended, entry);
		STAILQ_INSERT_TAIL(&process->ended, child, entry);
	}
}

void cputime_inherit(struct process *process)
{
	struct process *parent = process->parent ? process_find(process->parent) : NULL;
	struct ended_child *child;

	if (!parent)
		return;
	child = xcalloc(sizeof(*child));
	child->pid = process->pid;
	child->seen_pid = process->seen_pid;
	child->cpu = process->cpu.ns + process->children_cpu;
	parent->children_cpu += child->cpu;
	ended_prune(parent);
	STAILQ_INSERT_TAIL(&parent->ended, child, entry);
	parent->ended_count++;
}

void cputime_free(struct process *process)
{
	cputime_forget(&process->cpu);
	while (!STAILQ_EMPTY(&process->ended))
		ended_remove(process, STAILQ_FIRST(&process->ended));
}

/* The two times are what a struct rusage begins with. */
static void write_usage(struct task *task, uint64_t address, int64_t ns)
{
	const struct timeval used[2] = {
		{ ns / NSEC_PER_SEC, ns % NSEC_PER_SEC / NSEC_PER_USEC },
	};

	_Static_assert(offsetof(struct rusage, ru_maxrss) == sizeof(used), "rusage");
	task_write(task, address, used, sizeof(used));
}

void leave_getrusage(struct task *task, struct user_regs_struct *regs)
{
	const struct process *process = task->process;
	int who = (int)regs->rdi;

	if (regs->rax)
		return;
	read_clock(task);
	write_usage(task, regs->rsi,
		    who == RUSAGE_CHILDREN ? process->children_cpu :
		    who == RUSAGE_THREAD   ? task->cpu.ns :
					     process->cpu.ns);
}

/* Of a child that has been waited for: it has ended, or has stopped. */
static void write_child_usage(struct task *task, uint64_t address, pid_t pid)
{
	struct ended_child *child = ended_find(task->process, pid);
	const struct task *leader = child ? NULL : pids_task(task, pid);
	int64_t ns = child  ? child->cpu :
		     leader ? leader->process->cpu.ns + leader->process->children_cpu :
			      0;

	write_usage(task, address, ns);
}

void leave_wait4(struct task *task, struct user_regs_struct *regs)
{
	if ((int64_t)regs->rax > 0)
		write_child_usage(task, regs->r10, (pid_t)regs->rax);
}

void leave_waitid(struct task *task, struct user_regs_struct *regs)
{
	siginfo_t info;

	if (!regs->rax && regs->rdx &&
	    !task_read(task, regs->rdx, &info, sizeof(info)) && info.si_pid)
		write_child_usage(task, regs->r8, info.si_pid);
}

void emulate_times(struct task *task, struct user_regs_struct *regs)
{
	int64_t now = read_clock(task);
	const struct tms used = {
		.tms_utime = task->process->cpu.ns / NSEC_PER_TICK,
		.tms_cutime = task->process->children_cpu / NSEC_PER_TICK,
	};

	if (regs->rdi && task_write(task, regs->rdi, &used, sizeof(used)))
		call_skip(task, regs, -EFAULT);
	else
		call_skip(task, regs, now / NSEC_PER_TICK);
}
