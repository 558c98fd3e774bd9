// SPDX-License-Identifier: MIT
/*
 * A timer: when it is due, and how often it has expired. All kinds of timers that
 * programs have are built on it.
 *
 * As in the kernel, a periodic timer whose last signal or tick nobody has taken has
 * nothing to tell. If its period is short it has no event then, until a task of its
 * host has run and may have taken it; and one of a period below PERIOD_MIN tells
 * several expiries at once. Either lags behind the clock: where a program could see
 * that, it is made to tell what it has not told before a task runs.
 */
#include "engine.h"
#include "host.h"
#include "timed.h"
#include "timers.h"

/* What is due later is never due: sums of times must not overflow. */
#define FAR (HEAP_NEVER / 2)

#define PERIOD_MIN (10 * NSEC_PER_USEC)

/* While tasks of the host run, who would have to be stopped for it. */
#define PERIOD_MIN_BUSY (10 * PERIOD_MIN)

/* From here on, an event for each expiry is no burden. */
#define PERIOD_SLOW (10 * NSEC_PER_MSEC)

static int64_t timer_now(const struct timer *timer, const struct host *host)
{
	return timer->cpu ? timer->cpu->ns : host_now(host);
}

/* Else it is in its host's heap, if it is in one at all. */
static bool in_cpu_heap(const struct timer *timer)
{
	return timer->cpu && timer->at > timer->cpu->ns;
}

static void remove_event(struct timer *timer, struct host *host)
{
	if (in_cpu_heap(timer))
		heap_remove(&timer->cpu->timers, &timer->event.node);
	else
		host_remove_event(host, &timer->event);
}

static void set_lagging(struct timer *timer, struct host *host, bool lagging)
{
	if (timer->lagging == lagging)
		return;
	timer->lagging = lagging;
	if (lagging)
		LIST_INSERT_HEAD(&host->lagging, timer, entry);
	else
		LIST_REMOVE(timer, entry);
}

void timer_cancel(struct timer *timer, struct host *host)
{
	remove_event(timer, host);
	set_lagging(timer, host, false);
}

/* When it is due, or later if its period is too short for that. */
static void timer_arm(struct timer *timer, struct host *host, int64_t least)
{
	int64_t soonest = timer_now(timer, host) + least;

	remove_event(timer, host);
	timer->at = timer->due < FAR ? timer->due : HEAP_NEVER;
	if (timer->interval && timer->interval < least && timer->due < soonest)
		timer->at = soonest;
	set_lagging(timer, host, timer->at > timer->due);
	if (in_cpu_heap(timer))
		heap_set(&timer->cpu->timers, &timer->event.node, timer->at);
	else
		host_add_event(host, &timer->event,
			       timer->cpu ? host_now(host) : timer->at);
}

void timer_set(struct timer *timer, struct host *host, int64_t time, bool absolute,
	       int64_t offset)
{
	timer_cancel(timer, host);
	if (!time)
		return;
	timer->due = absolute && time < FAR ? time - offset :
		     absolute		    ? time :
					      add_time(timer_now(timer, host), time);
	timer_arm(timer, host, 0);
}

static bool is_set(const struct timer *timer)
{
	return timer->lagging || heap_contains(&timer->event.node);
}

int64_t timer_left(const struct timer *timer, const struct host *host)
{
	int64_t left = timer->due - timer_now(timer, host);

	if (!is_set(timer))
		return 0;
	if (left <= 0 && timer->interval)
		left = timer->interval + left % timer->interval;
	return left > 0 ? left : 1;
}

int64_t timer_expiries(struct timer *timer, const struct host *host)
{
	int64_t now = timer_now(timer, host), late = now - timer->due;

	if (!timer->interval)
		return 1;
	if (late < 0)
		return 0;
	timer->due = timer->interval < HEAP_NEVER - now ?
			     now - late % timer->interval + timer->interval :
			     HEAP_NEVER;
	return late / timer->interval + 1;
}

bool timer_is_fast(const struct timer *timer)
{
	return !timer->cpu && timer->interval && timer->interval < PERIOD_SLOW;
}

void timer_again(struct timer *timer, struct host *host, bool heeded)
{
	if (!timer->interval)
		return;
	if (heeded || !timer_is_fast(timer))
		timer_arm(timer, host, PERIOD_MIN);
	else
		set_lagging(timer, host, true);
}

int64_t timer_overruns(struct timer *timer, struct host *host)
{
	int64_t expiries = 0;

	if (timer->interval && is_set(timer)) {
		expiries = timer_expiries(timer, host);
		timer_cancel(timer, host);
		timer_again(timer, host, true);
	}
	return expiries;
}

void timers_tell(struct host *host)
{
	struct timer *timer = LIST_FIRST(&host->lagging);

	while (timer) {
		if (!timer->visible || timer->due > host_now(host)) {
			timer = LIST_NEXT(timer, entry);
			continue;
		}
		timer_cancel(timer, host);
		timer->event.fire(&timer->event, host);
		/* A process may have been seen to end meanwhile, with its timers. */
		timer = LIST_FIRST(&host->lagging);
	}
}

void timers_revive(struct host *host)
{
	int64_t least = TAILQ_EMPTY(&host->ready) ? PERIOD_MIN : PERIOD_MIN_BUSY;
	struct timer *timer, *next;

	for (timer = LIST_FIRST(&host->lagging); timer; timer = next) {
		next = LIST_NEXT(timer, entry);
		if (!heap_contains(&timer->event.node))
			timer_arm(timer, host, least);
	}
}
