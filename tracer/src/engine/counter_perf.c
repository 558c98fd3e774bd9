// SPDX-License-Identifier: MIT
/*
 * The processor's counter of instructions in user mode, by perf events. It stops
 * a task with a SIGTRAP, which comes some instructions late; how many is measured
 * at start, and the rest of a turn is stepped (counter.c).
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/perf_event.h>

#include "counter.h"
#include "engine.h"
#include "task.h"

#define TEST_PERIOD 100000
#define TESTS 50
/* What the measured lateness may be exceeded by, and what is too much. */
#define MARGIN_MIN 128
#define MARGIN_MAX 4096

static int event_open(pid_t tid)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.sample_period = 1ULL << 60,
		.pinned = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
		.sigtrap = 1,
		.remove_on_exec = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1,
			    PERF_FLAG_FD_CLOEXEC);
}

static void event_arm(int event, uint64_t count)
{
	ioctl(event, PERF_EVENT_IOC_RESET, 0);
	ioctl(event, PERF_EVENT_IOC_PERIOD, &count);
}

static uint64_t event_read(int event)
{
	uint64_t count = 0;

	/* A pinned event that did not get its counter reads as an end of file. */
	return read(event, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static bool perf_open(struct task *task)
{
	task->counter = event_open(task->tid);
	return task->counter >= 0 || errno == ESRCH;
}

static void perf_close(struct task *task)
{
	if (task->counter >= 0)
		close(task->counter);
	task->counter = -1;
}

static bool perf_approach(struct task *task, uint64_t count)
{
	event_arm(task->counter, count);
	return counter_let_go(task);
}

static uint64_t perf_read(const struct task *task)
{
	return event_read(task->counter);
}

struct counter_source counter_perf = {
	.name = "PMU",
	.open = perf_open,
	.close = perf_close,
	.approach = perf_approach,
	.read = perf_read,
};

/* ---- self-test --------------------------------------------------------- */

static _Noreturn void test_child(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ptrace(PTRACE_TRACEME, 0, 0, 0))
		_exit(1);
	raise(SIGSTOP);
	for (;;)
		__asm__ volatile("");
}

/* Whether the child stops within a second. */
static bool test_stops(pid_t child)
{
	static const struct timespec second = { .tv_sec = 1 };
	sigset_t set;
	int status;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigtimedwait(&set, NULL, &second);
	return waitpid(child, &status, WNOHANG) == child && WIFSTOPPED(status) &&
	       WSTOPSIG(status) == SIGTRAP;
}

/* The greatest number of instructions that a stop was late by, or why it is none. */
static const char *test_lateness(pid_t child, int event, uint64_t *most)
{
	uint64_t count;

	for (int i = 0; i < TESTS; i++) {
		event_arm(event, TEST_PERIOD);
		ptrace(PTRACE_CONT, child, 0, 0);
		if (!test_stops(child))
			return "the PMU counts, and does not stop a task";
		count = event_read(event);
		if (count < TEST_PERIOD)
			return "the PMU counts too few instructions";
		if (count - TEST_PERIOD > *most)
			*most = count - TEST_PERIOD;
	}
	return 2 * *most + MARGIN_MIN > MARGIN_MAX ? "the PMU stops a task too late" :
						     NULL;
}

const char *counter_perf_test(void)
{
	const char *why = NULL;
	uint64_t most = 0;
	pid_t child = fork();
	int event, status;

	if (child == 0)
		test_child();
	if (child < 0)
		return strerror(errno);
	waitpid(child, &status, 0);
	event = event_open(child);
	if (event < 0)
		why = errno == ENOENT || errno == EOPNOTSUPP || errno == ENODEV ?
			      "no PMU" :
			      strerror(errno);
	else
		why = test_lateness(child, event, &most);
	if (event >= 0)
		close(event);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	counter_perf.margin = 2 * most + MARGIN_MIN;
	return why;
}
