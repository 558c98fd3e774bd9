// SPDX-License-Identifier: MIT
/* All clocks agree, in the vDSO and as system calls, and none goes backwards. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "check.h"

static int64_t syscall_now(clockid_t clock)
{
	struct timespec ts;

	CHECK(!syscall(SYS_clock_gettime, clock, &ts));
	return ts.tv_sec * SEC + ts.tv_nsec;
}

int main(int argc, char **argv)
{
	static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME,
					    CLOCK_BOOTTIME };
	struct timespec nap = at(50 * MSEC), ts;
	int64_t before, between, after, last = 0, cpu;
	struct timeval tv;

	check_arguments(argc, argv);
	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		before = now_on(clocks[i]);
		between = syscall_now(clocks[i]);
		after = now_on(clocks[i]);
		CHECK(before <= between && between <= after);
	}
	before = now_on(CLOCK_REALTIME);
	CHECK(!gettimeofday(&tv, NULL));
	after = now_on(CLOCK_REALTIME);
	CHECK(before / 1000 <= tv.tv_sec * 1000000LL + tv.tv_usec);
	CHECK(tv.tv_sec * 1000000LL + tv.tv_usec <= after / 1000);
	CHECK((before - 2 * tick) / SEC <= time(NULL) && time(NULL) <= now_on(CLOCK_REALTIME) / SEC);
	for (int i = 0; i < 100000; i++) {
		after = now();
		CHECK(after >= last);
		last = after;
	}
	before = now();
	CHECK(!nanosleep(&nap, NULL));
	check_elapsed("nanosleep", before, 50 * MSEC);
	before = now();
	while (now() < before + 20 * MSEC) /* a busy loop on the clock ends */
		;
	cpu = now_on(CLOCK_PROCESS_CPUTIME_ID);
	CHECK(cpu > 0 && now_on(CLOCK_THREAD_CPUTIME_ID) > 0);
	ts = at(0);
	CHECK(clock_settime(CLOCK_MONOTONIC, &ts) == -1);
	return success();
}
