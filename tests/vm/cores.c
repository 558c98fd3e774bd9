// SPDX-License-Identifier: MIT
/*
 * Tasks share their host's virtual CPUs: each gets as much CPU time, and none more than one CPU's, those that never wait
 * and those that wait for each other all the time. Beside many short ones a task that never waits does not starve.
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

static int ping[2], pong[2];

static void pass_on(int from, int to)
{
	char byte;

	while (read(from, &byte, 1) == 1)
		CHECK(write(to, &byte, 1) == 1);
}

static void first_of_pair(void *unused)
{
	(void)unused;
	CHECK(write(ping[1], "", 1) == 1);
	pass_on(pong[0], ping[1]);
}

static void second_of_pair(void *unused)
{
	(void)unused;
	pass_on(ping[0], pong[1]);
}

static void fork_on(void *unused)
{
	pid_t pid;

	(void)unused;
	while ((pid = fork()))
		CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid);
	_exit(0);
}

static int64_t work_of_task(pid_t pid)
{
	struct kronos_clock clock = { .size = sizeof(clock), .tid = pid };

	CHECK(!ioctl(device, KRONOS_IOC_CLOCK, &clock));
	return clock.work_ns;
}

/* Every function is a task. */
static void share(unsigned int cores, void (**functions)(void *), int tasks)
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
		pids[i] = spawn(id, functions[i], NULL);
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

static void beside_short_ones(void)
{
	struct kronos_host host = plain_host(1.0);
	int64_t before, due = ROUNDS * MSEC / 2, worked;
	pid_t pid;
	int id;

	initialize(KRONOS_INIT_KILL, 2);
	id = add_host(&host);
	pid = spawn(id, spin, NULL);
	spawn(id, fork_on, NULL);
	freeze();
	progress(MSEC, 20);
	before = work_of_task(pid);
	progress(MSEC, ROUNDS);
	worked = work_of_task(pid) - before;
	printf("beside short ones a task has worked %.2f of a half\n", (double)worked / (double)due);
	CHECK(worked > due / 2);
	stop();
	while (waitpid(-1, NULL, 0) > 0)
		;
}

int main(void)
{
	void (*computing[])(void *) = { spin, spin, spin };
	void (*waiting[])(void *) = { spin, first_of_pair, second_of_pair };

	CHECK(!pipe(ping) && !pipe(pong));
	share(1, computing, 2);
	share(2, computing, 1);
	share(2, computing, 2);
	share(2, computing, 3);
	share(4, computing, 3);
	share(1, waiting, 3);
	beside_short_ones();
	return success();
}
