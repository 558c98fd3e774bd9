// SPDX-License-Identifier: MIT
/* The time stamp counter goes with the clocks, and programs after this one are fast. */
#define _GNU_SOURCE
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include "check.h"

#define NAP (50 * MSEC)

static double ticks_per_ns(uint64_t (*read)(void))
{
	struct timespec nap = at(NAP);
	int64_t start = now();
	uint64_t first = read(), last;

	CHECK(!nanosleep(&nap, NULL));
	last = read();
	CHECK(last > first);
	return (double)(last - first) / (double)(now() - start);
}

static uint64_t read_tsc(void)
{
	return __rdtsc();
}

static uint64_t read_tscp(void)
{
	unsigned int cpu;
	uint64_t value = __rdtscp(&cpu);

	CHECK((cpu & 0xfff) < (unsigned int)sysconf(_SC_NPROCESSORS_CONF));
	return value;
}

int main(int argc, char **argv)
{
	uint64_t last = 0, value;
	int64_t start, end;
	double rate;
	int status;
	pid_t pid;

	check_arguments(argc, argv);
	rate = ticks_per_ns(read_tsc); /* counters of today go at 1 to 5 GHz */
	CHECK(rate > 0.3 && rate < 10);
	rate = ticks_per_ns(read_tscp);
	CHECK(rate > 0.3 && rate < 10);
	for (int i = 0; i < 100; i++) {
		value = i % 2 ? read_tscp() : read_tsc();
		CHECK(value >= last);
		last = value;
	}
	start = now();
	end = now_on(CLOCK_MONOTONIC);
	CHECK(end >= start && end <= start + SEC);
	pid = fork();
	if (pid == 0) {
		CHECK(read_tsc() >= last);
		execl("/bin/sh", "sh", "-c", "exec sleep 0.01", NULL);
		_exit(1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(read_tsc() >= last);
	return success();
}
