// SPDX-License-Identifier: MIT
/*
 * Rounds. A round is a window [now, now + timestep): in each worker the host
 * that can act at the earliest virtual time acts first, until none can act in
 * the window; then all clocks are equal and everything stands still. Windows
 * in which nobody can act are passed over in one step.
 *
 * Workers meet at the end of each window. There is no master: the last to
 * arrive conducts (see conductor.c). A worker whose hosts have nothing to do
 * sleeps meanwhile, so that one busy worker goes from window to window by
 * itself.
 *
 * Before the freeze and after a thaw there are no windows: see live.c.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "blocked.h"
#include "conductor.h"
#include "engine.h"
#include "host.h"
#include "inspect.h"
#include "links.h"
#include "live.h"
#include "pace.h"
#include "park.h"
#include "relay.h"
#include "rounds.h"
#include "task.h"
#include "tcp_timers.h"
#include "watch.h"
#include "wire.h"
#include "workers.h"

/* A worker that has to wait looks so long for its next turn before it sleeps. */
#define SPIN (150 * NSEC_PER_USEC)

static uint32_t turn_taken;
static int wake_fd = -1; /* until_fd of the progress */
static bool timekeeper;	 /* this worker ends the wait when its time has passed */

int rounds_wake_fd(uint32_t worker)
{
	return conductor->worker[worker].wake;
}

/* ---- interrupts -------------------------------------------------------- */

void rounds_interrupt(void)
{
	conductor->interrupted = true;
	eventfd_signal(engine.wake);
}

void rounds_clear_interrupt(void)
{
	conductor->interrupted = false;
}

bool rounds_interrupted(void)
{
	return conductor->interrupted;
}

/* ---- clocks ------------------------------------------------------------ */

int64_t rounds_stamp(const struct host *host)
{
	if (conductor->paced && !engine.live)
		return conductor->now + conductor_paced_time();
	return host_now(host);
}

int64_t rounds_now(bool *running)
{
	*running = conductor->running > 0;
	return conductor->now;
}

uint32_t rounds_window(void)
{
	return conductor->window;
}

void rounds_announce(uint32_t worker, int64_t time)
{
	_Atomic int64_t *incoming = &conductor->worker[worker].incoming;
	int64_t known = *incoming;

	while (time < known &&
	       !atomic_compare_exchange_weak(incoming, &known, time))
		;
	if (engine.live)
		eventfd_signal(conductor->worker[worker].wake);
}

/* ---- a worker's part --------------------------------------------------- */

static void arrive(void)
{
	park_look();
	blocked_look();
	wire_flush();
	tcp_adapt(engine.now, conductor->pace.slowness);
	pthread_mutex_lock(&conductor->lock);
	conductor_publish();
	if (--conductor->running == 0) {
		if (conductor->phase == PHASE_WINDOW) {
			conductor->now = conductor->end;
			conductor->done++;
			pace_note(&conductor->pace, ns_since(conductor->opened_tsc),
				  conductor->timestep);
		}
		engine.now = conductor->now;
		timekeeper = conduct(wake_fd);
	}
	pthread_mutex_unlock(&conductor->lock);
}

static bool called(void)
{
	return conductor->worker[engine.worker].turn != turn_taken ||
	       conductor->phase == PHASE_OVER;
}

/* Something may have happened outside while this worker had nothing to do. */
static void look_around(void)
{
	pthread_mutex_lock(&conductor->lock);
	if (!called()) {
		if (conductor->phase == PHASE_WAIT)
			conductor_end_wait();
		engine.now = conductor->now;
		look_outside();
		wire_flush();
		conductor_publish();
		if (conductor->phase == PHASE_WAIT)
			timekeeper = conduct(wake_fd);
	}
	pthread_mutex_unlock(&conductor->lock);
}

/* Nothing is due, and nobody outside has done anything for long. */
static int64_t idle_left(void)
{
	int64_t left;

	if (conductor->phase != PHASE_WAIT || conductor->stall_told)
		return -1;
	left = stall_left();
	if (left == 0) {
		conductor->stall_told = stall_tell_idle();
		if (!conductor->stall_told)
			conductor_wake_others(); /* they may have tasks to tell of */
	}
	return left == 0 || left == INT64_MAX ? -1 : left;
}

/* How long this worker may sleep; < 0: until it is woken. */
static int64_t wait_left(void)
{
	int64_t left;

	if (!timekeeper && blocked_outlast())
		return DISK_LOOK;
	if (!conductor->paced)
		return idle_left();
	if (!timekeeper)
		return -1;
	timekeeper = false;
	left = (conductor->paced_max - conductor_paced_time()) * conductor->pace.slowness;
	return left > 0 ? left : 0;
}

/* Returns false when the progress is over. */
static bool await_turn(void)
{
	uint64_t start = tsc_now();

	while (!called() && conductor->phase != PHASE_WAIT && ns_since(start) < SPIN)
		__builtin_ia32_pause();
	while (!called()) {
		sleep_outside(wait_left());
		look_around();
	}
	timekeeper = false;
	engine.now = conductor->now;
	if (conductor->worker[engine.worker].turn == turn_taken)
		return false;
	turn_taken = conductor->worker[engine.worker].turn;
	return true;
}

static void run_window(int64_t end)
{
	/* Before the look at the wires: what is announced after it stays known. */
	conductor->worker[engine.worker].incoming = HEAP_NEVER;
	wire_receive(turn_taken);
	engine.window_end = end;
	while (heap_time(&engine.active) < end && !rounds_interrupted())
		host_run(host_first(), end);
	link_captures_write(end);
}

/* Tasks run before their worker does: who was woken before it came here has stopped. */
static void take_part(void)
{
	switch (conductor->phase) {
	case PHASE_WINDOW:
		run_window(conductor->end);
		break;
	case PHASE_LOOK:
		task_await_exits();
		look_outside();
		break;
	default:
		conductor->worker[engine.worker].tcp_pending = tcp_pending();
		break;
	}
}

int64_t rounds_most(int64_t timestep)
{
	return engine.now < HEAP_NEVER / 2 ? (HEAP_NEVER / 2 - engine.now) / timestep : 0;
}

void rounds_prepare(int64_t timestep, int64_t num_rounds)
{
	int64_t most = rounds_most(timestep);

	conductor->now = engine.now;
	conductor->timestep = timestep;
	conductor->rounds = num_rounds < most ? num_rounds : most;
	conductor->done = conductor->skipped = 0;
	conductor->interrupted = false;
	conductor->looked = conductor->tcp_asked = false;
	conductor->stall_told = false;
	conductor->slowed_tsc = 0;
	conductor->running = engine.workers;
	if (!conductor->pace.slowness)
		conductor->pace.slowness = 1;
	conductor->phase = PHASE_TCP; /* as if all were in one: each arrives */
}

int64_t rounds_progress(int until_fd)
{
	wake_fd = until_fd;
	engine.progressing = true;
	stall_restart();
	live_await_tracers();
	if (until_fd >= 0)
		epoll_ctl(engine.epoll, EPOLL_CTL_ADD, until_fd,
			  &(struct epoll_event){ .events = EPOLLIN });
	arrive();
	while (await_turn()) {
		take_part();
		arrive();
	}
	if (until_fd >= 0)
		epoll_ctl(engine.epoll, EPOLL_CTL_DEL, until_fd, NULL);
	park_end_all();
	link_captures_flush();
	engine.progressing = false;
	if (engine.worker == 0) {
		engine.stats.rounds += (uint64_t)conductor->done;
		engine.stats.rounds_skipped += (uint64_t)conductor->skipped;
	}
	return conductor->done;
}
