// SPDX-License-Identifier: MIT
/* What prctl() sets is kept, inherited and read back: timer slack, no time stamp counter. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include "check.h"

static int await(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static void check_slack(void)
{
	int first = prctl(PR_GET_TIMERSLACK);
	pid_t pid;

	CHECK(first > 0);
	CHECK(!prctl(PR_SET_TIMERSLACK, 70000));
	CHECK(prctl(PR_GET_TIMERSLACK) == 70000);
	pid = fork();
	if (pid == 0) {
		CHECK(prctl(PR_GET_TIMERSLACK) == 70000);
		CHECK(!prctl(PR_SET_TIMERSLACK, 1));
		CHECK(prctl(PR_GET_TIMERSLACK) == 1);
		CHECK(!prctl(PR_SET_TIMERSLACK, 0));
		CHECK(prctl(PR_GET_TIMERSLACK) == 70000);
		_exit(0);
	}
	CHECK(await(pid) == 0);
	CHECK(!prctl(PR_SET_TIMERSLACK, 0));
	CHECK(prctl(PR_GET_TIMERSLACK) == first);
}

static int tsc_mode(void)
{
	int mode = 0;

	CHECK(!prctl(PR_GET_TSC, &mode));
	return mode;
}

/* How a program ends that has no such instruction in its own file: glibc's loader has. */
static int status_of_true(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("true", "true", NULL);
		_exit(127);
	}
	return await(pid);
}

/* Under native clocks a program without the counter cannot ask for the time. */
static void check_tsc(void)
{
	volatile unsigned long long value;
	int status;
	pid_t pid;

	CHECK(tsc_mode() == PR_TSC_ENABLE);
	CHECK(prctl(PR_SET_TSC, 99) == -1);
	pid = fork();
	if (pid == 0) {
		CHECK(!prctl(PR_SET_TSC, PR_TSC_SIGSEGV));
		CHECK(tsc_mode() == PR_TSC_SIGSEGV);
		status = status_of_true();
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
		pid = fork();
		if (pid == 0) {
			value = __rdtsc();
			_exit(0);
		}
		status = await(pid);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
		CHECK(!prctl(PR_SET_TSC, PR_TSC_ENABLE));
		value = __rdtsc();
		_exit(0);
	}
	CHECK(await(pid) == 0);
	CHECK(status_of_true() == 0);
	value = __rdtsc();
	(void)value;
}

/* A program may ask for polls that leave their timeouts as they are. */
static void check_sticky(void)
{
	struct timeval left = { 0, 20000 };
	int former = personality(UINT32_MAX);
	int64_t start = now();

	CHECK(personality((unsigned long)former | STICKY_TIMEOUTS) == former);
	CHECK(!select(0, NULL, NULL, NULL, &left));
	check_elapsed("a select", start, 20 * MSEC);
	CHECK(!left.tv_sec && left.tv_usec == 20000);
	CHECK(personality((unsigned long)former) == (former | STICKY_TIMEOUTS));
	CHECK(!select(0, NULL, NULL, NULL, &left));
	CHECK(!left.tv_sec && !left.tv_usec);
}

int main(int argc, char **argv)
{
	check_arguments(argc, argv);
	check_slack();
	check_tsc();
	check_sticky();
	return success();
}
