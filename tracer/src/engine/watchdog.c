// SPDX-License-Identifier: MIT
/*
 * The second thread. It is above the dilated tasks on their CPU and sleeps
 * until one of these happens: the running slice is over; a host whose clock
 * moves inside a slice sends a frame, which must be stamped now; the
 * orchestrator has died; virtual time has stood still for long.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"
#include "handover.h"
#include "host.h"
#include "latch.h"
#include "links.h"
#include "procfs.h"
#include "rounds.h"
#include "task.h"
#include "watchdog.h"

/* A system call that goes on for so long after the end of its task's slice goes on
 * without the priority: RUNAWAY_USEC of task.c would end it. */
#define CALL_DEMOTED (NSEC_PER_SEC / 4)
/* Setting the timer anew is dearer than an end that is so much too late or early. */
#define SLACK (3 * NSEC_PER_USEC)
/* In units of SLACK: a slice that begins so long after the end of another one does
 * not follow it. */
#define GAP_MAX 20
/* So often a cut is put off by some SLACKs, see put_off(). */
#define PUT_OFF_MAX 3
/* After a slice that was not as expected so many are not expected at all. */
#define DISTRUST 32
#define STALL_SECONDS 5

static int epoll = -1;
static int ticker = -1; /* once a second */
static uint64_t slack; /* SLACK in ticks */
static pthread_t thread;

/* What the descriptors stand for; TAPs have their port instead. */
static int ticker_tag, control_tag, carrier_tag;

/* ---- the timers -------------------------------------------------------- */

/* The end of a slice, and of the one that is expected to follow it. */
static struct timer_fd {
	int fd;
	volatile uint64_t armed; /* TSC at which it expires, 0: never */
} timers[2];

static struct {
	uint64_t end;  /* of the last slice, as it was to be */
	bool cut;      /* it was cut there */
	uint64_t gap;  /* from there to the start of the next one; a moving average */
	bool pending;  /* a timer is set for a slice that is to come */
	int distrust;  /* slices for which nothing is expected */
} expected;

static void arm_at(struct timer_fd *timer, uint64_t tsc)
{
	uint64_t now = tsc_now();
	int64_t ns = tsc > now ? fixed_mul(tsc - now, engine.ns_per_tsc) : 1;
	const struct itimerspec value = {
		.it_value = { ns / NSEC_PER_SEC, ns % NSEC_PER_SEC + 1 },
	};

	timer->armed = tsc;
	timerfd_settime(timer->fd, 0, &value, NULL);
}

/* The one that expires first, if any does. */
static struct timer_fd *first_timer(void)
{
	uint64_t a = timers[0].armed, b = timers[1].armed;

	return b && (!a || b < a) ? &timers[1] : &timers[0];
}

/*
 * Most slices end by themselves long before: a timer that is due earlier stays
 * as it is, and is set anew when it finds a later end.
 */
bool watchdog_arm(uint64_t tsc_end, uint64_t delay)
{
	struct timer_fd *timer = first_timer();
	uint64_t armed = timer->armed;

	if (expected.pending && (armed > tsc_end + slack || armed + slack < tsc_end))
		expected.distrust = DISTRUST;
	expected.pending = false;
	if (armed && armed <= tsc_end + slack)
		return false;
	arm_at(timer, tsc_end + delay);
	return true;
}

/*
 * To set the first of all timers is dear on a virtual machine, and so is what the
 * kernel does when it goes off: it sets the next one. If that is the right one
 * already half of the cost is saved.
 */
void watchdog_expect(uint64_t tsc_end, uint64_t delay, uint64_t next_ticks)
{
	struct timer_fd *timer = &timers[timers[0].armed ? 1 : 0];
	/* What a slice is late is taken off the next one: this does not vary with it. */
	uint64_t gap = tsc_end - delay - next_ticks - expected.end;
	bool follows = expected.cut && gap < GAP_MAX * slack;

	expected.end = tsc_end;
	expected.cut = false;
	if (follows)
		expected.gap = expected.gap ? (7 * expected.gap + gap) / 8 : gap;
	if (expected.distrust)
		expected.distrust--;
	else if (follows && !timer->armed) {
		expected.pending = true;
		/* Rather too late, which the host is charged for, than too early. */
		arm_at(timer, tsc_end + expected.gap + slack / 3 + next_ticks);
	}
}

/* ---- the end of a slice ------------------------------------------------ */

/* The worker gets the CPU, and stops the task the hard way. */
static void demote(struct task *task)
{
	const struct sched_param param = { .sched_priority = 1 };

	sched_setscheduler(task->tid, SCHED_FIFO, &param);
}

/*
 * Those that would go on by themselves; and who was running? Between slices it may be
 * one that has been woken from outside just then.
 */
static void demote_free(struct slice *slice)
{
	struct task *task;

	if (!slice->last)
		return;
	LIST_FOREACH(task, &slice->last->handovers, handover.entry) {
		if (handover_ran_out(task)) {
			slice->runner = task;
		} else if (handover_is_free(task)) {
			demote(task);
			task->demoted = slice->handed = true;
		}
	}
}

/*
 * The kernel gives other programs their share of the CPU even beside real-time tasks.
 * If the slice ended meanwhile the latch has not seen the task leave the CPU: it will
 * when it has run a little more. Who is interrupted instead may see that.
 */
static bool put_off(struct slice *slice, struct timer_fd *timer, uint64_t now)
{
	if (!latch_lists_stops() || !LIST_EMPTY(&slice->host->handovers) ||
	    latch_fired(slice->task) || slice->put_off++ >= PUT_OFF_MAX)
		return false;
	arm_at(timer, now + 3 * slack);
	return true;
}

/*
 * A task whose latch has fired stops when it is about to run code of its own. In
 * the middle of a system call it is left to finish that: an interrupt would show,
 * since reads of devices and many others then return a part of what was asked for.
 */
static void on_timer(struct timer_fd *timer)
{
	struct slice *slice = &engine.slice;
	uint64_t now = tsc_now(), due = timer->armed;

	timer->armed = 0;
	engine_lock();
	if (slice->host && slice->task && !slice->demoted) {
		if (now + slack < slice->tsc_end) {
			watchdog_arm(slice->tsc_end, 0);
		} else if (!slice->cut && !put_off(slice, timer, now)) {
			slice->due = due;
			slice->cut = now;
			expected.cut = true;
			demote_free(slice);
			if (!latch_fired(slice->task) && !slice->task->demoted) {
				demote(slice->task);
				slice->demoted = true;
			}
		}
	} else if (!slice->host) {
		demote_free(slice);
	}
	engine_unlock();
}

static void end_long_call(void)
{
	struct slice *slice = &engine.slice;

	engine_lock();
	if (slice->host && slice->task && slice->cut && !slice->demoted &&
	    ns_since(slice->cut) > CALL_DEMOTED) {
		slice->long_call = slice->demoted = true;
		demote(slice->runner ? slice->runner : slice->task);
	}
	engine_unlock();
}

static void on_ticker(void)
{
	static int64_t last_now = -1;
	static uint64_t last_slices;
	static int seconds;
	uint64_t expirations;
	bool running;
	int64_t now = rounds_now(&running);
	char name[32];

	if (read(ticker, &expirations, sizeof(expirations)) < 0)
		return;
	end_long_call();
	engine_lock();
	if (!engine.slice.host)
		demote_free(&engine.slice);
	engine_unlock();
	if (!engine.progressing || now != last_now) {
		last_now = now;
		last_slices = engine.stats.slices;
		seconds = 0;
		return;
	}
	if (++seconds % STALL_SECONDS)
		return;
	engine_lock();
	if (engine.slice.host && engine.slice.task) {
		procfs_comm(engine.slice.task->tid, name, sizeof(name));
		engine_warn("virtual time has stood at %.6f s for %d s: waiting for "
			    "%s, process %d (%s), which computes",
			    (double)(now - engine.origin) / 1e9, seconds,
			    engine.slice.host->name,
			    engine.slice.task->process->pid, name);
	} else if (engine.worker == 0 && (engine.workers == 1 || !running) &&
		   engine.stats.slices != last_slices) {
		engine_warn("virtual time has stood at %.6f s for %d s: the instant "
			    "processes keep each other busy",
			    (double)(now - engine.origin) / 1e9, seconds);
	}
	last_slices = engine.stats.slices;
	engine_unlock();
}

static void add(int fd, uint32_t events, void *tag)
{
	struct epoll_event event = { .events = events, .data.ptr = tag };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		engine_bug(__FILE__, __LINE__, "epoll_ctl");
}

void watchdog_watch_control(int fd)
{
	/* Requests are the worker's to read. */
	add(fd, EPOLLRDHUP | EPOLLHUP, &control_tag);
}

void watchdog_watch_tap(int fd, void *port)
{
	add(fd, EPOLLIN, port);
}

void watchdog_watch_carrier(int fd)
{
	add(fd, EPOLLIN | EPOLLET, &carrier_tag);
}

static void on_carrier(void)
{
	engine.carrier_changed = true;
	if (engine.worker_sleeps)
		eventfd_signal(engine.wake);
}

void watchdog_forget(int fd)
{
	epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
}

static void *watchdog(void *arg)
{
	struct epoll_event events[32];
	int count;

	(void)arg;
	for (;;) {
		count = epoll_wait(epoll, events, 32, -1);
		for (int i = 0; i < count; i++) {
			void *tag = events[i].data.ptr;

			if (tag == &timers[0] || tag == &timers[1])
				on_timer(tag);
			else if (tag == &ticker_tag)
				on_ticker();
			else if (tag == &control_tag)
				engine_abort();
			else if (tag == &carrier_tag)
				on_carrier();
			else
				link_read_stamped(tag);
		}
	}
	return NULL;
}

void watchdog_start(void)
{
	const struct sched_param param = { .sched_priority = PRIO_WATCHDOG };
	const struct itimerspec second = { { 1, 0 }, { 1, 0 } };

	epoll = epoll_create1(EPOLL_CLOEXEC);
	ticker = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	engine_assert(epoll >= 0 && ticker >= 0);
	slack = (uint64_t)((double)SLACK * engine.tsc_per_ns);
	for (int i = 0; i < 2; i++) {
		timers[i].fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
		engine_assert(timers[i].fd >= 0);
		/* They are never read. */
		add(timers[i].fd, EPOLLIN | EPOLLET, &timers[i]);
	}
	add(ticker, EPOLLIN, &ticker_tag);
	watchdog_watch_control(KRONOS_CONTROL_FD);
	timerfd_settime(ticker, 0, &second, NULL);
	engine_assert(!pthread_create(&thread, NULL, watchdog, NULL));
	engine_assert(!pthread_setschedparam(thread, SCHED_FIFO, &param));
}
