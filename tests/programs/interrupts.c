// SPDX-License-Identifier: MIT
/*
 * Every kind of wait, interrupted in every way: by a handler with and without
 * SA_RESTART, by an ignored and a blocked signal, by the end of a child that
 * nobody asked for, by SIGSTOP and SIGCONT of another process.
 */
#define _GNU_SOURCE
#include <sys/wait.h>

#include "every_wait.h"

static int64_t interrupt = 10 * MSEC; /* when the wait is interrupted */
static int64_t wait_time;	      /* how long it takes if that does not end it */
#define LONG (20 * SEC)		      /* if that must end it */

static volatile sig_atomic_t handled;

static void on_signal(int signal)
{
	(void)signal;
	handled++;
}

static void set_handler(int signal, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	CHECK(!sigaction(signal, &action, NULL));
}

/* The parent has begun to wait: else the signal might be there before it does. */
static void await_wait(pid_t parent)
{
	char path[32], text[256], *state;
	ssize_t size;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", parent);
	do {
		usleep(1000);
		fd = open(path, O_RDONLY);
		size = read(fd, text, sizeof(text) - 1);
		close(fd);
		text[size > 0 ? size : 0] = '\0';
		state = strrchr(text, ')');
	} while (!state || state[2] != 'S');
}

static pid_t interrupt_by(int signal)
{
	pid_t parent = getpid(), pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	await_wait(parent);
	usleep((useconds_t)(interrupt / 1000));
	if (signal)
		kill(parent, signal);
	if (signal == SIGSTOP) {
		usleep((useconds_t)(interrupt / 2000));
		kill(parent, SIGCONT);
	}
	_exit(0);
}

/* What is before the call, a fork, and after it is not part of the wait. */
static bool is_due(int64_t spent, int64_t due)
{
	return spent >= due && spent <= due + 2 * (MSEC + tick) + slack;
}

/* One wait, interrupted; 0: only by the end of the child. */
static void interrupted(const char *how, const struct wait *wait, int signal,
			char expected)
{
	int64_t start, ns = expected == 'E' ? LONG : wait_time;
	int64_t ended = signal == SIGSTOP ? interrupt * 3 / 2 : interrupt;
	int64_t due = expected == 'R' ? wait_time : ended, spent;
	char what[128];
	long result;
	int error;
	pid_t pid;

	snprintf(what, sizeof(what), "%s, %s", wait->name, how);
	left = -1;
	start = now();
	pid = interrupt_by(signal);
	result = wait->call(ns);
	error = result < 0 ? errno : 0;
	spent = now() - start;
	while (waitpid(pid, NULL, 0) < 0) /* a late signal, on a busy machine */
		CHECK(errno == EINTR);
	if (expected == 'R' ? error != wait->timeout || (!error && result) :
			      error != EINTR) {
		printf("%s: returned %ld (%s) after %lld ns\n", what, result,
		       strerror(error), (long long)spent);
		exit(1);
	}
	/* The kernel starts some calls again when a stop is over, with what was left before it, or from the beginning. */
	if (signal == SIGSTOP && expected == 'R' && !is_due(spent, due))
		due += is_due(spent, due + interrupt / 2) ? interrupt / 2 : ended;
	if (!is_due(spent, due)) {
		printf("%s: took %lld ns, not %lld\n", what, (long long)spent,
		       (long long)due);
		exit(1);
	}
	if (left >= 0 && (left > ns - (expected == 'E' ? interrupt / 2 : ns) ||
			  left < ns - due - 2 * (MSEC + tick) - slack)) {
		printf("%s: %lld ns are left\n", what, (long long)left);
		exit(1);
	}
}

static void interrupt_in_every_way(const struct wait *wait)
{
	sigset_t set;

	set_handler(SIGUSR1, on_signal, 0);
	handled = 0;
	interrupted("handler", wait, SIGUSR1, wait->handler);
	CHECK(handled == 1);
	set_handler(SIGUSR1, on_signal, SA_RESTART);
	handled = 0;
	interrupted("SA_RESTART", wait, SIGUSR1, wait->restart);
	CHECK(handled == 1);
	set_handler(SIGUSR1, SIG_IGN, 0);
	interrupted("ignored", wait, SIGUSR1, 'R');
	interrupted("child", wait, 0, 'R');
	interrupted("window", wait, SIGWINCH, 'R');
	interrupted("stopped", wait, SIGSTOP, wait->stop);

	set_handler(SIGUSR1, on_signal, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(!sigprocmask(SIG_BLOCK, &set, NULL));
	handled = 0;
	/* These take another mask while they wait. */
	if (wait->call != wait_ppoll_masked && wait->call != wait_epoll_pwait)
		interrupted("blocked", wait, SIGUSR1, 'R');
	CHECK(!handled);
	CHECK(!sigprocmask(SIG_UNBLOCK, &set, NULL));
}

int main(int argc, char **argv)
{
	check_arguments(argc, argv);
	/* Where the program is slow, it takes long to come to the wait. */
	if (slack < SEC && interrupt < 2 * slack)
		interrupt = 2 * slack;
	wait_time = 3 * interrupt;
	prepare_waits();
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
		interrupt_in_every_way(&waits[i]);
	CHECK(!semctl(sem, 0, IPC_RMID));
	return success();
}
