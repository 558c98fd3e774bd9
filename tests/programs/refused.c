// SPDX-License-Identifier: MIT
/* What a dilated process is refused, in ways that programs know: natively it is allowed. */
#include <linux/io_uring.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* Programs that get this fall back. */
static void io_uring(void)
{
	struct io_uring_params params = { 0 };
	long fd = syscall(SYS_io_uring_setup, 4, &params);

	if (slack < SEC)
		CHECK(fd == -1 && errno == ENOSYS);
}

/* As where the kernel has no such programs: with it a call would not be seen. */
static void x32(void)
{
	long result = syscall(0x40000000 | SYS_getpid);

	if (slack < SEC)
		CHECK(result == -1 && errno == ENOSYS);
}

/* A process has one tracer. */
static void tracing(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(ptrace(PTRACE_TRACEME, 0, 0, 0) ? errno : 0);
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	CHECK(WEXITSTATUS(status) == (slack < SEC ? EPERM : 0));
}

int main(int argc, char **argv)
{
	check_arguments(argc, argv);
	io_uring();
	x32();
	tracing();
	return success();
}
