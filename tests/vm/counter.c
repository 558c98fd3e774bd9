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

struct moment {
	uint64_t ticks;
	int64_t time;
};

/* Both at once: the tightest of some readings, since a machine may pause in between. */
static struct moment read_both(uint64_t (*counter)(void))
{
	uint64_t tightest = UINT64_MAX;
	struct moment best = { 0 };

	for (int i = 0; i < 50; i++) {
		struct moment this = { counter(), now() };
		uint64_t took = counter() - this.ticks;

		if (took < tightest) {
			tightest = took;
			best = this;
		}
	}
	return best;
}

static double rate_between(struct moment start, struct moment end)
{
	return (double)(end.ticks - start.ticks) / (double)(end.time - start.time);
}

static void check_rate(uint64_t (*counter)(void), double rate)
{
	struct timespec wait = at(500 * MSEC);
	struct moment start = read_both(counter);
	uint64_t last = start.ticks;
	double seen;

	for (int i = 0; i < 1000; i++) {
		uint64_t ticks = counter();

		CHECK(ticks >= last);
		last = ticks;
	}
	CHECK(!nanosleep(&wait, NULL));
	seen = rate_between(start, read_both(counter));
	if (seen < rate * 0.99 || seen > rate * 1.01) {
		printf("%.3f ticks for each ns, not %.3f\n", seen, rate);
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
	struct moment start = read_both(rdtsc);
	double rate;
	int status;
	pid_t pid;

	while (now() < start.time + 100 * MSEC)
		;
	rate = rate_between(start, read_both(rdtsc));
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
