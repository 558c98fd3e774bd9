// SPDX-License-Identifier: MIT
/*
 * What a host is charged for a slice.
 *
 * It is real time from the task's first user instruction to its last stop, less
 * what the stops themselves cost (measured at start). While a slice runs nothing
 * dilated or of the engine runs beside it, except that the kernel may take the CPU
 * away; a slice that looks long is checked against the CPU time that the task has
 * really used.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "charge.h"
#include "cputime.h"
#include "engine.h"
#include "handover.h"
#include "host.h"
#include "links.h"
#include "slice.h"
#include "task.h"
#include "turns.h"

/* Real time that a host may compute in no virtual time before its clock goes on. */
#define BURST_MAX (250 * NSEC_PER_MSEC)
/* The same of the switches, which share one host, and of the controller. */
#define BURST_MAX_INSTANT (2 * NSEC_PER_SEC)
/* And for each link more: a frame may go over all of them at once. */
#define BURST_MAX_LINK (100 * NSEC_PER_MSEC)

/* A slice so short is taken to have had the CPU for itself. */
#define UNSTOLEN (50 * NSEC_PER_USEC)
/* Between what such a slice was charged and what the kernel counts for it. */
#define SLICE_ERROR (5 * NSEC_PER_USEC)

uint64_t charge_enter_ticks;
static uint64_t leave_ticks; /* from user code to the next look at the TSC */
/* The least that was seen: from the timer's time to the watchdog, and from there
 * to the look at the TSC. */
static uint64_t wake_ticks = UINT64_MAX, stop_ticks = UINT64_MAX;

int64_t charge_clock_read(const struct task *task, int64_t base)
{
	const struct clock_map *clock = task->process->clock;
	int64_t last = clock ? *(volatile int64_t *)&clock->page->last : base;

	return last > base ? last : base;
}

int64_t charge_instructions_ns(const struct slice *slice, uint64_t count, uint32_t *rest)
{
	const struct host *host = slice->host;
	unsigned __int128 time = (unsigned __int128)count *
				 (host->instruction_mult / slice->shares);

	time += host->instruction_rest;
	*rest = (uint32_t)time;
	return (int64_t)(time >> 32);
}

/* No two tasks of a process run at the same time. */
static int64_t cpu_time(const struct process *process)
{
	/* As clock_getcpuclockid() makes it. */
	clockid_t clock = (clockid_t)((~(unsigned int)process->pid << 3) | 2);
	struct timespec ts;

	if (clock_gettime(clock, &ts))
		return -1;
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

bool charge_burst_is_over(const struct host *host)
{
	if (!host_is_instant(host))
		return host->burst >= BURST_MAX;
	return host->burst >= BURST_MAX_INSTANT + BURST_MAX_LINK * links_added();
}

static void warn_of_burst(struct host *host)
{
	if (!host->warned_spin)
		engine_warn("%s has computed for %lld ms in no virtual time, and may "
			    "never stop: its clock goes on",
			    host->name, (long long)host->burst / NSEC_PER_MSEC);
	host->warned_spin = true;
}

/*
 * Was the CPU taken away meanwhile? What the process has used says so. Asking
 * costs too much for each short slice: they are added up instead.
 */
static int64_t unstolen(struct process *process, int64_t real)
{
	int64_t used, expected;

	if (real < UNSTOLEN) {
		process->cpu_seen += real;
		process->cpu_error += SLICE_ERROR;
		return real;
	}
	used = cpu_time(process);
	if (used < 0)
		return real;
	expected = process->cpu_seen + real;
	if (process->cpu_seen && used + process->cpu_error + UNSTOLEN < expected) {
		real = used - process->cpu_seen;
		if (real < 0)
			real = 0;
	}
	process->cpu_seen = used;
	process->cpu_error = 0;
	return real;
}

/* When the task's work ended, if the engine looked at the TSC at `end`. */
static uint64_t work_end(const struct slice *slice, uint64_t end)
{
	uint64_t woken = slice->cut - slice->due, stopped = end - slice->cut;

	if (!slice->cut || slice->cut < slice->due || slice->demoted)
		return end - leave_ticks;
	if (woken < wake_ticks)
		wake_ticks = woken;
	if (stopped < stop_ticks)
		stop_ticks = stopped;
	return end - wake_ticks - stop_ticks;
}

static void charge_task(struct task *task, int64_t ns)
{
	cputime_charge(task, ns);
	turns_charge(task, ns);
}

void charge_counted(const struct slice *slice, uint64_t count)
{
	struct host *host = slice->host;
	int64_t ns = charge_instructions_ns(slice, count, &host->instruction_rest);

	host->stats.slices++;
	host->stats.cpu_ns += (uint64_t)ns;
	slice->task->turn += ns;
	charge_task(slice->task, ns * slice->shares);
	if (slice->base + ns > host->clock)
		host->clock = slice->base + ns;
}

static int64_t of_process(const struct part *parts, size_t count,
			  const struct process *process)
{
	int64_t real = 0;

	for (size_t i = 0; i < count; i++)
		if (parts[i].task->process == process)
			real += parts[i].real;
	return real;
}

/* Takes off each part what was stolen; returns their sum. */
static int64_t parts_unstolen(struct part *parts, size_t count)
{
	int64_t sum = 0, real, left;

	for (size_t i = 0; i < count; i++) {
		struct process *process = parts[i].task->process;

		if (of_process(parts, i, process)) /* it has been one before */
			continue;
		real = of_process(parts, count, process);
		left = unstolen(process, real);
		for (size_t j = i; j < count && left < real; j++)
			if (parts[j].task->process == process)
				parts[j].real = (int64_t)((double)parts[j].real *
							  (double)left / (double)real);
		sum += left;
	}
	return sum;
}

/* What they have had of the clock, as they have of the CPU. */
static void charge_parts(const struct part *parts, size_t count, int64_t ns)
{
	double each, sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += (double)parts[i].real;
	each = sum > 0 ? (double)ns / sum : 0;
	for (size_t i = 1; i < count; i++) {
		int64_t part = (int64_t)((double)parts[i].real * each);

		charge_task(parts[i].task, part);
		ns -= part;
	}
	charge_task(parts[0].task, ns);
}

/* No clock of theirs goes backwards. */
static int64_t read_by_all(const struct slice *slice, int64_t clock)
{
	const struct task *task;

	LIST_FOREACH(task, &slice->host->handovers, handover.entry)
		clock = charge_clock_read(task, clock);
	return charge_clock_read(slice->task, clock);
}

void charge(const struct slice *slice, int64_t limit, uint64_t end)
{
	struct host *host = slice->host;
	int64_t real = (int64_t)(work_end(slice, end) - slice->tsc_start);
	int64_t clock = host_now(host);
	struct part parts[HANDOVERS_MAX + 1];
	size_t count;

	real = real > 0 ? fixed_mul((uint64_t)real, engine.ns_per_tsc) : 0;
	host->burst += real;
	host->stats.cpu_ns += (uint64_t)real;
	host->stats.slices++;
	count = handover_parts(slice, real, parts);
	for (size_t i = 0; i < count; i++)
		parts[i].task->turn += parts[i].real;
	if (engine.live) {
		charge_task(slice->task, real);
		return;
	}
	if (!host->mult) {
		/* It may wait for time to pass. */
		if (charge_burst_is_over(host)) {
			warn_of_burst(host);
			clock += real;
			if (!host_is_instant(host) && clock > limit)
				clock = limit;
		}
	} else {
		real = parts_unstolen(parts, count);
		clock = slice->base +
			fixed_mul((uint64_t)((double)real * engine.tsc_per_ns),
				  slice->mult);
	}
	if (!host_is_instant(host))
		clock = read_by_all(slice, clock);
	charge_parts(parts, count, (clock - slice->base) * slice->shares);
	if (clock > host->clock)
		host->clock = clock;
}

/* ---- what a stop costs ------------------------------------------------- */

static _Noreturn void measure_child(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ptrace(PTRACE_TRACEME, 0, 0, 0))
		_exit(errno);
	raise(SIGSTOP);
	for (;;)
		raise(SIGUSR1);
}

/*
 * From the look at the TSC (the task is resumed) to its next stop, for a task
 * that does next to nothing. The least of `ticks` and what was
 * measured; returns 0, or why nothing can be.
 */
static int measure_stop(uint64_t *ticks)
{
	const struct sched_param param = { .sched_priority = PRIO_TASK };
	uint64_t start, took;
	pid_t child = fork();
	int status;

	if (child == 0)
		measure_child();
	if (child < 0)
		return -errno;
	if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
		return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
	sched_setscheduler(child, SCHED_FIFO, &param);
	for (int i = 0; i < 200; i++) {
		start = tsc_now();
		ptrace(PTRACE_SYSCALL, child, 0, 0);
		took = tsc_now() - start;
		waitpid(child, &status, __WALL);
		if (took < *ticks)
			*ticks = took;
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	return 0;
}

int charge_init(char *why, size_t size)
{
	uint64_t ticks = UINT64_MAX;
	int result = measure_stop(&ticks);

	if (result) {
		snprintf(why, size,
			 "no process can be traced here (%s); fix: "
			 "kernel.yama.ptrace_scope below 3 (3 stays until a reboot), and "
			 "CAP_SYS_PTRACE in a container",
			 strerror(-result));
		return result;
	}
	/* The way in and the way out are about as long. */
	charge_enter_ticks = ticks / 2;
	leave_ticks = ticks - ticks / 2;
	return 0;
}
