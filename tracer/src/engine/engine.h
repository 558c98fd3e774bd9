/* SPDX-License-Identifier: MIT */
/*
 * The user engine: one process that traces every dilated process, holds the
 * virtual links and runs the rounds. One thread, the worker, does all of it;
 * a second one, the watchdog, preempts a running task at the end of its slice
 * and stamps the frames that it sends.
 *
 * The worker and all dilated tasks share one CPU and are SCHED_FIFO, the
 * tasks above the worker. So a ptrace request that lets a task run acts as a
 * call: it returns when every dilated task has blocked or stopped.
 *
 * With several CPUs there is one such process on each, for some of the hosts.
 * All know all hosts and links by the same ids; those that another process
 * serves are `remote`. What they share is the conductor (rounds.c) and the
 * wires (wire.c).
 *
 * Each file has its own header, or shares the one that is named here:
 *
 *   main.c     start and self-test
 *   requests.c what the orchestrator asks for
 *   tracers.c  processes that ask to be dilated
 *   cpus.c     the CPUs that all this runs on
 *   workers.c  the other processes of an engine with several CPUs
 *   rounds.c   windows and idle skips
 *   live.c     real time before the freeze, and what comes from outside
 *   wire.c     frames from one process to another
 *   host.c     a logical process: its clock, its events, its ready tasks
 *   task.c     a dilated thread: how it is seized, resumed, multiplies and ends
 *   task_stops.c what each of its ptrace stops means
 *   stops.c    what is known of a ptrace stop, and the way out
 *   latch.c    stops a task that was blocked before it runs user code
 *   latch_program.c its BPF program, which lists stops
 *   turns.c    which of a host's tasks is the next
 *   slice.c    one turn of one task
 *   blocked.c  what becomes of a task that has blocked, and of one that waits for a disk
 *   handover.c tasks of a host that wake each other in turn within one slice
 *   charge.c   what its host is charged for it
 *   watchdog.c the second thread
 *   counter.c  slices of exactly so many instructions; counter_perf.c
 *   uptime.c   /proc/uptime
 *   pids.c     ids in other pid namespaces
 *   procfs.c   what /proc says of processes and tasks
 *   scheduling.c what programs ask the scheduler for; scheduling_rules.c, affinity.c
 *   inject.c   the clock page and the replaced vDSO
 *   timed.c    system calls that touch time: table and handlers
 *   waits.c    waits with a deadline, and what interrupts them
 *   park.c     sleeps that need only one stop
 *   filter.c   the seccomp filter that stops them
 *   sockets.c  timeouts of sockets
 *   clocks.c   clocks that are read or set by system calls
 *   stamps.c   stamps of packets; rings.c those in packet sockets' rings
 *   tsc.c      programs that read the time stamp counter; tsc_verdicts.c, tsc_code.c
 *   tsc_libraries.c libraries that do; elf_file.c
 *   cputime.c  CPU time, which follows the hosts' clocks
 *   timers.c   interval timers; timers_posix.c timer_create; timerfds.c
 *   link.h     virtual links, and the files that make them
 *   relay.c    connections between switches and controller, with a delay
 *   pty.c      pseudo-terminals, which the kernel serves in real time
 *   terminal.c programs that wait for what is typed
 *   tcp.h      the kernel's TCP timers, which stay in real time; pace.c
 *   inspect.c  where hosts and tasks stand, and who is waited for
 *   watch.c    descriptors that end a progress; frames for who watches a link
 */
#ifndef KRONOS_ENGINE_H
#define KRONOS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap.h"
#include "kronos_abi.h"
#include "slice.h"

#define NSEC_PER_SEC 1000000000LL
#define NSEC_PER_MSEC 1000000LL
#define NSEC_PER_USEC 1000LL

#define PRIO_WORKER 5
#define PRIO_TASK 10
#define PRIO_WATCHDOG 20

struct host;

struct engine {
	int64_t now;	 /* start of the window: the network's clock */
	int64_t window_end;
	int64_t origin;	 /* the clock at the freeze */
	bool live;	 /* virtual time follows real time */
	bool undilated;	 /* some host is in real time */
	int64_t live_base;
	uint64_t live_tsc;
	int64_t realtime, boottime, tai; /* offsets to CLOCK_MONOTONIC */
	int64_t epoch;	 /* CLOCK_REALTIME at the freeze, < 0: goes on */

	struct heap active; /* hosts that have something to do */
	struct host **hosts;
	uint32_t host_count;

	uint32_t worker, workers; /* which this is, of how many */
	int cpu;
	int epoll;	 /* everything that may wake the worker in real time */
	int tap_epoll;	 /* the TAPs that the worker reads itself */
	int wake;	 /* an eventfd: frames of the watchdog, other workers */
	int listener;	 /* where tracers come from */
	uint32_t tracers_expected, tracers_joined;
	bool tcp_seen;	  /* by some host of this worker */
	bool tcp_new;	  /* a host has become active */
	uint32_t exiting; /* tasks on their way out */
	uint32_t joining; /* seized, and not yet at their exec */
	uint32_t unlatched; /* tasks without a latch */

	struct slice slice;
	volatile bool worker_sleeps;
	volatile bool carrier_changed;
	volatile bool progressing;
	struct kronos_stats stats;

	double tsc_per_ns;
	uint64_t ns_per_tsc; /* 32.32 */
};

extern struct engine engine;

int engine_initialize(const struct kronos_request *request, char *text, size_t size);
/* Adds to what is run if the orchestrator dies. */
int engine_on_abort(const char *command);
void engine_remove_socket(void);
void eventfd_signal(int fd);
void eventfd_clear(int fd);
bool fd_is_readable(int fd);
void engine_lock(void);
void engine_unlock(void);
/* Ends at once, by way of the kernel ending all dilated processes. */
_Noreturn void engine_abort(void);
/* Our own bug: says where, and ends. */
#define engine_assert(condition)                                               \
	do {                                                                   \
		if (!(condition))                                              \
			engine_bug(__FILE__, __LINE__, #condition);            \
	} while (0)
_Noreturn void engine_bug(const char *file, int line, const char *what);
/* One line on standard error. */
void engine_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

void *xrealloc(void *data, size_t size);
void *xcalloc(size_t size);

static inline uint64_t tsc_now(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (uint64_t)hi << 32 | lo;
}

static inline int64_t fixed_mul(uint64_t value, uint64_t mult)
{
	return (int64_t)(((unsigned __int128)value * mult) >> 32);
}

static inline int64_t ns_since(uint64_t tsc)
{
	return fixed_mul(tsc_now() - tsc, engine.ns_per_tsc);
}

#endif /* KRONOS_ENGINE_H */
