// SPDX-License-Identifier: MIT
/*
 * What workers share, and the conducting: when all have finished their part,
 * the last of them chooses what comes next and who takes part in it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>

#include "blocked.h"
#include "conductor.h"
#include "engine.h"
#include "live.h"
#include "pace.h"
#include "task.h"
#include "watch.h"
#include "workers.h"

struct conductor *conductor;

void conductor_init(void)
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

int64_t conductor_paced_time(void)
{
	return ns_since(conductor->paced_tsc) / conductor->pace.slowness;
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

void conductor_publish(void)
{
	conductor->worker[engine.worker].next = heap_time(&engine.active);
	conductor->worker[engine.worker].tcp_seen = engine.tcp_seen;
	conductor->worker[engine.worker].disk_waits = blocked_outlast();
}

void conductor_wake_others(void)
{
	for (uint32_t i = 0; i < engine.workers; i++)
		if (i != engine.worker)
			eventfd_signal(conductor->worker[i].wake);
}

static void enter_phase(enum phase phase)
{
	conductor->phase = phase;
	if (phase == PHASE_OVER)
		conductor_wake_others();
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
	enter_phase(PHASE_WAIT);
}

void conductor_end_wait(void)
{
	int64_t passed = conductor_paced_time() + conductor->paced_carry;

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
	conductor_publish();
}

static int64_t wait_length(int64_t ns)
{
	int64_t most = conductor->timestep > DISK_LOOK ? conductor->timestep : DISK_LOOK;

	return any_disk_waits() && ns > most ? most : ns;
}

bool conduct(int until_fd)
{
	int64_t next, idle;

	for (;;) {
		if (conductor->done >= conductor->rounds ||
		    conductor->interrupted || watched_readable(until_fd)) {
			enter_phase(PHASE_OVER);
			return false;
		}
		if (too_early()) {
			let_real_time_pass();
			continue;
		}
		conductor->end = conductor->now + conductor->timestep;
		/* Who is not dilated is heard although others have work. */
		if (engine.undilated && look_outside())
			conductor_publish();
		if (next_of_all() < conductor->end) {
			conductor->looked = conductor->tcp_asked = false;
			open_turn(PHASE_WINDOW, acts_in_window);
			return false;
		}
		task_await_exits();
		if (look_outside()) {
			conductor_publish();
			continue;
		}
		next = next_of_all();
		if (next == HEAP_NEVER && until_fd >= 0 && !engine.undilated) {
			begin_wait(-1);
			return true;
		}
		idle = conductor->rounds - conductor->done;
		if (next != HEAP_NEVER &&
		    (next - conductor->now) / conductor->timestep < idle)
			idle = (next - conductor->now) / conductor->timestep;
		if (engine.undilated || any_disk_waits()) {
			begin_wait(wait_length(idle * conductor->timestep));
			return true;
		}
		if (!conductor->looked && engine.workers > 1) {
			conductor->looked = true;
			open_turn(PHASE_LOOK, any);
			return false;
		}
		if (!conductor->tcp_asked && any_tcp_seen()) {
			conductor->tcp_asked = true;
			open_turn(PHASE_TCP, has_tcp);
			return false;
		}
		if (conductor->tcp_asked && any_tcp_pending()) {
			conductor->tcp_asked = false;
			begin_wait(idle * conductor->timestep);
			return true;
		}
		pass(idle);
	}
}
