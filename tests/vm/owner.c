// SPDX-License-Identifier: MIT
/*
 * owner TIMES: the owner of an experiment is killed at a random moment, frozen,
 * in a round or before. Each time the clock runs free again, nothing is held,
 * and the next experiment begins at once.
 */
#include "experiment.h"

#define HOSTS 4

static void work(void *unused)
{
	struct timespec wait = at(300 * USEC);

	(void)unused;
	for (;;) {
		for (volatile int i = 0; i < 20000; i++)
			;
		nanosleep(&wait, NULL);
	}
}

/* The owner: never ends by itself. */
static void own(int told)
{
	initialize(KRONOS_INIT_KILL, HOSTS);
	for (int i = 0; i < HOSTS; i++) {
		struct kronos_host host = plain_host(1.0);

		spawn(add_host(&host), work, NULL);
	}
	CHECK(write(told, "x", 1) == 1);
	freeze();
	for (;;)
		progress(100 * USEC, 50);
}

static struct kronos_info information(int fd)
{
	struct kronos_info info = { .size = sizeof(info) };

	CHECK(!ioctl(fd, KRONOS_IOC_INFO, &info));
	return info;
}

static void kill_one(int fd, int64_t delay)
{
	struct kronos_module_stats stats = { .size = sizeof(stats) };
	struct kronos_wait wait = { sizeof(wait), -1, delay };
	struct timespec nap = at(MSEC);
	int64_t start;
	int told[2];
	pid_t pid;
	char byte;

	CHECK(!pipe(told));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		close(told[0]);
		own(told[1]);
	}
	close(told[1]);
	CHECK(read(told[0], &byte, 1) == 1);
	close(told[0]);
	CHECK(!ioctl(fd, KRONOS_IOC_WAIT, &wait));
	CHECK(!kill(pid, SIGKILL));
	CHECK(waitpid(pid, NULL, 0) == pid);
	CHECK(information(fd).state == KRONOS_STATE_FREE);
	CHECK(information(fd).owner == 0);
	start = now();
	CHECK(!nanosleep(&nap, NULL));
	CHECK(now() - start >= MSEC);
	CHECK(!ioctl(fd, KRONOS_IOC_STATS, &stats));
	CHECK(stats.tasks == 0 && stats.hosts == 0);
}

int main(int argc, char **argv)
{
	int times = argc > 1 ? atoi(argv[1]) : 10;
	int fd = open(KRONOS_MODULE_DEVICE, O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	srandom(1);
	for (int i = 0; i < times; i++)
		kill_one(fd, random() % (60 * MSEC));
	return success();
}
