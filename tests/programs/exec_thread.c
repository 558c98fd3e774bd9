// SPDX-License-Identifier: MIT
/*
 * Threads and exec: by a thread that is not the leader, which leaves one task
 * with the leader's id; a leader that ends first; many threads that end at once.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define THREADS 20

static char slack_text[32];

static void nap(int64_t ns)
{
	struct timespec ts = at(ns);

	CHECK(!nanosleep(&ts, NULL));
}

static void *exec_self(void *pid)
{
	char *argv[] = { "exec_thread", slack_text, "0", pid, NULL };

	nap(10 * MSEC);
	execv("/proc/self/exe", argv);
	_exit(99);
}

static void *sleep_long(void *arg)
{
	nap(100 * SEC);
	return arg;
}

static void *outlive_leader(void *arg)
{
	nap(30 * MSEC);
	_exit(7);
	return arg;
}

static void *count(void *arg)
{
	static int counter;

	nap(5 * MSEC);
	__atomic_add_fetch(&counter, 1, __ATOMIC_SEQ_CST);
	return arg ? &counter : NULL;
}

/* After the exec: one task, the same process id, and a clock that goes on. */
static int second_life(const char *pid)
{
	int64_t start = now();

	CHECK(getpid() == atoi(pid) && syscall(SYS_gettid) == getpid());
	nap(20 * MSEC);
	check_elapsed("sleep after exec", start, 20 * MSEC);
	return 7;
}

static void await(pid_t pid, int64_t start, int64_t expected, const char *what)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	check_elapsed(what, start, expected);
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	char text[32];
	int64_t start;
	void *result;
	pid_t pid;

	check_arguments(argc, argv);
	if (argc > 3)
		return second_life(argv[3]);
	snprintf(slack_text, sizeof(slack_text), "%lld", (long long)slack);

	start = now();
	pid = fork();
	if (pid == 0) {
		snprintf(text, sizeof(text), "%d", getpid());
		for (int i = 0; i < 5; i++)
			CHECK(!pthread_create(&threads[i], NULL, sleep_long, NULL));
		CHECK(!pthread_create(&threads[5], NULL, exec_self, text));
		sleep_long(NULL);
	}
	await(pid, start, 30 * MSEC, "exec by a thread");

	start = now();
	pid = fork();
	if (pid == 0) {
		CHECK(!pthread_create(&threads[0], NULL, outlive_leader, NULL));
		pthread_exit(NULL);
	}
	await(pid, start, 30 * MSEC, "a leader that ends first");

	start = now();
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&threads[i], NULL, count, &start));
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_join(threads[i], &result));
	CHECK(*(int *)result == THREADS);
	check_elapsed("threads that end at once", start, 5 * MSEC);
	return success();
}
