// SPDX-License-Identifier: MIT
/*
 * gate HOSTS [CLOCK]: as many hosts, each with a task that never waits, in windows
 * of 100 us. Each gets the CPU time that is due to its speed, to 0.1 %: due by the
 * network's clock, or by its own with `own`. On several CPUs a guest takes the real
 * machine's other work for that of its tasks, and a host may be far ahead.
 */
#include <math.h>

#include "experiment.h"

#define TIMESTEP (100 * USEC)
#define HOSTS_MAX 64

static const double speeds[] = { 1.0, 0.25 };

static void spin(void *unused)
{
	(void)unused;
	for (;;)
		;
}

static void check_work(int host, int64_t worked, double speed, int64_t elapsed)
{
	double due = (double)elapsed * speed;

	if (fabs((double)worked - due) > due * (slowness() > 1 ? 0.01 : 0.001)) {
		printf("host %d of speed %.2f has worked %lld ns, not %.0f\n", host, speed,
		       (long long)worked, due);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	int hosts = argc > 1 ? atoi(argv[1]) : 2;
	int rounds = hosts < 10 ? 10000 / hosts : 1000;
	struct kronos_module_stats stats;
	int64_t work[HOSTS_MAX + 1], clock[HOSTS_MAX + 1];
	bool own = argc > 2 && !strcmp(argv[2], "own");

	CHECK(hosts >= 2 && hosts <= HOSTS_MAX);
	initialize(KRONOS_INIT_KILL, (unsigned int)hosts);
	for (int i = 0; i < hosts; i++) {
		struct kronos_host host = plain_host(speeds[i % 2]);

		spawn(add_host(&host), spin, NULL);
	}
	freeze();
	progress(TIMESTEP, 100);
	for (int id = 1; id <= hosts; id++) {
		work[id] = work_of(id);
		clock[id] = virtual_time(own ? id : 0);
	}
	progress(TIMESTEP, rounds);
	for (int id = 1; id <= hosts; id++)
		check_work(id, work_of(id) - work[id], speeds[(id - 1) % 2],
			   virtual_time(own ? id : 0) - clock[id]);
	stats = statistics();
	printf("%llu slices, %llu cuts, at most %lld ns too long; %llu ns of real time for each slice\n",
	       stats.slices, stats.cuts, (long long)stats.max_overrun_ns, stats.run_ns / stats.slices);
	stop();
	return success();
}
