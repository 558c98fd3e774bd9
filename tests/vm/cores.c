// SPDX-License-Identifier: MIT
/*
 * Tasks that never wait share their host's virtual CPUs: each gets as much CPU time, and none more than one CPU's.
 */
#include <math.h>

#include "experiment.h"

#define TASKS_MAX 4
#define ROUNDS 300

static void spin(void *unused)
{
	(void)unused;
	for (;;)
		;
}

static int64_t work_of_task(pid_t pid)
{
	struct kronos_clock clock = { .size = sizeof(clock), .tid = pid };

	CHECK(!ioctl(device, KRONOS_IOC_CLOCK, &clock));
	return clock.work_ns;
}

static void share(unsigned int cores, int tasks)
{
	struct kronos_host host = plain_host(1.0);
	double due = (double)ROUNDS * MSEC * ((int)cores < tasks ? (double)cores / tasks : 1);
	int64_t before[TASKS_MAX];
	pid_t pids[TASKS_MAX];
	int id;

	host.cores = cores;
	initialize(KRONOS_INIT_KILL, (unsigned int)tasks);
	id = add_host(&host);
	for (int i = 0; i < tasks; i++)
		pids[i] = spawn(id, spin, NULL);
	freeze();
	progress(MSEC, 20);
	for (int i = 0; i < tasks; i++)
		before[i] = work_of_task(pids[i]);
	progress(MSEC, ROUNDS);
	for (int i = 0; i < tasks; i++) {
		double worked = (double)(work_of_task(pids[i]) - before[i]);

		if (fabs(worked - due) > due * (slowness() > 1 ? 0.1 : 0.02)) {
			printf("%u cores, task %d of %d has worked %.0f ns, not %.0f\n", cores, i + 1, tasks,
			       worked, due);
			exit(1);
		}
	}
	stop();
	while (waitpid(-1, NULL, 0) > 0)
		;
}

int main(void)
{
	share(1, 2);
	share(2, 1);
	share(2, 2);
	share(2, 3);
	share(4, 3);
	return success();
}
