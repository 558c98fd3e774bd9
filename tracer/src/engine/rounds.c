// SPDX-License-Identifier: MIT
/*
 * Rounds. A round is a window [now, now + timestep): in each worker the host
 * that can act at the earliest virtual time acts first, until none can act in
 * the window; then all clocks are equal and everything stands still. Windows
 * in which nobody can act are passed over in one step.
 *
 * Workers meet at the end of each window. There is no master: the last to
 * arrive conducts, which means to choose what comes next and who takes part
 * in it. A worker whose hosts have nothing to do sleeps meanwhile, so that one
 * busy worker goes from window to window by itself.
 *
 * Before the freeze and after a thaw there are no windows: see live.c.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "blocked.h"
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

/* So often the conductor looks whether a disk that is waited for has answered. */
#define DISK_LOOK (100 * NSEC_PER_MSEC)

enum phase {
	PHASE_WINDOW, /* workers run their hosts until the window's end */
	PHASE_LOOK,   /* they look whether somebody else has woken their tasks */
	PHASE_TCP,    /* they ask for the timers of their hosts' TCP */
	PHASE_WAIT,   /* for something from outside, or for real time to pass */
	PHASE_OVER,
};

/* What workers share. Everything but the atomic members is under the lock. */
struct conductor {
	pthread_mutex_t lock;
	_Atomic enum phase phase;
	_Atomic int64_t now; /* start of the window */
	int64_t end;
	int64_t timestep;
	int64_t rounds, done, skipped;
	_Atomic uint32_t window; /* its number */
	_Atomic uint32_t running; /* workers that take part and have not finished */
	_Atomic bool interrupted;
	_Atomic bool stall_told; /* some worker has said who is waited for */
	bool looked, tcp_asked; /* since the last window */
	_Atomic bool paced;  /* PHASE_WAIT: time goes on at real time's pace */
	uint64_t paced_tsc;  /* since then */
	int64_t paced_max;   /* at most so far, in ns */
	int64_t paced_carry; /* of a window that has begun to pass */
	struct pace pace;
	uint64_t opened_tsc; /* the window */
	uint64_t slowed_tsc; /* no faster than real time since then; 0: it may be */
	int64_t slowed_now;
	struct {
		_Atomic uint32_t turn; /* number of the last window it is part of */
		_Atomic int64_t incoming; /* earliest arrival from other workers */
		int64_t next;		  /* when its hosts can act */
		bool tcp_seen, tcp_pending, disk_waits;
		int wake;
	} worker[WORKERS_MAX];
};

static struct conductor *conductor;
static uint32_t turn_taken;
static int wake_fd = -1; /* until_fd of the progress */
static bool timekeeper;	 /* this worker ends the wait when its time has passed */

void rounds_init(void)
{
	pthread_mutexattr_t attributes;

	conductor = mmap(NULL, sizeof(*conductor), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	engine_assert(conductor != MAP_FAILED);
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&conductor->lock, &attributes);
	for (uint32_t i = 0; i < engine.workers; i++) {
		conductor->worker[i].incoming = HEAP_NEVER;
		conductor->worker[i].wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		engine_assert(conductor->worker[i].wake >= 0);
	}
	engine.wake = conductor->worker[0].wake;
}

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

/* How much virtual time the wait has let pass. */
static int64_t paced_time(void)
{
	return ns_since(conductor->paced_tsc) / conductor->pace.slowness;
}

int64_t rounds_stamp(const struct host *host)
{
	if (conductor->paced && !engine.live)
		return conductor->now + paced_time();
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

/* ---- conducting: under the lock, by one worker at a time --------------- */

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

static int64_t next_of(uint32_t worker)
{
	int64_t incoming = conductor->worker[worker].incoming;
	int64_t next = conductor->worker[worker].next;

	return incoming < next ? incoming : next;
}

static int64_t next_of_all(void)
{
	int64_t next = HEAP_NEVER;

	for (uint32_t i = 0; i < engine.workers; i++)
		if (next_of(i) < next)
			next = next_of(i);
	return next;
}

/* What the others are to know of this worker. */
static void publish(void)
{
	conductor->worker[engine.worker].next = heap_time(&engine.active);
	conductor->worker[engine.worker].tcp_seen = engine.tcp_seen;
	conductor->worker[engine.worker].disk_waits = blocked_outlast();
}

static void wake_others(void)
{
	for (uint32_t i = 0; i < engine.workers; i++)
		if (i != engine.worker)
			eventfd_signal(conductor->worker[i].wake);
}

static void enter_phase(enum phase phase)
{
	conductor->phase = phase;
	if (phase == PHASE_OVER)
		wake_others();
}

static void open_turn(enum phase phase, bool (*takes_part)(uint32_t worker))
{
	uint32_t number = conductor->window + 1;
	uint32_t count = 0;
	bool part[WORKERS_MAX];

	for (uint32_t i = 0; i < engine.workers; i++) {
		part[i] = takes_part(i);
		count += part[i];
	}
	conductor->window = number;
	conductor->running = count;
	conductor->phase = phase;
	conductor->opened_tsc = tsc_now();
	for (uint32_t i = 0; i < engine.workers; i++) {
		if (!part[i])
			continue;
		conductor->worker[i].turn = number;
		if (i != engine.worker)
			eventfd_signal(conductor->worker[i].wake);
	}
}

static bool acts_in_window(uint32_t worker)
{
	return next_of(worker) < conductor->end;
}

static bool any(uint32_t worker)
{
	(void)worker;
	return true;
}

static bool has_tcp(uint32_t worker)
{
	conductor->worker[worker].tcp_pending = false;
	return conductor->worker[worker].tcp_seen;
}

static bool any_tcp_seen(void)
{
	for (uint32_t i = 0; i < engine.workers; i++)
		if (conductor->worker[i].tcp_seen)
			return true;
	return false;
}

static bool any_tcp_pending(void)
{
	for (uint32_t i = 0; i < engine.workers; i++)
		if (conductor->worker[i].tcp_pending)
			return true;
	return false;
}

static bool any_disk_waits(void)
{
	for (uint32_t i = 0; i < engine.workers; i++)
		if (conductor->worker[i].disk_waits)
			return true;
	return false;
}

/* While a disk is waited for, real time must have come as far as virtual time. */
static bool too_early(void)
{
	if (!any_disk_waits()) {
		conductor->slowed_tsc = 0;
		return false;
	}
	if (!conductor->slowed_tsc) {
		conductor->slowed_tsc = tsc_now();
		conductor->slowed_now = conductor->now;
	}
	return conductor->now - conductor->slowed_now > ns_since(conductor->slowed_tsc);
}

static void pass(int64_t windows)
{
	conductor->now += windows * conductor->timestep;
	conductor->done += windows;
	conductor->skipped += windows;
	engine.now = conductor->now;
}

/* Nobody has anything to do: until something happens, at most so many ns. */
static void begin_wait(int64_t pace_ns)
{
	conductor->paced_tsc = tsc_now();
	conductor->paced_max = pace_ns;
	conductor->paced = pace_ns > 0;
	timekeeper = true;
	enter_phase(PHASE_WAIT);
}

static void end_wait(void)
{
	int64_t passed = paced_time() + conductor->paced_carry;

	if (!conductor->paced)
		return;
	conductor->paced = false;
	if (passed > conductor->paced_max)
		passed = conductor->paced_max;
	pace_note(&conductor->pace, passed, passed); /* as it would be by itself */
	conductor->paced_carry = passed % conductor->timestep;
	pass(passed / conductor->timestep);
}

/* What happens outside meanwhile is seen. */
static void let_real_time_pass(void)
{
	static const struct timespec nap = { .tv_nsec = NSEC_PER_MSEC };

	nanosleep(&nap, NULL);
	look_outside();
	publish();
}

static int64_t wait_length(int64_t ns)
{
	int64_t most = conductor->timestep > DISK_LOOK ? conductor->timestep : DISK_LOOK;

	return any_disk_waits() && ns > most ? most : ns;
}

/* Chooses what comes next. Nobody is in a window. */
static void conduct(void)
{
	int64_t next, idle;

	for (;;) {
		if (conductor->done >= conductor->rounds ||
		    conductor->interrupted || watched_readable(wake_fd)) {
			enter_phase(PHASE_OVER);
			return;
		}
		if (too_early()) {
			let_real_time_pass();
			continue;
		}
		conductor->end = conductor->now + conductor->timestep;
		/* Who is not dilated is heard although others have work. */
		if (engine.undilated && look_outside())
			publish();
		if (next_of_all() < conductor->end) {
			conductor->looked = conductor->tcp_asked = false;
			open_turn(PHASE_WINDOW, acts_in_window);
			return;
		}
		task_await_exits();
		if (look_outside()) {
			publish();
			continue;
		}
		next = next_of_all();
		if (next == HEAP_NEVER && wake_fd >= 0 && !engine.undilated) {
			begin_wait(-1);
			return;
		}
		idle = conductor->rounds - conductor->done;
		if (next != HEAP_NEVER &&
		    (next - conductor->now) / conductor->timestep < idle)
			idle = (next - conductor->now) / conductor->timestep;
		if (engine.undilated || any_disk_waits()) {
			begin_wait(wait_length(idle * conductor->timestep));
			return;
		}
		if (!conductor->looked && engine.workers > 1) {
			conductor->looked = true;
			open_turn(PHASE_LOOK, any);
			return;
		}
		if (!conductor->tcp_asked && any_tcp_seen()) {
			conductor->tcp_asked = true;
			open_turn(PHASE_TCP, has_tcp);
			return;
		}
		if (conductor->tcp_asked && any_tcp_pending()) {
			conductor->tcp_asked = false;
			begin_wait(idle * conductor->timestep);
			return;
		}
		pass(idle);
	}
}

/* ---- a worker's part --------------------------------------------------- */

static void arrive(void)
{
	park_look();
	blocked_look();
	wire_flush();
	tcp_adapt(engine.now, conductor->pace.slowness);
	pthread_mutex_lock(&conductor->lock);
	publish();
	if (--conductor->running == 0) {
		if (conductor->phase == PHASE_WINDOW) {
			conductor->now = conductor->end;
			conductor->done++;
			pace_note(&conductor->pace, ns_since(conductor->opened_tsc),
				  conductor->timestep);
		}
		engine.now = conductor->now;
		conduct();
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
			end_wait();
		engine.now = conductor->now;
		look_outside();
		wire_flush();
		publish();
		if (conductor->phase == PHASE_WAIT)
			conduct();
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
			wake_others(); /* they may have tasks to tell of */
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
	left = (conductor->paced_max - paced_time()) * conductor->pace.slowness;
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
