// SPDX-License-Identifier: MIT
/*
 * The code that replaces the vDSO's clock functions in every dilated process.
 * Compiled to one position-independent page without data, relocations or
 * calls to elsewhere; the engine copies it in at exec and points the vDSO's
 * entries here. The clock page follows the code page.
 */
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

static inline int64_t monotonic(void)
{
	volatile struct vclock_page *page = &vclock_page;
	int64_t now, last = page->last;

	if (page->mult) {
		int64_t ran = (int64_t)(ticks() - page->tsc_start);

		now = page->base;
		if (ran > 0)
			now += (int64_t)(((unsigned __int128)ran * page->mult) >> 32);
	} else {
		now = last < page->base ? page->base : last;
		now += page->read_cost;
		if (now > page->cap) {
			/* The window is used up: the call lets the engine end the slice. */
			struct timespec ts;

			page->last = page->cap;
			real_clock_gettime(CLOCK_MONOTONIC, &ts);
			now = ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
			page->last = now;
			return now;
		}
	}
	if (now > page->cap)
		now = page->cap;
	if (now < last)
		now = last;
	else
		page->last = now;
	return now;
}

int vclock_gettime(clockid_t clock, struct timespec *ts)
{
	int64_t offset;
	uint64_t now;

	switch (clock) {
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
		offset = 0;
		break;
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM_ID:
		offset = vclock_page.realtime;
		break;
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM_ID:
		offset = vclock_page.boottime;
		break;
	case CLOCK_TAI:
		offset = vclock_page.tai;
		break;
	default: /* CPU clocks and nonsense are the kernel's */
		return (int)real_clock_gettime(clock, ts);
	}
	now = (uint64_t)(monotonic() + offset);
	ts->tv_sec = (time_t)(now / NSEC_PER_SEC);
	ts->tv_nsec = (long)(now % NSEC_PER_SEC);
	return 0;
}

int vclock_gettimeofday(struct timeval *tv, struct timezone *tz)
{
	if (tv) {
		uint64_t now = (uint64_t)(monotonic() + vclock_page.realtime);

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
	uint64_t now = (uint64_t)(monotonic() + vclock_page.realtime);
	time_t seconds = (time_t)(now / NSEC_PER_SEC);

	if (t)
		*t = seconds;
	return seconds;
}
