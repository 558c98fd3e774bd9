// SPDX-License-Identifier: MIT
/* Every clock id in every form, what it says of itself, and that none can be set. */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/sysinfo.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define NAP (50 * MSEC)
#define TICK (20 * MSEC) /* more than any kernel's */

struct clock {
	clockid_t id;
	clockid_t fine; /* the clock that it lags behind */
	int64_t resolution;
};

static const struct clock clocks[] = {
	{ CLOCK_REALTIME, CLOCK_REALTIME, 1 },
	{ CLOCK_MONOTONIC, CLOCK_MONOTONIC, 1 },
	{ CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC_RAW, 1 },
	{ CLOCK_BOOTTIME, CLOCK_BOOTTIME, 1 },
	{ CLOCK_TAI, CLOCK_TAI, 1 },
	{ CLOCK_REALTIME_COARSE, CLOCK_REALTIME, MSEC },
	{ CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC, MSEC },
};
#define CLOCKS (sizeof(clocks) / sizeof(clocks[0]))

static int64_t syscall_on(clockid_t clock)
{
	struct timespec ts;

	CHECK(!syscall(SYS_clock_gettime, clock, &ts));
	return ts.tv_sec * SEC + ts.tv_nsec;
}

static void forms_agree(const struct clock *clock)
{
	int64_t before, library, kernel, after;
	struct timespec resolution;

	before = now_on(clock->fine);
	library = now_on(clock->id);
	kernel = syscall_on(clock->id);
	after = now_on(clock->fine);
	CHECK(library <= kernel && kernel <= after);
	if (clock->id == clock->fine)
		CHECK(before <= library);
	else
		CHECK(before - TICK <= library);
	CHECK(!clock_getres(clock->id, &resolution));
	CHECK(resolution.tv_sec == 0 && resolution.tv_nsec >= clock->resolution);
	CHECK(clock->resolution > 1 || resolution.tv_nsec == 1);
	CHECK(!syscall(SYS_clock_getres, clock->id, &resolution));
	CHECK(resolution.tv_nsec >= clock->resolution);
}

static void all_go_on(void)
{
	struct timespec nap = at(NAP);
	int64_t before[CLOCKS], elapsed;

	for (size_t i = 0; i < CLOCKS; i++)
		before[i] = now_on(clocks[i].id);
	CHECK(!nanosleep(&nap, NULL));
	for (size_t i = 0; i < CLOCKS; i++) {
		elapsed = now_on(clocks[i].id) - before[i];
		CHECK(elapsed > NAP - TICK && elapsed - TICK - NAP <= slack);
	}
	CHECK(now_on(CLOCK_BOOTTIME) >= now_on(CLOCK_MONOTONIC) - SEC);
	CHECK(llabs(now_on(CLOCK_TAI) - now_on(CLOCK_REALTIME)) <= 100 * SEC);
}

static void strangers(void)
{
	struct timespec ts;

	CHECK(syscall(SYS_clock_gettime, 99, &ts) == -1 && errno == EINVAL);
	CHECK(clock_gettime(99, &ts) == -1 && errno == EINVAL);
	CHECK(clock_getres(99, &ts) == -1 && errno == EINVAL);
	CHECK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 1) == -1 && errno == EFAULT);
	CHECK(!clock_getres(CLOCK_PROCESS_CPUTIME_ID, &ts) && ts.tv_nsec == 1);
	CHECK(!clock_getres(CLOCK_THREAD_CPUTIME_ID, &ts) && ts.tv_nsec == 1);
}

/* The oldest form of all: a page at a fixed address, where the kernel has it. */
static void vsyscalls(void)
{
	time_t (*const vsyscall_time)(time_t *) = (void *)0xffffffffff600400;
	char line[256];
	int64_t before;
	FILE *maps = fopen("/proc/self/maps", "re");
	int found = 0;

	CHECK(maps);
	while (fgets(line, sizeof(line), maps))
		found |= strstr(line, "[vsyscall]") != NULL;
	fclose(maps);
	if (!found)
		return;
	before = now_on(CLOCK_REALTIME) / SEC;
	CHECK(vsyscall_time(NULL) >= before);
	CHECK(vsyscall_time(NULL) <= now_on(CLOCK_REALTIME) / SEC);
}

static void uptime(void)
{
	int64_t before = now_on(CLOCK_BOOTTIME) / SEC;
	struct sysinfo info;

	CHECK(!sysinfo(&info));
	CHECK(info.uptime >= before);
	CHECK(info.uptime <= now_on(CLOCK_BOOTTIME) / SEC + 1);
	CHECK(info.totalram > 0 && info.procs > 0);
}

static void read_adjustment(void)
{
	struct timex value = { 0 };
	int64_t before = now_on(CLOCK_REALTIME), ns;

	CHECK(adjtimex(&value) >= 0);
	ns = value.time.tv_usec * (value.status & STA_NANO ? 1 : 1000);
	CHECK(value.time.tv_sec * SEC + ns >= before - 1000);
	CHECK(value.time.tv_sec * SEC + ns <= now_on(CLOCK_REALTIME));
	before = now_on(CLOCK_REALTIME);
	memset(&value, 0, sizeof(value));
	CHECK(clock_adjtime(CLOCK_REALTIME, &value) >= 0);
	CHECK(value.time.tv_sec >= before / SEC);
	CHECK(clock_adjtime(CLOCK_MONOTONIC, &value) == -1 && errno == EOPNOTSUPP);
}

static void cannot_be_set(void)
{
	struct timex value = { .modes = ADJ_FREQUENCY };
	struct timespec ts = at(now_on(CLOCK_REALTIME));
	struct timeval tv = { ts.tv_sec, 0 };

	CHECK(clock_settime(CLOCK_REALTIME, &ts) == -1 && errno == EPERM);
	CHECK(clock_settime(CLOCK_MONOTONIC, &ts) == -1 && errno == EINVAL);
	CHECK(settimeofday(&tv, NULL) == -1 && errno == EPERM);
	CHECK(adjtimex(&value) == -1 && errno == EPERM);
	CHECK(clock_adjtime(CLOCK_REALTIME, &value) == -1 && errno == EPERM);
}

static void cpu_number(void)
{
	unsigned int cpu, node;

	CHECK(sched_getcpu() >= 0 && sched_getcpu() < CPU_SETSIZE);
	CHECK(!syscall(SYS_getcpu, &cpu, &node, NULL));
	CHECK(cpu < CPU_SETSIZE && node < CPU_SETSIZE);
}

int main(int argc, char **argv)
{
	int status;
	pid_t pid;

	check_arguments(argc, argv);
	for (size_t i = 0; i < CLOCKS; i++)
		forms_agree(&clocks[i]);
	all_go_on();
	strangers();
	vsyscalls();
	uptime();
	read_adjustment();
	cpu_number();
	/* In virtual time not even root may; natively it must not try. */
	pid = fork();
	if (pid == 0) {
		CHECK(argc > 1 || !setuid(65534));
		cannot_be_set();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	return success();
}
