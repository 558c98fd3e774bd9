// SPDX-License-Identifier: MIT
/*
 * Relations between processes: daemons, orphans and who inherits them, signals to
 * groups, a parent's death, zombies, stops that a parent sees, core dumps.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/sched.h>

#include "check.h"

static void nap(int64_t ns)
{
	struct timespec ts = at(ns);

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static int await(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) > 0);
	return status;
}

/* Forks twice; the grandchild comes to its subreaper, us. */
static void check_daemon(void)
{
	int64_t start = now();
	pid_t pid;

	CHECK(!prctl(PR_SET_CHILD_SUBREAPER, 1));
	pid = fork();
	if (pid == 0) {
		CHECK(setsid() == getpid());
		if (fork())
			_exit(0);
		nap(30 * MSEC);
		_exit(7);
	}
	CHECK(await(pid) == 0);
	CHECK(WEXITSTATUS(await(-1)) == 7);
	check_elapsed("a daemon", start, 30 * MSEC);
}

/* Its parent's end is a signal to it. */
static void check_parent_death(void)
{
	int64_t start = now();
	pid_t pid = fork();

	if (pid == 0) {
		pid = fork();
		if (pid == 0) {
			CHECK(!prctl(PR_SET_PDEATHSIG, SIGTERM));
			nap(100 * SEC);
		}
		nap(20 * MSEC);
		_exit(0);
	}
	CHECK(await(pid) == 0);
	CHECK(WTERMSIG(await(-1)) == SIGTERM);
	check_elapsed("a parent's death", start, 20 * MSEC);
}

static void check_group(void)
{
	int64_t start = now();
	pid_t first = 0, pid;

	for (int i = 0; i < 3; i++) {
		pid = fork();
		if (pid == 0) {
			setpgid(0, first);
			nap(100 * SEC);
		}
		setpgid(pid, first ? first : pid);
		first = first ? first : pid;
	}
	nap(10 * MSEC);
	CHECK(!killpg(first, SIGKILL));
	for (int i = 0; i < 3; i++) {
		int status;

		CHECK(waitpid(-first, &status, 0) > 0 && WTERMSIG(status) == SIGKILL);
	}
	check_elapsed("a killed group", start, 10 * MSEC);
}

/*
 * A stop takes time, and what was being waited for is late by no more. The child
 * ends when its parent has seen that it goes on, and not before.
 */
static void check_stop(void)
{
	int64_t start = now();
	int status, seen[2];
	pid_t pid;
	char byte;

	CHECK(!pipe(seen));
	pid = fork();
	if (pid == 0) {
		nap(50 * MSEC);
		CHECK(read(seen[0], &byte, 1) == 1);
		_exit(7);
	}
	nap(10 * MSEC);
	CHECK(!kill(pid, SIGSTOP));
	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WSTOPSIG(status) == SIGSTOP);
	nap(100 * MSEC);
	CHECK(waitpid(pid, &status, WNOHANG) == 0);
	CHECK(!kill(pid, SIGCONT));
	CHECK(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
	CHECK(write(seen[1], "", 1) == 1);
	CHECK(WEXITSTATUS(await(pid)) == 7);
	check_elapsed("a stopped child", start, 110 * MSEC);
	close(seen[0]);
	close(seen[1]);
}

static void check_zombie(void)
{
	int64_t start = now();
	siginfo_t info;
	pid_t pid = fork();

	if (pid == 0)
		_exit(7);
	nap(20 * MSEC);
	CHECK(!kill(pid, 0)); /* it still has its id */
	CHECK(!waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
	CHECK(info.si_code == CLD_EXITED && info.si_status == 7);
	CHECK(WEXITSTATUS(await(pid)) == 7);
	check_elapsed("a zombie", start, 20 * MSEC);
}

static void check_crash(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		raise(SIGSEGV);
	status = await(pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	pid = fork();
	if (pid == 0) {
		CHECK(!prctl(PR_SET_DUMPABLE, 0));
		*(volatile int *)0 = 0;
	}
	CHECK(WTERMSIG(await(pid)) == SIGSEGV);
	pid = fork();
	if (pid == 0)
		__asm__ volatile("int3"); /* its own SIGTRAP */
	CHECK(WTERMSIG(await(pid)) == SIGTRAP);
}

static pid_t clone_with(uint64_t flags, int signal)
{
	struct clone_args args = { .flags = flags, .exit_signal = (uint64_t)signal };

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* Made in its parent's name, without a signal, in new namespaces. */
static void check_clones(void)
{
	int64_t start = now();
	int status;
	pid_t pid = clone_with(0, SIGCHLD);

	if (pid == 0) {
		pid = clone_with(CLONE_PARENT, 0);
		if (pid == 0) {
			nap(20 * MSEC);
			_exit(7);
		}
		_exit(0);
	}
	CHECK(await(pid) == 0);
	CHECK(waitpid(-1, &status, __WALL) > 0 && WEXITSTATUS(status) == 7);
	check_elapsed("a sibling", start, 20 * MSEC);

	pid = clone_with(0, 0);
	if (pid == 0)
		_exit(7);
	CHECK(waitpid(pid, &status, __WCLONE) == pid && WEXITSTATUS(status) == 7);

	start = now();
	pid = clone_with(CLONE_NEWUSER | CLONE_NEWPID, SIGCHLD);
	if (pid == 0) {
		CHECK(getpid() == 1);
		pid = fork();
		if (pid == 0) {
			nap(20 * MSEC);
			_exit(6);
		}
		CHECK(pid == 2 && WEXITSTATUS(await(pid)) == 6);
		_exit(7);
	}
	if (pid < 0) /* a container may not make them */
		return;
	CHECK(WEXITSTATUS(await(pid)) == 7);
	check_elapsed("a pid namespace", start, 20 * MSEC);
}

/* Whom the end of a child wakes finds it: also if SIGTRAP is blocked, as by GLib. */
static void check_end(void)
{
	struct timespec rest = at(MSEC);
	struct pollfd ended = { .events = POLLIN };
	sigset_t all, old;
	siginfo_t info;
	pid_t child;

	sigfillset(&all);
	CHECK(!sigprocmask(SIG_SETMASK, &all, &old));
	for (int i = 0; i < 10; i++) {
		child = fork();
		CHECK(child >= 0);
		if (!child) {
			pause();
			_exit(1);
		}
		ended.fd = (int)syscall(SYS_pidfd_open, child, 0);
		CHECK(ended.fd >= 0);
		nanosleep(&rest, NULL);
		CHECK(!kill(child, SIGKILL));
		CHECK(poll(&ended, 1, -1) == 1);
		info.si_pid = 0;
		CHECK(!waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG));
		CHECK(info.si_pid == child && info.si_code == CLD_KILLED);
		close(ended.fd);
	}
	CHECK(!sigprocmask(SIG_SETMASK, &old, NULL));
}

int main(int argc, char **argv)
{
	check_arguments(argc, argv);
	check_end();
	check_daemon();
	check_parent_death();
	check_group();
	check_stop();
	check_zombie();
	check_crash();
	check_clones();
	return success();
}
