// SPDX-License-Identifier: MIT
/*
 * dilated PACE PROGRAM: one of tests/programs in a host, in rounds of 1 ms. Its
 * argument is how much later than due something may happen: what the program's
 * own work takes at this pace. `native` runs it without any of this.
 */
#include <linux/capability.h>
#include <sys/prctl.h>

#include "experiment.h"

static const struct pace {
	const char *name;
	double speed; /* 0: computation is free */
	int64_t slack;
} paces[] = {
	{ "real", 1.0, 20 * MSEC },
	{ "slow", 0.3, 60 * MSEC },
	{ "fast", 10.0, 2 * MSEC },
	{ "free", 0.0, 100 * USEC },
};

static const struct pace *find_pace(const char *name)
{
	for (size_t i = 0; i < sizeof(paces) / sizeof(*paces); i++)
		if (!strcmp(name, paces[i].name))
			return &paces[i];
	return NULL;
}

static int run_dilated(const struct pace *pace, char *program)
{
	struct kronos_host host = plain_host(pace->speed ?: 1.0);
	char slack[32], *argv[] = { program, slack, "4000000", NULL };
	struct kronos_module_stats stats;
	int status;
	pid_t pid;

	if (!pace->speed) {
		host.counter = KRONOS_MODULE_WORK_FREE;
		host.cost = 50;
	}
	sprintf(slack, "%lld", (long long)pace->slack * slowness());
	CHECK(!prctl(PR_CAPBSET_DROP, CAP_SYS_TIME)); /* as the tracer does */
	initialize(KRONOS_INIT_KILL, 1);
	pid = spawn(add_host(&host), execute, argv);
	freeze();
	status = run_to_end(pid, MSEC, 240000);
	stats = statistics();
	printf("%lld ns virtual, %llu windows, %llu slices, %llu cuts, %llu events, %llu forced\n",
	       (long long)virtual_time(0), stats.windows, stats.slices, stats.cuts, stats.events,
	       stats.forced);
	stop();
	return status;
}

int main(int argc, char **argv)
{
	const struct pace *pace;
	int status;

	CHECK(argc == 3);
	if (!strcmp(argv[1], "native"))
		execl(argv[2], argv[2], (char *)NULL);
	pace = find_pace(argv[1]);
	CHECK(pace);
	status = run_dilated(pace, argv[2]);
	if (status) {
		printf("%s ended with status %#x\n", argv[2], status);
		return 1;
	}
	return success();
}
