// SPDX-License-Identifier: MIT
/*
 * Rounds. A round is a window [now, now + timestep): the host that can act at
 * the earliest virtual time acts first, until none can act in the window; then
 * all clocks are equal and everything stands still. Windows in which nobody can
 * act are passed over in one step.
 *
 * Before the freeze and after a thaw there are no windows: what is due in real
 * time is done, and the worker sleeps.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "engine.h"

int64_t rounds_live_now(void)
{
	return engine.live_base +
	       fixed_mul(tsc_now() - engine.live_tsc, engine.ns_per_tsc);
}

static void start_live_clock(void)
{
	engine.live_base = engine.now;
	engine.live_tsc = tsc_now();
}

static struct host *first_host(void)
{
	struct heap_node *node = heap_first(&engine.active);

	return node ? container_of(node, struct host, key) : NULL;
}

/* ---- real time --------------------------------------------------------- */

/* Something may have happened outside: tracers, stops, frames. Returns true if so. */
static bool look_outside(void)
{
	uint64_t stops = engine.stats.stops;

	engine_accept_tracers();
	task_drain();
	return link_read_all() || engine.stats.stops != stops;
}

/* Sleeps in real time until something happens outside, at most so many ms. */
static void sleep_outside(int timeout_ms)
{
	struct epoll_event event;

	engine.worker_sleeps = true;
	if (!look_outside())
		epoll_wait(engine.epoll, &event, 1, timeout_ms);
	engine.worker_sleeps = false;
	eventfd_clear(engine.inbox_event);
	look_outside();
}

void rounds_live(int timeout_ms)
{
	int64_t now = rounds_live_now();
	struct host *host;
	int64_t left;

	engine.now = now;
	look_outside();
	host = first_host();
	if (host && host->key.time <= now) {
		host_run(host, now);
		return;
	}
	if (host) {
		left = (host->key.time - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
		if (timeout_ms < 0 || left < timeout_ms)
			timeout_ms = left > 1000 ? 1000 : (int)left;
	}
	sleep_outside(timeout_ms);
}

void rounds_await_tracers(void)
{
	uint64_t start = tsc_now();

	while (engine.joining && !engine.interrupted &&
	       fixed_mul(tsc_now() - start, engine.ns_per_tsc) < NSEC_PER_SEC)
		sleep_outside(10);
}

void rounds_freeze(void)
{
	int64_t now = rounds_live_now();

	for (uint32_t i = 0; i < engine.host_count; i++)
		if (engine.hosts[i]->clock > now)
			now = engine.hosts[i]->clock;
	/*
	 * Programs that do arithmetic with seconds and fractions apart (ping is
	 * one) must see the same fractions in every run.
	 */
	if (!engine.origin)
		now = (now / NSEC_PER_SEC + 1) * NSEC_PER_SEC;
	engine.now = now;
	engine.live = false;
	if (!engine.origin) {
		engine.origin = now;
		link_restart_random();
		if (engine.epoch >= 0)
			engine.realtime = engine.epoch - now;
	}
	for (uint32_t i = 0; i < engine.host_count; i++) {
		engine.hosts[i]->clock = now;
		host_changed(engine.hosts[i]);
	}
}

void rounds_thaw(void)
{
	start_live_clock();
	engine.live = true;
}

/* ---- windows ----------------------------------------------------------- */

static bool readable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	/* On a pty this also waits until what was written to it has arrived. */
	return fd >= 0 && poll(&poll_fd, 1, 0) > 0;
}

static void run_window(int64_t end)
{
	engine.window_end = end;
	while (heap_time(&engine.active) < end && !engine.interrupted)
		host_run(first_host(), end);
}

/*
 * Waits in real time for `ns` or something from outside, while the kernel's
 * timers run. Returns the whole windows that have passed.
 */
static int64_t pace_windows(int64_t timestep, int64_t ns)
{
	const struct timespec timeout = { ns / NSEC_PER_SEC, ns % NSEC_PER_SEC };
	static int64_t carried; /* of a window that has begun to pass */
	struct epoll_event event;
	int64_t passed;

	start_live_clock();
	engine.paced = engine.worker_sleeps = true;
	epoll_pwait2(engine.epoll, &event, 1, &timeout, NULL);
	engine.paced = engine.worker_sleeps = false;
	eventfd_clear(engine.inbox_event);
	passed = rounds_live_now() - engine.now + carried;
	if (passed > ns)
		passed = ns;
	carried = passed % timestep;
	return passed / timestep;
}

/*
 * Passes over windows in which nobody can act, at most `most` of them.
 * Returns their number; 0 if there is something to do after all.
 */
static int64_t skip_windows(int64_t timestep, int64_t most)
{
	int64_t next, rounds = most;

	task_await_exits();
	if (look_outside())
		return 0;
	next = heap_time(&engine.active);
	if (next != HEAP_NEVER && (next - engine.now) / timestep < most)
		rounds = (next - engine.now) / timestep;
	if (rounds && tcp_pending())
		rounds = pace_windows(timestep, rounds * timestep);
	engine.now += rounds * timestep;
	engine.stats.rounds_skipped += (uint64_t)rounds;
	return rounds;
}

int64_t rounds_progress(int64_t timestep, int64_t num_rounds, int until_fd)
{
	int64_t limit = (HEAP_NEVER / 2 - engine.now) / timestep;
	int64_t done = 0, end;

	if (num_rounds > limit)
		num_rounds = limit;
	engine.interrupted = false;
	engine.progressing = true;
	rounds_await_tracers();
	if (until_fd >= 0)
		epoll_ctl(engine.epoll, EPOLL_CTL_ADD, until_fd,
			  &(struct epoll_event){ .events = EPOLLIN });
	while (done < num_rounds && !engine.interrupted && !readable(until_fd)) {
		end = engine.now + timestep;
		if (heap_time(&engine.active) < end) {
			run_window(end);
			engine.now = end;
			done++;
		} else if (until_fd >= 0 && heap_time(&engine.active) == HEAP_NEVER) {
			sleep_outside(-1);
		} else {
			done += skip_windows(timestep, num_rounds - done);
		}
	}
	if (until_fd >= 0)
		epoll_ctl(engine.epoll, EPOLL_CTL_DEL, until_fd, NULL);
	engine.progressing = false;
	engine.stats.rounds += (uint64_t)done;
	return done;
}
