/* SPDX-License-Identifier: MIT */
/*
 * For tests of the module: an experiment, driven by its calls alone. Every
 * function ends the program with a line of evidence when something is wrong.
 */
#ifndef EXPERIMENT_H
#define EXPERIMENT_H

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "kronos_module.h"

#define USEC 1000LL

static int device = -1;

/* What work may take, times this: a kernel with its checkers on is so much slower. */
static inline int slowness(void)
{
	struct utsname system;

	CHECK(!uname(&system));
	return strstr(system.release, "-debug") ? 100 : 1;
}

static inline void initialize(unsigned int flags, unsigned int tracers)
{
	struct kronos_initialize init = { sizeof(init), KRONOS_MODULE_ABI, flags, tracers };

	device = open(KRONOS_MODULE_DEVICE, O_RDWR | O_CLOEXEC);
	CHECK(device >= 0);
	CHECK(!ioctl(device, KRONOS_IOC_INITIALIZE, &init));
}

static inline struct kronos_host plain_host(double speed)
{
	struct kronos_host host = { .size = sizeof(host), .name = "h" };

	host.cost = (uint64_t)(4294967296.0 / speed);
	return host;
}

static inline int add_host(const struct kronos_host *host)
{
	int id = ioctl(device, KRONOS_IOC_ADD_HOST, host);

	CHECK(id > 0);
	return id;
}

static inline void join(int host, unsigned int flags)
{
	struct kronos_join join = { sizeof(join), (unsigned int)host, 0, flags };

	CHECK(!ioctl(device, KRONOS_IOC_JOIN, &join));
}

/* A child that is held until the freeze, and then runs the function. */
static inline pid_t spawn(int host, void (*function)(void *), void *argument)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	join(host, KRONOS_JOIN_TRACER | KRONOS_JOIN_HOLD);
	function(argument);
	exit(0);
}

static inline void execute(void *argv)
{
	execvp(*(char **)argv, argv);
	_exit(127);
}

/* Real time, whatever the clock does. */
static inline void wait_real(int64_t ns)
{
	struct kronos_wait wait = { sizeof(wait), -1, ns };

	CHECK(!ioctl(device, KRONOS_IOC_WAIT, &wait));
}

static inline void freeze(void)
{
	struct kronos_freeze freeze = { sizeof(freeze), 0, -1, -1 };

	CHECK(!ioctl(device, KRONOS_IOC_FREEZE, &freeze));
}

static inline struct kronos_progress progress_until(int64_t timestep, int64_t rounds, int fd)
{
	struct kronos_progress progress = {
		.size = sizeof(progress),
		.until_fd = fd,
		.timestep_ns = timestep,
		.rounds = rounds,
	};

	CHECK(!ioctl(device, KRONOS_IOC_PROGRESS, &progress));
	return progress;
}

static inline void progress(int64_t timestep, int64_t rounds)
{
	CHECK(progress_until(timestep, rounds, -1).done == rounds);
}

static inline int64_t virtual_time(int host)
{
	struct kronos_clock clock = { .size = sizeof(clock), .host = (unsigned int)host };

	CHECK(!ioctl(device, KRONOS_IOC_CLOCK, &clock));
	return clock.now_ns;
}

/* Since the module was loaded. */
static inline int64_t real_time(void)
{
	struct kronos_clock clock = { .size = sizeof(clock) };

	CHECK(!ioctl(device, KRONOS_IOC_CLOCK, &clock));
	return clock.real_ns;
}

static inline int64_t work_of(int host)
{
	struct kronos_clock clock = { .size = sizeof(clock), .host = (unsigned int)host };

	CHECK(!ioctl(device, KRONOS_IOC_CLOCK, &clock));
	return clock.work_ns;
}

static inline struct kronos_module_stats statistics(void)
{
	struct kronos_module_stats stats = { .size = sizeof(stats) };

	CHECK(!ioctl(device, KRONOS_IOC_STATS, &stats));
	return stats;
}

static inline bool has_ended(pid_t pid, int *status)
{
	pid_t ended = waitpid(pid, status, WNOHANG);

	CHECK(ended >= 0);
	return ended == pid;
}

/* Says what keeps the child. */
static inline void still_runs(pid_t pid)
{
	struct kronos_module_stats stats = statistics();
	char command[100];

	printf("%d has not ended: %lld ns virtual, %llu rounds, %llu windows, %llu slices, %llu cuts, waits for %d\n",
	       pid, (long long)virtual_time(0), stats.rounds, stats.windows, stats.slices, stats.cuts,
	       stats.waits_for);
	fflush(stdout);
	snprintf(command, sizeof(command), "cat /proc/%d/status /proc/%d/stack", pid, pid);
	CHECK(system(command) != -1);
}

/* Rounds until the child ends; returns its exit status. */
static inline int run_to_end(pid_t pid, int64_t timestep, int64_t rounds)
{
	int status;

	while (!has_ended(pid, &status)) {
		if (!rounds--) {
			still_runs(pid);
			exit(1);
		}
		progress(timestep, 1);
	}
	return status;
}

static inline void stop(void)
{
	CHECK(!ioctl(device, KRONOS_IOC_STOP));
	close(device);
}

#endif /* EXPERIMENT_H */
