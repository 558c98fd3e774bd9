/* SPDX-License-Identifier: MIT */
/*
 * The clock page: what the code that replaces the vDSO reads. The engine shares
 * one with a process and those that it has forked; it writes it before it lets
 * a task of them run, and no task of theirs runs meanwhile: it needs no lock.
 */
#ifndef KRONOS_VCLOCK_PAGE_H
#define KRONOS_VCLOCK_PAGE_H

#include <stdint.h>

#define VCLOCK_PAGE_SIZE 4096
/* The code is one page, the data the next. */
#define VCLOCK_MAP_SIZE (2 * VCLOCK_PAGE_SIZE)

/*
 * A reader that is cut in the middle goes on with another page: it sees that by
 * the sequence, and begins again.
 *
 * CLOCK_MONOTONIC = base + (tsc - tsc_start) * mult / 2^32, at most cap.
 * With mult 0 each read costs read_cost instead.
 */
struct vclock_page {
	uint64_t sequence;
	int64_t base;	   /* ns at the start of the slice */
	uint64_t tsc_start;
	uint64_t mult;	   /* ns per tick, 32.32 fixed point */
	uint64_t tsc_trapped; /* the reader must not use the TSC */
	uint64_t cpu_asked; /* CPU time is the engine's to tell: who runs may change */
	int64_t cap;
	int64_t read_cost; /* ns */
	int64_t realtime;  /* CLOCK_REALTIME - CLOCK_MONOTONIC */
	int64_t boottime;  /* CLOCK_BOOTTIME - CLOCK_MONOTONIC */
	int64_t monotonic; /* what its time namespace adds to CLOCK_MONOTONIC */
	int64_t tai;	   /* CLOCK_TAI - CLOCK_MONOTONIC */
	int64_t process_cpu; /* CPU time - CLOCK_MONOTONIC */
	int64_t thread_cpu;
	int64_t last;	   /* written by the reader: no clock goes backwards */
};

#endif /* KRONOS_VCLOCK_PAGE_H */
