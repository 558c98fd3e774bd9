// SPDX-License-Identifier: MIT
/*
 * The code that replaces the vDSO's clock functions in every dilated process.
 * Compiled to one position-independent page without data, relocations or
 * calls to elsewhere; the engine copies it in at exec and points the vDSO's
 * entries here. The clock page follows the code page.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "page.h"

#define NSEC_PER_SEC 1000000000LL
#define CLOCK_REALTIME_ALARM_ID 8
#define CLOCK_BOOTTIME_ALARM_ID 9

/* A multiple of the page size from the start of the code: see vclock.lds. */
extern struct vclock_page vclock_page __attribute__((visibility("hidden")));

static inline uint64_t ticks(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (uint64_t)hi << 32 | lo;
}

static inline long real_clock_gettime(clockid_t clock, struct timespec *ts)
{
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"((long)SYS_clock_gettime), "D"((long)clock), "S"(ts)
			 : "rcx", "r11", "memory");
	return ret;
}

/* The engine's answer. */
static uint64_t ask(clockid_t clock)
{
	struct timespec ts;

	real_clock_gettime(clock, &ts);
	return (uint64_t)(ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec);
}

/* In ns; `offset` is the clock's to the host's CLOCK_MONOTONIC. */
static uint64_t read_clock(clockid_t clock, const volatile int64_t *offset)
{
	volatile struct vclock_page *page = &vclock_page;
	int64_t now, last, cap, ran, shift;
	uint64_t sequence, mult;

	do {
		sequence = page->sequence;
		last = page->last;
		mult = page->mult;
		now = page->base;
		if (mult && page->tsc_trapped)
			return ask(clock);
		if (mult) {
			ran = (int64_t)(ticks() - page->tsc_start);
			if (ran > 0)
				now += (int64_t)(((unsigned __int128)ran * mult) >> 32);
		} else {
			now = (last < now ? now : last) + page->read_cost;
		}
		cap = page->cap;
		shift = *offset;
	} while (page->sequence != sequence);
	if (now > cap) {
		if (!mult) /* the window is used up: the engine ends the slice */
			return ask(clock);
		now = cap;
	}
	if (now < last)
		now = last;
	else
		page->last = now;
	return (uint64_t)(now + shift);
}

int vclock_gettime(clockid_t clock, struct timespec *ts)
{
	const volatile uint64_t *cpu_asked = &vclock_page.cpu_asked;
	const volatile int64_t *offset;
	uint64_t now;

	switch (clock) {
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
		offset = &vclock_page.monotonic;
		break;
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM_ID:
		offset = &vclock_page.realtime;
		break;
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM_ID:
		offset = &vclock_page.boottime;
		break;
	case CLOCK_TAI:
		offset = &vclock_page.tai;
		break;
	case CLOCK_PROCESS_CPUTIME_ID:
		if (*cpu_asked)
			return (int)real_clock_gettime(clock, ts);
		offset = &vclock_page.process_cpu;
		break;
	case CLOCK_THREAD_CPUTIME_ID:
		if (*cpu_asked)
			return (int)real_clock_gettime(clock, ts);
		offset = &vclock_page.thread_cpu;
		break;
	default: /* others' CPU time, and nonsense */
		return (int)real_clock_gettime(clock, ts);
	}
	now = read_clock(clock, offset);
	ts->tv_sec = (time_t)(now / NSEC_PER_SEC);
	ts->tv_nsec = (long)(now % NSEC_PER_SEC);
	return 0;
}

int vclock_gettimeofday(struct timeval *tv, struct timezone *tz)
{
	if (tv) {
		uint64_t now = read_clock(CLOCK_REALTIME, &vclock_page.realtime);

		tv->tv_sec = (time_t)(now / NSEC_PER_SEC);
		tv->tv_usec = (suseconds_t)(now % NSEC_PER_SEC / 1000);
	}
	if (tz) {
		tz->tz_minuteswest = 0;
		tz->tz_dsttime = 0;
	}
	return 0;
}

time_t vclock_time(time_t *t)
{
	uint64_t now = read_clock(CLOCK_REALTIME, &vclock_page.realtime);
	time_t seconds = (time_t)(now / NSEC_PER_SEC);

	if (t)
		*t = seconds;
	return seconds;
}
