// SPDX-License-Identifier: MIT
/*
 * Before the freeze and after a thaw: virtual time follows real time, what is due is
 * done, and the workers sleep. And what comes from outside, between windows as well.
 */
#include <sys/epoll.h>
#include <time.h>

#include "blocked.h"
#include "engine.h"
#include "host.h"
#include "inspect.h"
#include "links.h"
#include "live.h"
#include "park.h"
#include "relay.h"
#include "rounds.h"
#include "stops.h"
#include "task.h"
#include "tracers.h"
#include "wire.h"

/* Real time that a tracer has from its registration to its command, on a busy machine as well. */
#define JOIN_PATIENCE (5 * NSEC_PER_SEC)

int64_t live_now(void)
{
	return engine.live_base + ns_since(engine.live_tsc);
}

bool look_outside(void)
{
	uint64_t stops = engine.stats.stops;

	tracers_accept();
	task_settle();
	blocked_look();
	return (int)link_read_all() | (int)relay_read() || engine.stats.stops != stops;
}

void await_outside(int64_t ns)
{
	const struct timespec timeout = { ns / NSEC_PER_SEC, ns % NSEC_PER_SEC };
	struct epoll_event event;

	stops_signal(true);
	if (!stops_news())
		epoll_pwait2(engine.epoll, &event, 1, ns < 0 ? NULL : &timeout, NULL);
	stops_signal(false);
}

void sleep_outside(int64_t ns)
{
	park_end_all();
	engine.worker_sleeps = true;
	if (!link_inbox())
		await_outside(ns);
	engine.worker_sleeps = false;
	eventfd_clear(engine.wake);
}

void live_run(int timeout_ms)
{
	int64_t now = live_now();
	int64_t left = timeout_ms * NSEC_PER_MSEC;
	struct host *host;

	engine.now = now;
	wire_receive(0);
	look_outside();
	wire_flush();
	link_captures_flush();
	host = host_first();
	if (host && host->key.time <= now) {
		host_run(host, now);
		return;
	}
	if (host && (left < 0 || host->key.time - now < left))
		left = host->key.time - now;
	sleep_outside(left);
	look_outside();
}

void live_await_tracers(void)
{
	uint64_t start = tsc_now();

	look_outside();
	while (engine.joining && !rounds_interrupted() &&
	       ns_since(start) < JOIN_PATIENCE) {
		sleep_outside(10 * NSEC_PER_MSEC);
		look_outside();
	}
	if (engine.joining && !rounds_interrupted())
		give_up_joining();
}

int64_t live_freeze_time(void)
{
	int64_t now = live_now();

	for (uint32_t i = 0; i < engine.host_count; i++)
		if (engine.hosts[i]->clock > now)
			now = engine.hosts[i]->clock;
	/*
	 * Programs that do arithmetic with seconds and fractions apart (ping is
	 * one) must see the same fractions in every run.
	 */
	if (!engine.origin)
		now = (now / NSEC_PER_SEC + 1) * NSEC_PER_SEC;
	return now;
}

void live_freeze(int64_t time)
{
	engine.now = time;
	engine.live = false;
	if (!engine.origin) {
		engine.origin = time;
		link_restart_random();
		if (engine.epoch >= 0)
			engine.realtime = engine.epoch - time;
	}
	for (uint32_t i = 0; i < engine.host_count; i++) {
		engine.hosts[i]->clock = time;
		host_changed(engine.hosts[i]);
	}
}

void live_thaw(uint64_t tsc)
{
	engine.live_base = engine.now;
	engine.live_tsc = tsc;
	engine.live = true;
}
