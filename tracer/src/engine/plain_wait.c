// SPDX-License-Identifier: MIT
/*
 * See plain_wait.h; for handover.c. They wait for other tasks only, and for ever: for
 * what a pipe or a socket has, for a futex, or for any of several descriptors.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <unistd.h>

#include <linux/futex.h>

#include "host.h"
#include "plain_wait.h"
#include "task.h"

static bool is_pipe(pid_t tid, int fd)
{
	char path[48], target[16];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", tid, fd);
	length = readlink(path, target, sizeof(target));
	return length > 5 && !strncmp(target, "pipe:", 5);
}

static int option(int socket, int name)
{
	socklen_t size = sizeof(int);
	int value;

	return getsockopt(socket, SOL_SOCKET, name, &value, &size) ? -1 : value;
}

/* One that waits for more than a byte would return what is there if interrupted. */
static bool is_plain_socket(const struct task *task, int fd)
{
	int own = process_open(task->process, fd), domain, least;

	if (own < 0)
		return false;
	domain = option(own, SO_DOMAIN);
	least = option(own, SO_RCVLOWAT);
	close(own);
	return (domain == AF_UNIX || domain == AF_INET || domain == AF_INET6) && least == 1;
}

bool plain_wait(const struct task *task, const struct user_regs_struct *regs, bool *socket)
{
	int operation = (int)regs->rsi & FUTEX_CMD_MASK;

	*socket = false;
	switch ((int64_t)regs->orig_rax) {
	case SYS_read:
		if (regs->rdi > INT_MAX)
			return false;
		*socket = !is_pipe(task->tid, (int)regs->rdi);
		return !*socket || is_plain_socket(task, (int)regs->rdi);
	case SYS_recvfrom:
		*socket = true;
		return !(regs->r10 & MSG_WAITALL) && is_plain_socket(task, (int)regs->rdi);
	case SYS_recvmsg:
		*socket = true;
		return !(regs->rdx & MSG_WAITALL) && is_plain_socket(task, (int)regs->rdi);
	case SYS_futex:
		return operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET;
	case SYS_poll:
		return (int)regs->rdx < 0;
	case SYS_ppoll:
		return !regs->rdx;
	case SYS_select:
	case SYS_pselect6:
		return !regs->r8;
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
		return (int)regs->r10 < 0;
	case SYS_epoll_pwait2:
		return !regs->r10;
	}
	return false;
}

bool plain_wait_may_pass(const struct host *host, int64_t call, bool socket)
{
	switch (call) {
	case SYS_read:
	case SYS_recvfrom:
	case SYS_recvmsg:
		return !socket || !host->socket_timeouts;
	case SYS_futex:
		return true;
	}
	/* Among the descriptors may be a terminal's: see pty.c and terminal.c. */
	return !host->has_ptys && !host->terminal;
}
