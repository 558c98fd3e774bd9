// SPDX-License-Identifier: MIT
/*
 * virtual SPEED TIMESTEP WAIT SECONDS -- COMMAND... [-- COMMAND...]
 *
 * Runs each command in a host of its own, in rounds of TIMESTEP us, until the
 * first one ends, for at most so many virtual SECONDS. With WAIT, as many us of
 * real time pass before each round: a slow machine. SPEED is relative CPU speed;
 * 0 makes computation free. Exits with the first command's status.
 */
#include "experiment.h"

#define COMMANDS_MAX 64

/* Cuts the list at each "--"; returns how many commands there are. */
static int split(char **argv, char **commands[])
{
	int count = 0;

	for (; *argv; argv++) {
		if (strcmp(*argv, "--"))
			continue;
		*argv = NULL;
		CHECK(count < COMMANDS_MAX && argv[1]);
		commands[count++] = argv + 1;
	}
	return count;
}

static pid_t start(char **command, double speed)
{
	struct kronos_host host = plain_host(speed ?: 1.0);

	if (!speed) {
		host.counter = KRONOS_MODULE_WORK_FREE;
		host.cost = 50;
	}
	return spawn(add_host(&host), execute, command);
}

int main(int argc, char **argv)
{
	int64_t timestep, wait, seconds;
	char **commands[COMMANDS_MAX];
	int status, count;
	pid_t first;

	CHECK(argc > 6 && !strcmp(argv[5], "--"));
	timestep = atoll(argv[2]) * USEC;
	wait = atoll(argv[3]) * USEC;
	seconds = atoll(argv[4]);
	count = split(argv + 5, commands);
	initialize(KRONOS_INIT_KILL, (unsigned int)count);
	first = start(commands[0], atof(argv[1]));
	for (int i = 1; i < count; i++)
		start(commands[i], atof(argv[1]));
	freeze();
	while (!has_ended(first, &status)) {
		if (virtual_time(0) > seconds * SEC) {
			still_runs(first);
			return 1;
		}
		if (wait)
			wait_real(wait);
		progress(timestep, wait ? 1 : 100);
	}
	printf("%.9f virtual seconds\n", (double)virtual_time(0) / 1e9);
	stop();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
