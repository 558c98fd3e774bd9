// SPDX-License-Identifier: MIT
/*
 * Timeouts of sockets. SO_RCVTIMEO and SO_SNDTIMEO are remembered, not set. A task that blocks is
 * asked (in /proc) what it blocks in only if its process has set one.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "timed.h"

struct socket_timeout {
	LIST_ENTRY(socket_timeout) entry;
	int fd;
	uint64_t inode;	  /* descriptors are closed and used again */
	int64_t ns[2];	  /* receive, send; 0: none */
};

static uint64_t socket_inode(const struct task *task, int fd)
{
	char path[48], target[64];
	unsigned long inode = 0;
	ssize_t size;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", task->tid, fd);
	size = readlink(path, target, sizeof(target) - 1);
	if (size < 0)
		return 0;
	target[size] = '\0';
	return sscanf(target, "socket:[%lu]", &inode) == 1 ? inode : 0;
}

static struct socket_timeout *socket_timeout_get(struct task *task, int fd,
						 bool create)
{
	struct socket_timeout *timeout;
	uint64_t inode = socket_inode(task, fd);

	if (!inode)
		return NULL;
	LIST_FOREACH(timeout, &task->process->socket_timeouts, entry)
		if (timeout->fd == fd) {
			if (timeout->inode != inode)
				timeout->ns[0] = timeout->ns[1] = 0;
			timeout->inode = inode;
			return timeout;
		}
	if (!create)
		return NULL;
	timeout = xcalloc(sizeof(*timeout));
	timeout->fd = fd;
	timeout->inode = inode;
	LIST_INSERT_HEAD(&task->process->socket_timeouts, timeout, entry);
	return timeout;
}

bool enter_setsockopt(struct task *task, struct user_regs_struct *regs)
{
	bool send = regs->rdx == SO_SNDTIMEO_OLD || regs->rdx == SO_SNDTIMEO_NEW;
	struct socket_timeout *timeout;
	int64_t ns;

	if (regs->r8 < 2 * sizeof(int64_t) ||
	    !read_interval(task, regs->r10, true, &ns))
		return true; /* the kernel says what is wrong with it */
	timeout = socket_timeout_get(task, (int)regs->rdi, true);
	if (!timeout)
		return true;
	timeout->ns[send] = ns == HEAP_NEVER ? 0 : ns;
	call_skip(task, regs, 0);
	return true;
}

static const struct timed_call socket_wait = {
	.name = "a call on a socket", .nr = -1, .timeout = -EAGAIN
};
const struct timed_call socket_connect = {
	.name = "connect", .nr = -1, .timeout = -EINPROGRESS
};

void timed_blocked(struct task *task)
{
	const struct timed_call *call = &socket_wait;
	struct socket_timeout *timeout;
	char path[48], text[256];
	unsigned long fd;
	bool send = false;
	int nr, size;
	FILE *file;

	if (LIST_EMPTY(&task->process->socket_timeouts) || task->wait.call)
		return;
	snprintf(path, sizeof(path), "/proc/%d/syscall", task->tid);
	file = fopen(path, "re");
	if (!file)
		return;
	size = (int)fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[size > 0 ? size : 0] = '\0';
	if (sscanf(text, "%d 0x%lx", &nr, &fd) != 2)
		return;
	switch (nr) {
	case SYS_connect:
		call = &socket_connect;
		/* fall through */
	case SYS_write:
	case SYS_writev:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_sendmmsg:
		send = true;
		break;
	case SYS_read:
	case SYS_readv:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
	case SYS_accept:
	case SYS_accept4:
		break;
	default:
		return;
	}
	timeout = socket_timeout_get(task, (int)fd, false);
	if (timeout && timeout->ns[send])
		wait_begin(task, call, &(struct user_regs_struct){ 0 },
			   host_now(task->host) + timeout->ns[send]);
}
