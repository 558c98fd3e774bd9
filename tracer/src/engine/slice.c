// SPDX-License-Identifier: MIT
/*
 * One turn of one task: what it sees of the clock, when it is cut, and what is to be
 * seen to when it is over. What its host is charged for it is in charge.c.
 */
#include <sched.h>
#include <signal.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <time.h>

#include "blocked.h"
#include "calls.h"
#include "charge.h"
#include "clocks.h"
#include "counter.h"
#include "engine.h"
#include "handover.h"
#include "host.h"
#include "inspect.h"
#include "latch.h"
#include "links.h"
#include "park.h"
#include "relay.h"
#include "slice.h"
#include "stamps.h"
#include "task.h"
#include "terminal.h"
#include "uptime.h"
#include "watchdog.h"

/* Real time that a task may compute in no virtual time before others get a turn. */
#define FREE_QUANTUM (10 * NSEC_PER_MSEC)

/* Real time that a slice may take at most, as one does whose instructions are counted. */
#define BUDGET_MAX (3600 * NSEC_PER_SEC)

static uint64_t arm_ticks;   /* to set the watchdog's timer; a moving average */

static bool counts_instructions(const struct host *host)
{
	return host->instruction_mult && !engine.live;
}

/* How many the task may execute until its host's clock is `limit`. */
static uint64_t instruction_budget(const struct slice *slice, int64_t limit)
{
	const struct host *host = slice->host;
	int64_t window = engine.window_end - engine.now, ns = limit - slice->base;
	uint64_t each = host->instruction_mult / slice->shares;
	unsigned __int128 time;

	/* On one of its CPUs it cannot run for longer than a window. */
	if (slice->shares > 1 && ns * slice->shares > window)
		ns = window / slice->shares;
	time = (unsigned __int128)(ns > 0 ? ns : 1) << 32;
	if (time <= host->instruction_rest)
		return 1;
	return (uint64_t)((time - host->instruction_rest + each - 1) / each);
}

int64_t slice_time(const struct slice *slice, uint64_t tsc)
{
	int64_t ran = (int64_t)(tsc - slice->tsc_start);
	int64_t time = slice->base;
	uint32_t rest;

	if (slice->host->counter == KRONOS_COUNTER_FREE)
		time = charge_clock_read(slice->task, time);
	else if (counts_instructions(slice->host))
		time += charge_instructions_ns(slice, counter_now(), &rest);
	else if (ran > 0)
		time += fixed_mul((uint64_t)ran, slice->mult);
	return time < slice->cap ? time : slice->cap;
}

static void fill_page(const struct slice *slice, const struct task *task)
{
	const struct process *process = task->process;
	const struct host *host = slice->host;
	struct vclock_page *page;

	if (!process->clock)
		return;
	page = process->clock->page;

	*page = (struct vclock_page){
		.base = slice->base,
		.cap = INT64_MAX,
		.realtime = engine.realtime,
		.boottime = engine.boottime + process->timens.boottime,
		.monotonic = process->timens.monotonic,
		.tai = engine.tai,
		.process_cpu = process->cpu.ns - slice->base,
		.thread_cpu = task->cpu.ns - slice->base,
		.cpu_asked = !LIST_EMPTY(&host->handovers),
		.sequence = page->sequence + 1,
		.tsc_trapped = process->tsc_trapped,
		.last = page->last,
	};
	if (engine.live) {
		page->base = engine.live_base;
		page->tsc_start = engine.live_tsc;
		page->mult = engine.ns_per_tsc;
	} else if (counts_instructions(host)) {
		page->cap = slice->base - 1; /* each read asks the engine */
	} else if (slice->mult) {
		page->tsc_start = slice->tsc_start;
		page->mult = slice->mult;
		page->cap = slice->cap;
	} else if (!host_is_instant(host)) {
		page->read_cost = FREE_READ_COST;
		page->cap = slice->cap;
	}
}

static void fill_pages(const struct slice *slice)
{
	const struct task *task;

	LIST_FOREACH(task, &slice->host->handovers, handover.entry)
		fill_page(slice, task);
	fill_page(slice, slice->task);
}

/*
 * How many of the host's tasks would run at once on its virtual CPUs. They take
 * turns instead, and while one runs the host's clock moves only by its share:
 * so in a window each does what it would have done beside the others.
 */
static uint32_t shares(const struct host *host, const struct task *task)
{
	const struct task *other;
	uint32_t count = 1;

	TAILQ_FOREACH(other, &host->ready, ready_entry)
		if (other != task && ++count >= host->cores)
			break;
	return count < host->cores ? count : host->cores;
}

/* How long the task may run in real time. */
static int64_t real_budget(const struct host *host, int64_t virtual_ns, uint32_t count)
{
	int64_t window = engine.window_end - engine.now;
	double real;

	if (engine.live)
		return virtual_ns;
	if (!host->mult)
		return !host_is_instant(host) && charge_burst_is_over(host) ?
			       virtual_ns :
			       FREE_QUANTUM;
	/* On one of its CPUs it cannot run for longer than a window. */
	virtual_ns *= count;
	if (count > 1 && virtual_ns > window)
		virtual_ns = window;
	real = (double)virtual_ns * host->cpu_speed;
	return real < (double)BUDGET_MAX ? (int64_t)real : BUDGET_MAX;
}

/* What the host's next turn will be like if nothing happens. */
static uint64_t next_ticks(const struct host *host, uint32_t count)
{
	int64_t window = engine.window_end - engine.now;

	return (uint64_t)((double)real_budget(host, window, count) * engine.tsc_per_ns);
}

/*
 * The slice starts when its task reaches user code. Everything dear is done
 * before the look at the TSC; what comes after it is in charge_enter_ticks.
 */
static void slice_open(struct slice *slice, struct task *task, int64_t limit)
{
	struct host *host = task->host;
	int64_t base = host_now(host);
	uint32_t count = host->cores > 1 ? shares(host, task) : 1;
	int64_t budget = real_budget(host, limit - base, count);
	uint64_t ticks, start, now;
	int64_t ns;
	bool armed;

	if (budget < NSEC_PER_USEC)
		budget = NSEC_PER_USEC;
	if (counts_instructions(host))
		budget = BUDGET_MAX; /* the watchdog has nothing to end */
	ticks = (uint64_t)((double)budget * engine.tsc_per_ns);
	now = tsc_now();
	armed = watchdog_arm(now + charge_enter_ticks + ticks, arm_ticks);
	if (armed)
		arm_ticks = (7 * arm_ticks + tsc_now() - now) / 8;
	/* Before the watchdog can see the slice, and ask whether its latch has fired. */
	ns = fixed_mul(charge_enter_ticks + ticks, engine.ns_per_tsc);
	latch_prepare(task, timed_stops(task), ns);
	if (!LIST_EMPTY(&host->handovers))
		handover_open(task, ns);
	engine_lock();
	start = tsc_now() + charge_enter_ticks;
	*slice = (struct slice){
		.host = host,
		.last = host,
		.task = task,
		.base = base,
		.shares = count,
		.mult = host->mult / count,
		.tsc_start = start,
		.tsc_end = start + ticks,
		.cap = engine.live || host_is_instant(host) ? INT64_MAX : limit,
	};
	engine_unlock();
	/* The timer may have gone off just before there was a slice to see. */
	watchdog_arm(slice->tsc_end, 0);
	if (host->mult && !engine.live && !counts_instructions(host))
		watchdog_expect(slice->tsc_end, armed ? arm_ticks : 0,
				next_ticks(host, count));
	fill_pages(slice);
}

static void shift_page(const struct slice *slice, const struct task *task)
{
	struct clock_map *clock = task->process->clock;

	if (!clock)
		return;
	clock->page->sequence++;
	clock->page->tsc_start = slice->tsc_start;
}

void slice_exclude(uint64_t ticks)
{
	struct slice *slice = &engine.slice;
	int64_t ns = fixed_mul(ticks, engine.ns_per_tsc);
	const struct task *task;

	if (!slice->host || !slice->task || !slice->host->mult || engine.live)
		return;
	slice->tsc_start += ticks;
	slice->tsc_end += ticks;
	latch_postpone(slice->task, ns);
	shift_page(slice, slice->task);
	LIST_FOREACH(task, &slice->host->handovers, handover.entry) {
		if (task != slice->task)
			latch_postpone(task, ns);
		shift_page(slice, task);
	}
}

/* The watchdog had to take the task's priority away: stop it the hard way. */
static void stop_demoted(struct task *task)
{
	const struct sched_param param = { .sched_priority = PRIO_TASK };
	bool computes, trap_blocked;

	/* It may have blocked or stopped by itself. */
	latch_state(task, &computes, &trap_blocked);
	if (computes)
		task_interrupt(task);
	sched_setscheduler(task->tid, SCHED_FIFO, &param);
}

void slice_run(struct task *task, int64_t limit)
{
	struct slice *slice = &engine.slice;
	struct host *host = task->host;
	bool counted = counts_instructions(host);
	pid_t tid = task->tid;
	uint64_t end, count;
	int64_t real;

	park_end_of(host);
	if (!LIST_EMPTY(&task->process->rings))
		rings_stamp(task);
	uptime_update(task);
	slice_open(slice, task, limit);
	engine.stats.slices++;
	real = stamps_begin(host);
	if (counted)
		count = counter_run(task, instruction_budget(slice, limit));
	else
		task_resume(task);
	end = tsc_now();
	engine_lock();
	if (counted) {
		charge_counted(slice, count);
	} else {
		charge(slice, limit, end);
		task->cut = slice->cut;
	}
	stamps_end(host, real, slice->base);
	slice->host = NULL; /* the watchdog lets go of it */
	engine_unlock();
	if (slice->long_call)
		blocked_in_call(slice->runner ? slice->runner : task);
	else if (slice->demoted)
		stop_demoted(task);
	if (counted)
		counter_settle(task);
	else
		task_collect();
	if (slice->handed)
		handover_settle(host);
	if (!LIST_EMPTY(&host->handovers))
		handover_blocked(host);
	blocked_begin(tid);
	task_await_exits();
	slice->task = NULL;
	host->pty_unsettled = host->has_ptys;
	if (host->tcp_local)
		host->tcp_seen = engine.tcp_seen = true;
	link_read_host(host);
	if (host->relayed)
		relay_read();
}
