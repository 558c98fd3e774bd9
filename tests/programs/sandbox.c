// SPDX-License-Identifier: MIT
/* Programs that filter their own system calls: errors, traps, death, a supervisor. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "check.h"

static volatile sig_atomic_t trapped;

static void on_trap(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	trapped = info->si_syscall;
}

/* Answers one system call with an action; returns what seccomp() returns. */
static int filter(int nr, uint32_t action, unsigned int flags)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static void nap(int64_t ns)
{
	struct timespec ts = at(ns);

	CHECK(!nanosleep(&ts, NULL));
}

static void errors(void)
{
	CHECK(!filter(SYS_getppid, SECCOMP_RET_ERRNO | ENOMEM, 0));
	CHECK(syscall(SYS_getppid) == -1 && errno == ENOMEM);
	/* The program's own filter comes before virtual time. */
	CHECK(!filter(SYS_nanosleep, SECCOMP_RET_ERRNO | ENOSYS, 0));
	CHECK(syscall(SYS_nanosleep, NULL, NULL) == -1 && errno == ENOSYS);
}

/* As sandboxes are: what is not known is death; pause() is not known. */
static void sleeps(void)
{
	struct timespec left;
	int64_t start = now();

	CHECK(!filter(SYS_pause, SECCOMP_RET_KILL_PROCESS, 0));
	nap(20 * MSEC);
	check_elapsed("a sleep in a sandbox", start, 20 * MSEC);
	start = now();
	left = at(start + 20 * MSEC);
	CHECK(!clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &left, NULL));
	check_elapsed("a sleep until a time in a sandbox", start, 20 * MSEC);
}

static void traps(void)
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };

	CHECK(!sigaction(SIGSYS, &action, NULL));
	CHECK(!filter(SYS_getppid, SECCOMP_RET_TRAP, 0));
	syscall(SYS_getppid);
	CHECK(trapped == SYS_getppid);
}

static void death(void)
{
	CHECK(!filter(SYS_getppid, SECCOMP_RET_KILL_PROCESS, 0));
	nap(5 * MSEC);
	syscall(SYS_getppid);
}

/* A supervisor thinks for 20 ms before it answers its child's call. */
static void supervisor(void)
{
	int fds[2], status, listener;
	struct seccomp_notif request = { 0 };
	struct seccomp_notif_resp response = { 0 };
	int64_t start;
	pid_t pid;

	CHECK(!pipe(fds));
	pid = fork();
	if (pid == 0) {
		listener = filter(SYS_getppid, SECCOMP_RET_USER_NOTIF,
				  SECCOMP_FILTER_FLAG_NEW_LISTENER);
		CHECK(write(fds[1], &listener, sizeof(listener)) == sizeof(listener));
		_exit(syscall(SYS_getppid) == 4711 ? 7 : 1);
	}
	CHECK(read(fds[0], &listener, sizeof(listener)) == sizeof(listener));
	listener = (int)syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, pid, 0),
				listener, 0);
	CHECK(listener >= 0);
	CHECK(!ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request));
	CHECK(request.data.nr == SYS_getppid);
	start = now();
	nap(20 * MSEC);
	response = (struct seccomp_notif_resp){ .id = request.id, .val = 4711 };
	CHECK(!ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response));
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
	check_elapsed("a supervised call", start, 20 * MSEC);
	_exit(0);
}

static int run(void (*test)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		test();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

/* Reads, writes, and ends; whatever else it calls is its death. */
static void strictly(bool obeys, bool by_prctl)
{
	int fds[2];
	char byte;

	CHECK(!pipe(fds));
	CHECK(!(by_prctl ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) :
			   (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL)));
	CHECK(write(fds[1], "x", 1) == 1 && read(fds[0], &byte, 1) == 1);
	if (!obeys)
		syscall(SYS_getpid);
	syscall(SYS_exit, 0);
}

static void strict(void)
{
	int status;

	for (int i = 0; i < 4; i++) {
		pid_t pid = fork();

		if (pid == 0)
			strictly(i & 1, i & 2);
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(i & 1 ? status == 0 : WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
}

/* Asks for a tracer, and there is none. */
static void untraced(void)
{
	CHECK(!filter(SYS_getppid, SECCOMP_RET_TRACE | 1, 0));
	CHECK(syscall(SYS_getppid) == -1 && errno == ENOSYS);
}

int main(int argc, char **argv)
{
	int status;

	check_arguments(argc, argv);
	CHECK(run(errors) == 0);
	CHECK(run(sleeps) == 0);
	CHECK(run(traps) == 0);
	status = run(death);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	CHECK(run(supervisor) == 0);
	CHECK(run(untraced) == 0);
	if (!geteuid()) /* in virtual time others cannot */
		strict();
	return success();
}
