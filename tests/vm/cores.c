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

/* Every function is a task of a host. Finds out how much each works in ROUNDS rounds. */
static void measure(unsigned int cores, void (**functions)(void *), int tasks, int64_t worked[TASKS_MAX])
{
	struct kronos_host host = plain_host(1.0);
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
		worked[i] = -work_of_task(pids[i]);
	progress(MSEC, ROUNDS);
	for (int i = 0; i < tasks; i++)
		worked[i] += work_of_task(pids[i]);
	stop();
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static void share(unsigned int cores, void (**functions)(void *), int tasks)
{
	double due = (double)ROUNDS * MSEC * ((int)cores < tasks ? (double)cores / tasks : 1);
	int64_t worked[TASKS_MAX];

	measure(cores, functions, tasks, worked);
	for (int i = 0; i < tasks; i++) {
		if (fabs((double)worked[i] - due) > due * (slowness() > 1 ? 0.1 : 0.02)) {
			printf("%u cores, task %d of %d has worked %lld ns, not %.0f\n", cores, i + 1, tasks,
			       (long long)worked[i], due);
			exit(1);
		}
	}
}

static void beside_short_ones(void)
{
	void (*functions[])(void *) = { spin, fork_on };
	int64_t due = ROUNDS * MSEC / 2, worked[TASKS_MAX];

	measure(1, functions, 2, worked);
	printf("beside short ones a task has worked %.2f of a half\n", (double)worked[0] / (double)due);
	CHECK(worked[0] > due / 2);
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
