// SPDX-License-Identifier: MIT
/* rdtsc and rdtscp of a dilated task follow virtual time, at a fast and a slow pace. */
#include "experiment.h"

static uint64_t rdtsc(void)
{
	return __builtin_ia32_rdtsc();
}

static uint64_t rdtscp(void)
{
	unsigned int cpu;

	return __builtin_ia32_rdtscp(&cpu);
}

static void check_rate(uint64_t (*counter)(void), double rate)
{
	struct timespec wait = at(500 * MSEC);
	uint64_t start = counter(), last = start, ticks;
	int64_t time = now();

	for (int i = 0; i < 1000; i++) {
		ticks = counter();
		CHECK(ticks >= last);
		last = ticks;
	}
	CHECK(!nanosleep(&wait, NULL));
	ticks = counter() - start;
	time = now() - time;
	if ((double)ticks < (double)time * rate * 0.99 || (double)ticks > (double)time * rate * 1.01) {
		printf("%llu ticks in %lld ns, not %.3f per ns\n", (unsigned long long)ticks,
		       (long long)time, rate);
		exit(1);
	}
}

static void check(void *rate)
{
	check_rate(rdtsc, *(double *)rate);
	check_rate(rdtscp, *(double *)rate);
}

int main(void)
{
	struct kronos_host host = plain_host(1.0);
	struct kronos_info info = { .size = sizeof(info) };
	uint64_t ticks = rdtsc();
	int64_t start = now();
	double rate;
	int status;
	pid_t pid;

	while (now() < start + 100 * MSEC)
		;
	rate = (double)(rdtsc() - ticks) / (double)(now() - start);
	initialize(KRONOS_INIT_KILL, 1);
	CHECK(!ioctl(device, KRONOS_IOC_INFO, &info));
	CHECK(info.features & KRONOS_FEATURE_RDTSC);
	pid = spawn(add_host(&host), check, &rate);
	freeze();
	status = run_to_end(pid, MSEC, 10000);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	stop();
	return success();
}
