// SPDX-License-Identifier: MIT
/* Loops that never wait: on the clock, on sched_yield, on an atomic, in threads. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define SPINNERS 3

static _Atomic int stop, turn;

static void *spin_on_clock(void *until)
{
	while (now() < *(int64_t *)until)
		;
	return NULL;
}

static void *spin_on_yield(void *arg)
{
	while (!stop)
		sched_yield();
	return arg;
}

static void *spin_on_atomic(void *arg)
{
	while (!stop)
		__builtin_ia32_pause();
	return arg;
}

/* Ping-pong by spinning: each needs the other to run. */
static void *alternate(void *arg)
{
	int me = (int)(intptr_t)arg;

	for (int i = 0; i < 20; i++) {
		while (turn != me)
			;
		turn = !me;
	}
	return NULL;
}

static void with_spinners(void *(*spin)(void *))
{
	struct timespec nap = at(20 * MSEC);
	pthread_t threads[SPINNERS];
	int64_t start;

	stop = 0;
	for (int i = 0; i < SPINNERS; i++)
		CHECK(!pthread_create(&threads[i], NULL, spin, NULL));
	start = now();
	CHECK(!nanosleep(&nap, NULL));
	CHECK(now() - start >= 20 * MSEC); /* it got its turn */
	stop = 1;
	for (int i = 0; i < SPINNERS; i++)
		CHECK(!pthread_join(threads[i], NULL));
}

int main(int argc, char **argv)
{
	int64_t start = now(), until = start + 20 * MSEC;
	pthread_t threads[SPINNERS];
	int status;
	pid_t pid;

	check_arguments(argc, argv);
	spin_on_clock(&until);
	check_elapsed("a loop on the clock", start, 20 * MSEC);

	until = now() + 20 * MSEC;
	for (int i = 0; i < SPINNERS; i++)
		CHECK(!pthread_create(&threads[i], NULL, spin_on_clock, &until));
	for (int i = 0; i < SPINNERS; i++)
		CHECK(!pthread_join(threads[i], NULL));
	CHECK(now() >= until);

	with_spinners(spin_on_yield);
	with_spinners(spin_on_atomic);

	for (int i = 0; i < 2; i++)
		CHECK(!pthread_create(&threads[i], NULL, alternate, (void *)(intptr_t)i));
	for (int i = 0; i < 2; i++)
		CHECK(!pthread_join(threads[i], NULL));

	/* A process that never waits is killed by another. */
	pid = fork();
	if (pid == 0)
		for (;;)
			;
	until = now() + 10 * MSEC;
	while (now() < until)
		sched_yield();
	CHECK(!kill(pid, SIGKILL));
	CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGKILL);
	return success();
}
