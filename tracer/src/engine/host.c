// SPDX-License-Identifier: MIT
/* A logical process: its clock, its events and its ready tasks. See host.h. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "blocked.h"
#include "calls.h"
#include "cputime.h"
#include "engine.h"
#include "handover.h"
#include "host.h"
#include "links.h"
#include "live.h"
#include "pace.h"
#include "park.h"
#include "pty.h"
#include "rounds.h"
#include "task.h"
#include "tcp_timers.h"
#include "workers.h"

/* An Open vSwitch with many switches takes seconds to close its sockets. */
#define KILL_MS 30000

/* One turn in a window if others of the host may want to run. */
#define QUANTUM (3 * NSEC_PER_MSEC)

/* One turn while virtual time follows real time. */
#define LIVE_QUANTUM (2 * NSEC_PER_MSEC)

static struct host *named; /* those that have not been removed */

bool host_is_instant(const struct host *host)
{
	return host->pace == KRONOS_PACE_INSTANT;
}

struct host *host_get(uint32_t id)
{
	return id >= 1 && id <= engine.host_count ? engine.hosts[id - 1] : NULL;
}

struct host *host_find(const char *name)
{
	struct host *host;

	HASH_FIND_STR(named, name, host);
	return host;
}

/* The worker with the fewest hosts, the last of them: the first has the switches. */
static uint32_t least_used_worker(void)
{
	uint32_t used[WORKERS_MAX] = { 0 }, least = 0;

	for (uint32_t i = 0; i < engine.host_count; i++)
		used[engine.hosts[i]->worker]++;
	for (uint32_t i = 1; i < engine.workers; i++)
		if (used[i] <= used[least])
			least = i;
	return least;
}

struct host *host_add(const struct kronos_host_config *config)
{
	struct host *host = xcalloc(sizeof(*host));

	host->id = engine.host_count + 1;
	host->worker = config->place ? (config->place - 1) % engine.workers :
				       least_used_worker();
	host->remote = host->worker != engine.worker;
	memcpy(host->name, config->name, sizeof(host->name));
	host->name[sizeof(host->name) - 1] = '\0';
	host->pace = config->pace;
	host->counter = config->counter == KRONOS_COUNTER_AUTO ?
				KRONOS_COUNTER_CPUTIME :
				config->counter;
	host->cpu_speed = config->cpu_speed;
	host->cores = config->cores ? config->cores : 1;
	if (isinf(config->cpu_speed))
		host->counter = KRONOS_COUNTER_FREE;
	if (host->pace == KRONOS_PACE_DILATED &&
	    host->counter != KRONOS_COUNTER_FREE)
		host->mult = (uint64_t)((double)engine.ns_per_tsc /
					config->cpu_speed);
	if (host->counter == KRONOS_COUNTER_INSTRUCTIONS)
		host->instruction_mult = (uint64_t)(0x1p32 / config->cpu_speed);
	host->lookahead = INT64_MAX;
	if (host->pace == KRONOS_PACE_REALTIME)
		engine.undilated = true;
	TAILQ_INIT(&host->ready);
	LIST_INIT(&host->tasks);
	LIST_INIT(&host->questions);
	/* Frames of a host whose clock moves inside a slice are stamped by the
	 * watchdog; an instant one's are read when its slice is over. */
	host->tap_epoll = host->pace != KRONOS_PACE_DILATED && !host->remote ?
				  epoll_create1(EPOLL_CLOEXEC) : -1;
	if (host->tap_epoll >= 0)
		epoll_ctl(engine.tap_epoll, EPOLL_CTL_ADD, host->tap_epoll,
			  &(struct epoll_event){ .events = EPOLLIN,
						 .data.ptr = host });
	engine.hosts = xrealloc(engine.hosts,
				(engine.host_count + 1) * sizeof(*engine.hosts));
	engine.hosts[engine.host_count++] = host;
	HASH_ADD_STR(named, name, host);
	return host;
}

int64_t host_now(const struct host *host)
{
	int64_t floor = engine.live ? live_now() : engine.now;

	return host->clock > floor ? host->clock : floor;
}

void host_advance(struct host *host, int64_t time)
{
	if (time > host_now(host)) {
		host->clock = time;
		host->burst = 0;
		host_changed(host);
	}
}

int64_t host_next(const struct host *host)
{
	int64_t event = heap_time(&host->events);
	int64_t ready;

	if (host->standalone && !engine.origin)
		return HEAP_NEVER;
	if (TAILQ_EMPTY(&host->ready) && !blocked_holds(host))
		return event;
	ready = host_now(host);
	if (ready < host->ahead)
		ready = host->ahead;
	return ready < event ? ready : event;
}

struct host *host_first(void)
{
	struct heap_node *node = heap_first(&engine.active);

	return node ? container_of(node, struct host, key) : NULL;
}

void host_changed(struct host *host)
{
	int64_t next = host_next(host);

	if (next == HEAP_NEVER)
		heap_remove(&engine.active, &host->key);
	else
		heap_set(&engine.active, &host->key, next);
}

void host_add_event(struct host *host, struct event *event, int64_t time)
{
	heap_set(&host->events, &event->node, time);
	host_changed(host);
}

void host_remove_event(struct host *host, struct event *event)
{
	if (!heap_contains(&event->node))
		return;
	heap_remove(&host->events, &event->node);
	host_changed(host);
}

static void fire_events(struct host *host)
{
	struct heap_node *node;
	struct event *event;

	while ((node = heap_first(&host->events)) && node->time <= host_now(host)) {
		heap_remove(&host->events, node);
		event = container_of(node, struct event, node);
		if (event->fire != wait_timeout) /* it may send a signal */
			park_end_of(host);
		event->fire(event, host);
	}
}

/* The clocks of a round end equal; what was used beyond it is repaid by waiting. */
static void close_window(struct host *host, int64_t until)
{
	if (host->clock > until) {
		host->ahead = host->clock;
		host->clock = until;
	}
}

/* Not beyond what is due on the task's CPU time, nor longer than a turn. */
static int64_t slice_limit(const struct task *task, int64_t limit)
{
	const struct host *host = task->host;
	int64_t most = cputime_left(task), now = host_now(host);

	if (host->mult && host->task_count > 1 && most > QUANTUM)
		most = QUANTUM;
	return most < limit - now ? now + most : limit;
}

/* One that computes in no virtual time, and has let its clock go on, still does. */
static void repay(struct host *host, int64_t until)
{
	int64_t burst = host->burst;

	host_advance(host, host->ahead < until ? host->ahead : until);
	host->burst = burst;
}

static void run_live(struct host *host)
{
	struct task *task;

	fire_events(host);
	task = TAILQ_FIRST(&host->ready);
	if (task) {
		timers_tell(host);
		slice_run(task, slice_limit(task, host_now(host) + LIVE_QUANTUM));
		timers_revive(host);
	}
	host_changed(host);
}

void host_run(struct host *host, int64_t until)
{
	struct task *task;
	int64_t limit;

	if (engine.live) {
		run_live(host);
		return;
	}
	if (host->ahead > host_now(host))
		repay(host, until);
	blocked_await(host);
	if (TAILQ_EMPTY(&host->ready) && heap_time(&host->events) < until)
		host_advance(host, heap_time(&host->events));
	for (;;) {
		if (heap_time(&host->events) <= host_now(host))
			handover_settle(host);
		fire_events(host);
		if (TAILQ_EMPTY(&host->ready) && !pty_settle(host) &&
		    !handover_settle(host))
			break;
		if (host_now(host) >= until || rounds_interrupted())
			break;
		if (!LIST_EMPTY(&host->lagging)) {
			handover_settle(host); /* what they tell may wake one */
			timers_tell(host);
		}
		task = TAILQ_FIRST(&host->ready);
		if (!task)
			continue;
		limit = heap_time(&host->events);
		slice_run(task, slice_limit(task, limit < until ? limit : until));
		timers_revive(host);
	}
	handover_settle(host);
	if (host->tap_epoll >= 0)
		link_flush();
	close_window(host, until);
	host_changed(host);
}

/* It would go on for ever, or has computed for so long that its clock has gone on. */
static bool may_answer(const struct host *host)
{
	return host_is_instant(host) && !TAILQ_EMPTY(&host->ready) &&
	       host->ahead <= engine.now;
}

bool host_answer(void)
{
	for (uint32_t i = 0; i < engine.host_count; i++) {
		struct host *host = engine.hosts[i];
		struct task *task;

		if (!may_answer(host))
			continue;
		task = TAILQ_FIRST(&host->ready);
		slice_run(task, slice_limit(task, engine.now + 1));
		if (host->tap_epoll >= 0)
			link_flush();
		close_window(host, engine.now);
		host_changed(host);
		return true;
	}
	return false;
}

static void kill_task(struct task *task, void *arg)
{
	if (!arg || task->host == arg)
		kill(task->process->pid, SIGKILL);
}

void host_kill(struct host *host)
{
	static const struct timespec nap = { .tv_nsec = NSEC_PER_MSEC };
	int tries = 0;

	/* New children may appear between two looks. */
	while (host->task_count && tries++ < KILL_MS) {
		task_for_each(kill_task, host);
		nanosleep(&nap, NULL);
		task_drain();
	}
	tcp_forget(host);
	if (host->task_count)
		engine_warn("%s: %u tasks did not end on SIGKILL", host->name,
			    host->task_count);
}

void host_remove(struct host *host)
{
	host_kill(host);
	if (host_find(host->name) == host)
		HASH_DEL(named, host);
}

void hosts_kill(void)
{
	task_for_each(kill_task, NULL); /* they end side by side */
	for (uint32_t i = 0; i < engine.host_count; i++)
		host_kill(engine.hosts[i]);
}
