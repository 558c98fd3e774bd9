/* SPDX-License-Identifier: MIT */
/*
 * system_calls clock|getppid|pread N [filter]: a call that is repeated N times,
 * with a seccomp filter that allows everything if asked for.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int allow_everything(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { 1, &allow };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
	static char block[4096];
	struct timespec ts;
	long count;
	int fd = open(argv[0], O_RDONLY | O_CLOEXEC);

	if (fd < 0 || argc < 3 || (argc > 3 && allow_everything()))
		return 1;
	count = atol(argv[2]);
	if (!strcmp(argv[1], "clock"))
		for (long i = 0; i < count; i++)
			clock_gettime(CLOCK_MONOTONIC, &ts);
	else if (!strcmp(argv[1], "getppid"))
		for (long i = 0; i < count; i++)
			syscall(SYS_getppid);
	else
		for (long i = 0; i < count; i++)
			if (pread(fd, block, sizeof(block), 0) != sizeof(block))
				return 1;
	return 0;
}
