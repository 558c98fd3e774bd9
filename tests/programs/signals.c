// SPDX-License-Identifier: MIT
/* Signals during waits: EINTR, restarts, the remaining time, blocked SIGTRAP. */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/membarrier.h>

#include "check.h"

static volatile sig_atomic_t seen;

static void on_signal(int signal)
{
	(void)signal;
	seen++;
}

static void handle(int signal, int flags)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };

	CHECK(!sigaction(signal, &action, NULL));
}

static void alarm_in(int64_t ns)
{
	struct itimerval value = { .it_value = { ns / SEC, ns % SEC / 1000 } };

	CHECK(!setitimer(ITIMER_REAL, &value, NULL));
}

static void *masked_thread(void *arg)
{
	struct timespec nap = at(20 * MSEC), until;
	sigset_t all;
	int64_t start;
	sem_t nobody;

	(void)arg;
	CHECK(!sem_init(&nobody, 0, 0));
	sigfillset(&all);
	CHECK(!pthread_sigmask(SIG_SETMASK, &all, NULL));
	for (int i = 0; i < 5; i++) {
		/* Waits, where it can, as for a disk. */
		syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
		start = now();
		CHECK(!nanosleep(&nap, NULL));
		check_elapsed("sleep with all signals blocked", start, 20 * MSEC);
		start = now();
		until = at(start + 20 * MSEC);
		CHECK(sem_clockwait(&nobody, CLOCK_MONOTONIC, &until) == -1 &&
		      errno == ETIMEDOUT);
		check_elapsed("semaphore with all signals blocked", start, 20 * MSEC);
		start = now();
		CHECK(poll(NULL, 0, 20) == 0);
		check_elapsed("poll with all signals blocked", start, 20 * MSEC);
	}
	return NULL;
}

/* What is blocked stays so across exec. */
static void check_mask_across_exec(void)
{
	sigset_t trap;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		sigemptyset(&trap);
		sigaddset(&trap, SIGTRAP);
		sigprocmask(SIG_BLOCK, &trap, NULL);
		execl("/proc/self/exe", "signals", "masked", NULL);
		_exit(2);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static int is_masked(void)
{
	sigset_t blocked;

	sigprocmask(SIG_BLOCK, NULL, &blocked);
	return sigismember(&blocked, SIGTRAP);
}

int main(int argc, char **argv)
{
	struct timespec wait = at(100 * MSEC), left;
	int fds[2], ep = epoll_create1(0), status;
	struct epoll_event event;
	pthread_t masked;
	int64_t start;
	char byte;
	pid_t pid;

	if (argc == 2 && !strcmp(argv[1], "masked"))
		return !is_masked();
	check_arguments(argc, argv);
	check_mask_across_exec();
	handle(SIGALRM, 0);
	start = now();
	alarm_in(30 * MSEC);
	CHECK(nanosleep(&wait, &left) == -1 && errno == EINTR);
	check_elapsed("interrupted nanosleep", start, 30 * MSEC);
	CHECK(left.tv_sec == 0 && left.tv_nsec < 100 * MSEC);
	start = now();
	CHECK(!nanosleep(&left, NULL));
	CHECK(now() - start >= left.tv_nsec);

	alarm_in(30 * MSEC);
	CHECK(poll(NULL, 0, 1000) == -1 && errno == EINTR);
	alarm_in(30 * MSEC);
	CHECK(epoll_wait(ep, &event, 1, 1000) == -1 && errno == EINTR);

	/* A read is restarted, and its data comes later. */
	handle(SIGALRM, SA_RESTART);
	CHECK(!pipe(fds));
	pid = fork();
	if (pid == 0) {
		usleep(60000);
		_exit(write(fds[1], "x", 1) == 1 ? 0 : 1);
	}
	start = now();
	alarm_in(20 * MSEC);
	CHECK(read(fds[0], &byte, 1) == 1);
	CHECK(now() - start >= 50 * MSEC);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(seen == 4);

	/* An ignored signal does not end a wait. */
	signal(SIGALRM, SIG_IGN);
	start = now();
	alarm_in(20 * MSEC);
	CHECK(!nanosleep(&wait, NULL));
	check_elapsed("sleep over an ignored signal", start, 100 * MSEC);

	CHECK(!pthread_create(&masked, NULL, masked_thread, NULL));
	CHECK(!pthread_join(masked, NULL));

	/* Stopped and continued, a sleep ends when it was due. */
	start = now();
	pid = fork();
	if (pid == 0) {
		CHECK(!nanosleep(&wait, NULL));
		_exit(0);
	}
	usleep(10000);
	CHECK(!kill(pid, SIGSTOP));
	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	usleep(10000);
	CHECK(!kill(pid, SIGCONT));
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	check_elapsed("stopped sleep", start, 100 * MSEC);
	return success();
}
