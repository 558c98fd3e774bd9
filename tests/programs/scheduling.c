// SPDX-License-Identifier: MIT
/* The scheduling that a program asks for: as if it were obeyed. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define ABSENT 4194300 /* no process has this id */

struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static int set(int policy, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	return sched_setscheduler(0, policy, &param);
}

static int priority(void)
{
	struct sched_param param;

	CHECK(!sched_getparam(0, &param));
	return param.sched_priority;
}

#define FAILS(call, error) CHECK((call) == -1 && errno == (error))

static void is_ordinary(void)
{
	CHECK(sched_getscheduler(0) == SCHED_OTHER);
	CHECK(sched_getscheduler(getpid()) == SCHED_OTHER);
	CHECK(priority() == 0);
	CHECK(getpriority(PRIO_PROCESS, 0) == 0);
}

static void refuses(void)
{
	struct sched_param param = { 0 };

	FAILS(set(SCHED_FIFO, 0), EINVAL);
	FAILS(set(SCHED_FIFO, 100), EINVAL);
	FAILS(set(SCHED_OTHER, 1), EINVAL);
	FAILS(set(77, 1), EINVAL);
	FAILS(set(-1, 0), EINVAL);
	FAILS(sched_setscheduler(0, SCHED_OTHER, NULL), EINVAL);
	FAILS(sched_setscheduler(ABSENT, SCHED_OTHER, &param), ESRCH);
	FAILS(sched_setparam(-1, &param), EINVAL);
	param.sched_priority = 3;
	FAILS(sched_setparam(0, &param), EINVAL);
	FAILS(sched_getscheduler(-1), EINVAL);
	FAILS(sched_getscheduler(ABSENT), ESRCH);
	FAILS(sched_getparam(0, NULL), EINVAL);
	FAILS(sched_getparam(ABSENT, &param), ESRCH);
	is_ordinary();
}

/* In a child, which may keep what it has got. */
static void in_child(void (*function)(void))
{
	int status;

	fflush(stdout);
	if (!fork()) {
		function();
		_exit(0);
	}
	CHECK(wait(&status) > 0 && status == 0);
}

static void is_fifo_10(void)
{
	CHECK(sched_getscheduler(0) == SCHED_FIFO && priority() == 10);
}

static void *thread(void *arg)
{
	is_fifo_10();
	return arg;
}

static void realtime(void)
{
	struct timespec interval;
	pthread_t other;

	CHECK(!set(SCHED_FIFO, 10));
	is_fifo_10();
	in_child(is_fifo_10);
	CHECK(!pthread_create(&other, NULL, thread, NULL));
	CHECK(!pthread_join(other, NULL));
	CHECK(!sched_rr_get_interval(0, &interval));
	CHECK(interval.tv_sec == 0 && interval.tv_nsec == 0);
	CHECK(!set(SCHED_RR, 20));
	CHECK(sched_getscheduler(0) == SCHED_RR && priority() == 20);
	CHECK(!sched_rr_get_interval(0, &interval));
	CHECK(interval.tv_nsec > 0);
	CHECK(!set(SCHED_FIFO | SCHED_RESET_ON_FORK, 30));
	CHECK(sched_getscheduler(0) == (SCHED_FIFO | SCHED_RESET_ON_FORK));
	in_child(is_ordinary);
	CHECK(!set(SCHED_BATCH, 0));
	CHECK(sched_getscheduler(0) == SCHED_BATCH);
	CHECK(!set(SCHED_IDLE, 0));
	CHECK(sched_getscheduler(0) == SCHED_IDLE);
	FAILS(sched_rr_get_interval(-1, &interval), EINVAL);
	FAILS(sched_rr_get_interval(ABSENT, &interval), ESRCH);
}

static void with_attr(void)
{
	struct attr attr = { .size = sizeof(attr), .policy = SCHED_RR, .priority = 5 };
	struct attr seen = { 0 };

	CHECK(!syscall(SYS_sched_setattr, 0, &attr, 0));
	CHECK(sched_getscheduler(0) == SCHED_RR && priority() == 5);
	CHECK(!syscall(SYS_sched_getattr, 0, &seen, sizeof(seen), 0));
	CHECK(seen.size == sizeof(seen) && seen.policy == SCHED_RR && seen.priority == 5);
	attr = (struct attr){ .size = sizeof(attr), .nice = 7 };
	CHECK(!syscall(SYS_sched_setattr, 0, &attr, 0));
	CHECK(getpriority(PRIO_PROCESS, 0) == 7);
	CHECK(!syscall(SYS_sched_getattr, 0, &seen, sizeof(seen), 0));
	CHECK(seen.policy == SCHED_OTHER && seen.nice == 7);
	FAILS(syscall(SYS_sched_setattr, 0, &attr, 1), EINVAL);
	FAILS(syscall(SYS_sched_setattr, 0, NULL, 0), EINVAL);
	FAILS(syscall(SYS_sched_setattr, ABSENT, &attr, 0), ESRCH);
	FAILS(syscall(SYS_sched_getattr, 0, &seen, 8, 0), EINVAL);
	attr.size = 5000;
	FAILS(syscall(SYS_sched_setattr, 0, &attr, 0), E2BIG);
	CHECK(attr.size >= sizeof(attr) && attr.size < 5000);
}

static void niceness(void)
{
	CHECK(nice(5) == 5);
	CHECK(getpriority(PRIO_PROCESS, 0) == 5);
	CHECK(!setpriority(PRIO_PROCESS, 0, -3));
	CHECK(getpriority(PRIO_PROCESS, getpid()) == -3);
}

static void unprivileged(void)
{
	const struct sched_param param = { 0 };
	const struct rlimit none = { 0, 0 };
	cpu_set_t cpus;

	CHECK(!sched_getaffinity(0, sizeof(cpus), &cpus));
	CHECK(!setrlimit(RLIMIT_RTPRIO, &none));
	CHECK(!setrlimit(RLIMIT_NICE, &none));
	CHECK(!setuid(65534));
	FAILS(set(SCHED_FIFO, 1), EPERM);
	CHECK(!set(SCHED_BATCH, 0));
	CHECK(!set(SCHED_IDLE, 0));
	FAILS(set(SCHED_OTHER, 0), EPERM);
	FAILS(sched_setaffinity(getppid(), sizeof(cpus), &cpus), EPERM);
	FAILS(sched_setaffinity(1, sizeof(cpus), &cpus), EPERM); /* not dilated */
	FAILS(sched_setparam(1, &param), EPERM);
	CHECK(!sched_setaffinity(0, sizeof(cpus), &cpus));
	errno = 0;
	FAILS(nice(-1), EPERM);
}

static cpu_set_t wanted;

static void has_wanted(void)
{
	cpu_set_t cpus;

	CHECK(!sched_getaffinity(0, sizeof(cpus), &cpus));
	CHECK(CPU_EQUAL(&cpus, &wanted));
}

static void affinity(void)
{
	int present = (int)sysconf(_SC_NPROCESSORS_CONF), first = 0;
	uint64_t raw[128] = { 0 };
	cpu_set_t cpus;

	CHECK(!sched_getaffinity(0, sizeof(cpus), &cpus));
	CHECK(CPU_COUNT(&cpus) > 0 && CPU_COUNT(&cpus) <= present);
	while (!CPU_ISSET(first, &cpus))
		first++;
	CPU_ZERO(&wanted);
	CPU_SET(first, &wanted);
	CHECK(!sched_setaffinity(0, sizeof(wanted), &wanted));
	has_wanted();
	in_child(has_wanted);
	CHECK(syscall(SYS_sched_getaffinity, 0, sizeof(raw), raw) > 0);
	CHECK(raw[first / 64] == 1ULL << first % 64);
	FAILS(syscall(SYS_sched_getaffinity, 0, 1, raw), EINVAL);
	FAILS(syscall(SYS_sched_getaffinity, 0, 9, raw), EINVAL);
	FAILS(syscall(SYS_sched_setaffinity, 0, sizeof(raw), (void *)8), EFAULT);
	FAILS(sched_getaffinity(ABSENT, sizeof(cpus), &cpus), ESRCH);
	FAILS(sched_setaffinity(ABSENT, sizeof(cpus), &wanted), ESRCH);
	CPU_ZERO(&cpus);
	FAILS(sched_setaffinity(0, sizeof(cpus), &cpus), EINVAL);
	has_wanted();
}

int main(int argc, char **argv)
{
	check_arguments(argc, argv);
	CHECK(sysconf(_SC_NPROCESSORS_ONLN) >= 1);
	is_ordinary();
	refuses();
	in_child(realtime);
	in_child(with_attr);
	in_child(niceness);
	in_child(affinity);
	in_child(unprivileged);
	is_ordinary();
	return success();
}
