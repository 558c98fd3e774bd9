// SPDX-License-Identifier: MIT
/*
 * Timeouts of sockets, SO_RCVTIMEO and SO_SNDTIMEO. The kernel keeps them, so
 * that they are copied, inherited and passed on with the socket, but as times
 * so far away that they are never reached: the virtual timeout's microseconds
 * are added to BASE seconds. A task that blocks in a call on a socket is asked
 * for them, if any of this engine's tasks has ever set one.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <unistd.h>

#include "engine.h"
#include "host.h"
#include "inject.h"
#include "task.h"
#include "timed.h"

#define BASE (1LL << 44)
#define TIMEOUT_MAX (1LL << 43) /* us; what is longer is real, and as good as never */
#define USEC_PER_SEC 1000000LL

static bool used;

bool enter_setsockopt(struct task *task, struct user_regs_struct *regs)
{
	struct timeval tv;
	int fd, result;

	if (regs->rsi == SOL_PACKET) {
		rings_setsockopt(task, regs);
		return true;
	}
	if (stamps_option(task, regs))
		return true;
	if ((int32_t)regs->r8 < (int32_t)sizeof(tv) ||
	    task_read(task, regs->r10, &tv, sizeof(tv)) || tv.tv_sec < 0 ||
	    tv.tv_sec >= TIMEOUT_MAX / USEC_PER_SEC || tv.tv_usec < 0 ||
	    tv.tv_usec >= USEC_PER_SEC || (!tv.tv_sec && !tv.tv_usec))
		return true; /* none, or the kernel says what is wrong with it */
	fd = process_open(task->process, (int)regs->rdi);
	if (fd < 0)
		return true;
	tv.tv_sec = BASE + tv.tv_sec * USEC_PER_SEC + tv.tv_usec;
	tv.tv_usec = 0;
	result = setsockopt(fd, SOL_SOCKET, (int)regs->rdx, &tv, sizeof(tv));
	call_skip(task, regs, result ? -errno : 0);
	close(fd);
	task->host->socket_timeouts = used = true;
	return true;
}

/* In us, 0 if it has none in virtual time. */
static int64_t socket_timeout(int fd, int option)
{
	socklen_t size = sizeof(struct timeval);
	struct timeval tv;

	if (getsockopt(fd, SOL_SOCKET, option, &tv, &size) || tv.tv_sec < BASE)
		return 0;
	return tv.tv_sec - BASE;
}

/* Of a wait that begins now; HEAP_NEVER: the socket has no virtual timeout. */
static int64_t socket_deadline(const struct task *task, int fd, int option)
{
	int64_t us = socket_timeout(fd, option);

	return us ? host_now(task->host) + us * NSEC_PER_USEC : HEAP_NEVER;
}

int64_t receive_deadline(const struct task *task, int fd)
{
	int own = used ? process_open(task->process, fd) : -1;
	int64_t deadline;

	if (own < 0)
		return HEAP_NEVER;
	deadline = socket_deadline(task, own, SO_RCVTIMEO);
	close(own);
	return deadline;
}

bool enter_getsockopt(struct task *task, struct user_regs_struct *regs)
{
	struct timeval tv;
	int32_t size;
	int64_t us;
	int fd;

	if (regs->rsi == SOL_PACKET) {
		rings_getsockopt(task, regs);
		return true;
	}
	fd = process_open(task->process, (int)regs->rdi);
	us = fd < 0 ? 0 : socket_timeout(fd, (int)regs->rdx);
	tv = (struct timeval){ us / USEC_PER_SEC, us % USEC_PER_SEC };
	if (fd >= 0)
		close(fd);
	if (!us || task_read(task, regs->r8, &size, sizeof(size)) || size < 0)
		return true;
	if (size > (int32_t)sizeof(tv))
		size = sizeof(tv);
	call_skip(task, regs,
		  task_write(task, regs->r10, &tv, (size_t)size) ?
			  -EFAULT :
			  task_write(task, regs->r8, &size, sizeof(size)));
	return true;
}

static const struct timed_call socket_wait = {
	.name = "a call on a socket", .nr = -1, .timeout = -EAGAIN
};
static const struct timed_call socket_connect = {
	.name = "connect", .nr = -1, .timeout = -EINPROGRESS
};

static bool is_local(int fd)
{
	socklen_t size = sizeof(int);
	int domain;

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) &&
	       domain == AF_UNIX;
}

static bool begin_socket_wait(struct task *task, int fd, int option,
			      const struct timed_call *call)
{
	static const struct user_regs_struct none;
	int own = process_open(task->process, fd);
	int64_t deadline;

	if (own < 0)
		return false;
	deadline = socket_deadline(task, own, option);
	if (deadline != HEAP_NEVER)
		wait_begin(task,
			   call == &socket_connect && is_local(own) ? &socket_wait :
								      call,
			   &none, deadline);
	close(own);
	return deadline != HEAP_NEVER;
}

int socket_option_of(int64_t nr)
{
	switch (nr) {
	case SYS_read:
	case SYS_readv:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
	case SYS_accept:
	case SYS_accept4:
	case SYS_splice: /* or the other one, of its other descriptor */
		return SO_RCVTIMEO;
	case SYS_write:
	case SYS_writev:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_sendmmsg:
	case SYS_sendfile:
	case SYS_connect:
		return SO_SNDTIMEO;
	}
	return 0;
}

void timed_blocked(struct task *task)
{
	struct blocked_call call;
	int option;

	if (!used || (task->wait.call && !task->wait.restart) ||
	    !blocked_call(task, &call))
		return;
	option = socket_option_of(call.nr);
	if (!option ||
	    begin_socket_wait(task, (int)call.args[0], option,
			      call.nr == SYS_connect ? &socket_connect : &socket_wait))
		return;
	if (call.nr == SYS_splice)
		begin_socket_wait(task, (int)call.args[2], SO_SNDTIMEO, &socket_wait);
}
