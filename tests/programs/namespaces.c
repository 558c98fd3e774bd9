// SPDX-License-Identifier: MIT
/* User namespaces, made in every way: in one with a pid namespace a procfs can be mounted. */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/sched.h>

#include "check.h"

#define FLAGS (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID)
#define NOT_PERMITTED 3

static int mount_proc(void)
{
	CHECK(getpid() == 1);
	return mount("proc", "/proc", "proc", 0, NULL) ? NOT_PERMITTED : 7;
}

static int child(void *arg)
{
	(void)arg;
	return mount_proc();
}

static int await(pid_t pid)
{
	int status;

	if (pid < 0)
		return NOT_PERMITTED;
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int by_unshare(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (unshare(FLAGS))
			_exit(NOT_PERMITTED);
		pid = fork();
		_exit(pid ? await(pid) : mount_proc());
	}
	return await(pid);
}

static int by_clone(void)
{
	static char stack[65536];

	return await(clone(child, stack + sizeof(stack), FLAGS | SIGCHLD, NULL));
}

static int by_clone3(void)
{
	struct clone_args args = { .flags = FLAGS, .exit_signal = SIGCHLD };
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		_exit(mount_proc());
	return await(pid);
}

int main(int argc, char **argv)
{
	static int (*const make[])(void) = { by_unshare, by_clone, by_clone3 };

	int result[3];

	check_arguments(argc, argv);
	/* Each in a process of its own: one must not open the way for the others. */
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(unshare(CLONE_NEWNS) ? NOT_PERMITTED : make[i]());
		result[i] = await(pid);
	}
	CHECK(result[1] == result[0] && result[2] == result[0]);
	return success();
}
