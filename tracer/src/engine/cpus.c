// SPDX-License-Identifier: MIT
/*
 * The CPUs that the engine and the dilated tasks run on. Masks are as long as any
 * kernel's, which cpu_set_t is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cpus.h"
#include "engine.h"
#include "workers.h"

struct mask {
	cpu_set_t sets[CPUS_MAX / CPU_SETSIZE];
};

int cpus_pin(pid_t tid, int cpu)
{
	struct mask mask = { 0 };

	CPU_SET_S((size_t)cpu, sizeof(mask), mask.sets);
	return sched_setaffinity(tid, sizeof(mask), mask.sets);
}

/*
 * Two engines on one CPU would disturb each other's time. Byte N of a file that
 * every mount namespace has stands for CPU N; the lock ends with this process.
 */
static bool claim_cpu(int cpu)
{
	struct flock range = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = cpu,
		.l_len = 1,
	};
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	return fd < 0 || fcntl(fd, F_OFD_SETLK, &range) == 0;
}

static void warn_shared(int cpu)
{
	engine_warn("another experiment runs on CPU %d: both are slower, and their "
		    "clocks less exact; run one at a time",
		    cpu);
}

/* The allowed CPUs from the last down, those first that no other engine has. */
static uint32_t choose_any(uint32_t count, int *cpus, bool quiet)
{
	struct mask allowed = { 0 };
	uint32_t found = 0;

	if (sched_getaffinity(0, sizeof(allowed), allowed.sets))
		return 0;
	for (int again = 0; again < 2; again++)
		for (int cpu = CPUS_MAX - 1; cpu >= 0 && found < count; cpu--) {
			if (!CPU_ISSET_S((size_t)cpu, sizeof(allowed), allowed.sets) ||
			    (!again && !claim_cpu(cpu)))
				continue;
			if (again && !quiet)
				warn_shared(cpu);
			CPU_CLR_S((size_t)cpu, sizeof(allowed), allowed.sets);
			cpus[found++] = cpu;
		}
	return found;
}

/* It may be one that the scheduler leaves alone (isolcpus), and so not in our mask. */
static uint32_t choose_this(int wanted, int *cpus, bool quiet)
{
	if (wanted >= CPUS_MAX || cpus_pin(0, wanted))
		return 0;
	if (!claim_cpu(wanted) && !quiet)
		warn_shared(wanted);
	cpus[0] = wanted;
	return 1;
}

int cpus_choose(const struct kronos_request *request, int *cpus, char *text, size_t size)
{
	int wanted = request->init.cpu;
	uint32_t count = request->init.cpus ? request->init.cpus : 1;
	bool quiet = request->init.flags & KRONOS_F_SHARED_CPU;

	if (count > WORKERS_MAX || (wanted >= 0 && count > 1)) {
		snprintf(text, size, "cpus must be at most %d, and 1 if cpu is given",
			 WORKERS_MAX);
		return -EINVAL;
	}
	engine.workers = wanted < 0 ? choose_any(count, cpus, quiet) :
				      choose_this(wanted, cpus, quiet);
	if (engine.workers < count) {
		if (wanted >= 0)
			snprintf(text, size, "CPU %d is not allowed for this process",
				 wanted);
		else
			snprintf(text, size,
				 "%u CPUs are asked for, %u are allowed; fix: cpus=%u",
				 count, engine.workers, engine.workers);
		return -EINVAL;
	}
	engine.cpu = cpus[0];
	return 0;
}
