// SPDX-License-Identifier: MIT
/* Children and threads, made in every way, keep the same clock and are waited for. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

extern char **environ;
static int64_t start;

static void nap(int64_t ns)
{
	struct timespec ts = at(ns);

	CHECK(!nanosleep(&ts, NULL));
}

static void wait_for(pid_t pid, int64_t expected, const char *what)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	check_elapsed(what, start, expected);
}

static void *thread(void *arg)
{
	nap(*(int64_t *)arg);
	return NULL;
}

static int clone_child(void *arg)
{
	nap(*(int64_t *)arg);
	return 7;
}

int main(int argc, char **argv)
{
	int64_t waits[4] = { 10 * MSEC, 20 * MSEC, 30 * MSEC, 40 * MSEC };
	char *shell[] = { "sh", "-c", "sleep 0.02; exit 7", NULL };
	pthread_t threads[4];
	static char stack[65536];
	/* struct clone_args, which musl has no header for */
	const uint64_t untraced[8] = { [0] = CLONE_UNTRACED, [4] = SIGCHLD };
	int fds[2], status;
	char byte;
	pid_t pid;

	check_arguments(argc, argv);
	start = now();
	pid = fork();
	if (pid == 0) {
		nap(waits[1]);
		_exit(7);
	}
	wait_for(pid, waits[1], "fork");

	start = now();
	pid = vfork();
	if (pid == 0)
		_exit(7);
	wait_for(pid, 0, "vfork");

	start = now();
	CHECK(!posix_spawn(&pid, "/bin/sh", NULL, NULL, shell, environ));
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
	CHECK(now() - start >= waits[1]);

	start = now();
	pid = clone(clone_child, stack + sizeof(stack), CLONE_VM | SIGCHLD, &waits[0]);
	CHECK(pid > 0);
	wait_for(pid, waits[0], "clone");

	/* Nor does this leave anybody outside. */
	start = now();
	pid = clone(clone_child, stack + sizeof(stack), CLONE_UNTRACED | SIGCHLD, &waits[0]);
	CHECK(pid > 0);
	wait_for(pid, waits[0], "clone, untraced");
	start = now();
	pid = (pid_t)syscall(SYS_clone3, untraced, sizeof(untraced));
	if (pid == 0)
		_exit(clone_child(&waits[0]));
	wait_for(pid, waits[0], "clone3, untraced");

	start = now();
	for (int i = 0; i < 4; i++)
		CHECK(!pthread_create(&threads[i], NULL, thread, &waits[i]));
	for (int i = 0; i < 4; i++)
		CHECK(!pthread_join(threads[i], NULL));
	check_elapsed("threads", start, waits[3]);

	/* A child's write wakes its parent in the same virtual time. */
	CHECK(!pipe(fds));
	start = now();
	pid = fork();
	if (pid == 0) {
		nap(waits[0]);
		CHECK(write(fds[1], "x", 1) == 1);
		nap(waits[3]);
		_exit(7);
	}
	CHECK(read(fds[0], &byte, 1) == 1);
	check_elapsed("pipe", start, waits[0]);
	wait_for(pid, waits[0] + waits[3], "child");

	/* Killed in its sleep. */
	start = now();
	pid = fork();
	if (pid == 0)
		nap(100 * SEC);
	nap(waits[0]);
	CHECK(!kill(pid, SIGTERM));
	CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGTERM);
	check_elapsed("kill", start, waits[0]);
	return success();
}
