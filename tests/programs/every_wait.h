// SPDX-License-Identifier: MIT
/* Every kind of wait, what it waits for, and what a signal does to it. */
#pragma once

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"

static int idle_pipe[2], epoll, sem, receiver, sender, listener, full_unix, full_tcp;
static aio_context_t aio;
static mqd_t empty_queue, full_queue;
static uint32_t pi_word, plain_word;
static sem_t semaphore;
static pid_t pi_owner;

static struct timespec in(clockid_t clock, int64_t ns)
{
	return at(now_on(clock) + ns);
}

/* ---- the waits --------------------------------------------------------- */

static int64_t left; /* of a wait that says so, -1: it does not */

static long wait_nanosleep(int64_t ns)
{
	struct timespec ts = at(ns), rem = { 0 };
	long result = nanosleep(&ts, &rem);

	if (result)
		left = rem.tv_sec * SEC + rem.tv_nsec;
	return result;
}

static long wait_clock_nanosleep(int64_t ns)
{
	struct timespec ts = at(ns), rem = { 0 };

	errno = clock_nanosleep(CLOCK_BOOTTIME, 0, &ts, &rem);
	if (errno)
		left = rem.tv_sec * SEC + rem.tv_nsec;
	return errno ? -1 : 0;
}

static long wait_clock_nanosleep_absolute(int64_t ns)
{
	struct timespec ts = in(CLOCK_REALTIME, ns);

	errno = clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL);
	return errno ? -1 : 0;
}

static long wait_poll(int64_t ns)
{
	struct pollfd pfd = { .fd = idle_pipe[0], .events = POLLIN };

	return poll(&pfd, 1, (int)(ns / MSEC));
}

static long wait_ppoll(int64_t ns)
{
	struct pollfd pfd = { .fd = idle_pipe[0], .events = POLLIN };
	struct timespec ts = at(ns);
	long result = syscall(SYS_ppoll, &pfd, 1, &ts, NULL, 8);

	left = ts.tv_sec * SEC + ts.tv_nsec;
	return result;
}

static long wait_ppoll_masked(int64_t ns)
{
	struct pollfd pfd = { .fd = idle_pipe[0], .events = POLLIN };
	struct timespec ts = at(ns);
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTRAP);
	sigaddset(&mask, SIGHUP);
	return ppoll(&pfd, 1, &ts, &mask);
}

static long wait_select(int64_t ns)
{
	struct timeval tv = { ns / SEC, ns % SEC / 1000 };
	fd_set set;
	long result;

	FD_ZERO(&set);
	FD_SET(idle_pipe[0], &set);
	result = select(idle_pipe[0] + 1, &set, NULL, NULL, &tv);
	left = tv.tv_sec * SEC + tv.tv_usec * 1000;
	CHECK(FD_ISSET(idle_pipe[0], &set) == (result < 0));
	return result;
}

static long wait_pselect(int64_t ns)
{
	struct timespec ts = at(ns);

	return pselect(0, NULL, NULL, NULL, &ts, NULL);
}

static long wait_epoll(int64_t ns)
{
	struct epoll_event event;

	return epoll_wait(epoll, &event, 1, (int)(ns / MSEC));
}

static long wait_epoll_pwait(int64_t ns)
{
	struct epoll_event event;
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTRAP);
	sigaddset(&mask, SIGHUP);
	return epoll_pwait(epoll, &event, 1, (int)(ns / MSEC), &mask);
}

static long wait_epoll_pwait2(int64_t ns)
{
	struct epoll_event event;
	struct timespec ts = at(ns);

	return syscall(SYS_epoll_pwait2, epoll, &event, 1, &ts, NULL, 8);
}

static long wait_futex(int64_t ns)
{
	struct timespec ts = at(ns);

	return syscall(SYS_futex, &plain_word, FUTEX_WAIT, 0, &ts);
}

static long wait_futex_bitset(int64_t ns)
{
	struct timespec ts = in(CLOCK_REALTIME, ns);

	return syscall(SYS_futex, &plain_word,
		       FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &ts, NULL, 1);
}

static long wait_futex_lock_pi(int64_t ns)
{
	struct timespec ts = in(CLOCK_REALTIME, ns);

	return syscall(SYS_futex, &pi_word, FUTEX_LOCK_PI_PRIVATE, 0, &ts);
}

static long wait_futex_lock_pi2(int64_t ns)
{
	struct timespec ts = in(CLOCK_MONOTONIC, ns);

	return syscall(SYS_futex, &pi_word, FUTEX_LOCK_PI2_PRIVATE, 0, &ts);
}

static long wait_futex_requeue_pi(int64_t ns)
{
	struct timespec ts = in(CLOCK_MONOTONIC, ns);

	return syscall(SYS_futex, &plain_word, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0,
		       &ts, &pi_word);
}

static long wait_futex_waitv(int64_t ns)
{
	struct timespec ts = in(CLOCK_MONOTONIC, ns);
	struct futex_waitv waiter = { .uaddr = (uintptr_t)&plain_word,
				      .flags = FUTEX_32 };

	return syscall(SYS_futex_waitv, &waiter, 1, 0, &ts, CLOCK_MONOTONIC);
}

static long wait_sem(int64_t ns)
{
	struct timespec ts = in(CLOCK_REALTIME, ns);

	return sem_timedwait(&semaphore, &ts);
}

static long wait_sigtimedwait(int64_t ns)
{
	struct timespec ts = at(ns);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return sigtimedwait(&set, NULL, &ts);
}

static long wait_sigtimedwait_trap(int64_t ns)
{
	struct timespec ts = at(ns);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGTRAP);
	return sigtimedwait(&set, NULL, &ts);
}

static long wait_mq_receive(int64_t ns)
{
	struct timespec ts = in(CLOCK_REALTIME, ns);
	char byte[8];

	return mq_timedreceive(empty_queue, byte, 8, NULL, &ts);
}

static long wait_mq_send(int64_t ns)
{
	struct timespec ts = in(CLOCK_REALTIME, ns);

	return mq_timedsend(full_queue, "x", 1, 0, &ts);
}

static long wait_semtimedop(int64_t ns)
{
	struct sembuf down = { .sem_op = -1 };
	struct timespec ts = at(ns);

	return semtimedop(sem, &down, 1, &ts);
}

static long wait_io_getevents(int64_t ns)
{
	struct timespec ts = at(ns);
	struct io_event event;

	return syscall(SYS_io_getevents, aio, 1L, 1L, &event, &ts);
}

static long wait_io_pgetevents(int64_t ns)
{
	struct timespec ts = at(ns);
	struct io_event event;

	return syscall(SYS_io_pgetevents, aio, 1L, 1L, &event, &ts, NULL);
}

static void set_timeout(int fd, int option, int64_t ns)
{
	struct timeval tv = { ns / SEC, ns % SEC / 1000 };

	CHECK(!setsockopt(fd, SOL_SOCKET, option, &tv, sizeof(tv)));
}

static long wait_recv(int64_t ns)
{
	char byte;

	set_timeout(receiver, SO_RCVTIMEO, ns);
	return recv(receiver, &byte, 1, 0);
}

static long wait_read(int64_t ns)
{
	char byte;

	set_timeout(receiver, SO_RCVTIMEO, ns);
	return read(receiver, &byte, 1);
}

static long wait_send(int64_t ns)
{
	set_timeout(sender, SO_SNDTIMEO, ns);
	return send(sender, "x", 1, 0);
}

static long wait_accept(int64_t ns)
{
	set_timeout(listener, SO_RCVTIMEO, ns);
	return accept(listener, NULL, NULL);
}

static long wait_recvmmsg(int64_t ns)
{
	char byte;
	struct iovec part = { &byte, 1 };
	struct mmsghdr messages[2] = { { .msg_hdr = { .msg_iov = &part, .msg_iovlen = 1 } },
				       { .msg_hdr = { .msg_iov = &part, .msg_iovlen = 1 } } };

	set_timeout(receiver, SO_RCVTIMEO, ns);
	return recvmmsg(receiver, messages, 2, 0, NULL);
}

/* To one that has as many connections as it takes. */
static long wait_connect(int64_t ns, int listens)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	int fd, error;
	long result;

	CHECK(!getsockname(listens, (struct sockaddr *)&address, &size));
	fd = socket(address.ss_family, SOCK_STREAM, 0);
	CHECK(fd >= 0);
	set_timeout(fd, SO_SNDTIMEO, ns);
	result = connect(fd, (struct sockaddr *)&address, size);
	error = errno;
	close(fd);
	errno = error;
	return result;
}

static long wait_connect_unix(int64_t ns)
{
	return wait_connect(ns, full_unix);
}

static long wait_connect_tcp(int64_t ns)
{
	return wait_connect(ns, full_tcp);
}

/* What a signal does to them: E, they fail with EINTR; R, they go on to their deadline. */
static const struct wait {
	const char *name;
	long (*call)(int64_t ns);
	int timeout;   /* errno of a timeout, 0: they return 0 */
	char handler, restart, stop;
} waits[] = {
	{ "nanosleep", wait_nanosleep, 0, 'E', 'E', 'R' },
	{ "clock_nanosleep", wait_clock_nanosleep, 0, 'E', 'E', 'R' },
	{ "clock_nanosleep, absolute", wait_clock_nanosleep_absolute, 0, 'E', 'E', 'R' },
	{ "poll", wait_poll, 0, 'E', 'E', 'R' },
	{ "ppoll", wait_ppoll, 0, 'E', 'E', 'R' },
	{ "ppoll, masked", wait_ppoll_masked, 0, 'E', 'E', 'R' },
	{ "select", wait_select, 0, 'E', 'E', 'R' },
	{ "pselect", wait_pselect, 0, 'E', 'E', 'R' },
	{ "epoll_wait", wait_epoll, 0, 'E', 'E', 'E' },
	{ "epoll_pwait, masked", wait_epoll_pwait, 0, 'E', 'E', 'E' },
	{ "epoll_pwait2", wait_epoll_pwait2, 0, 'E', 'E', 'E' },
	{ "futex", wait_futex, ETIMEDOUT, 'E', 'E', 'R' },
	{ "futex bitset", wait_futex_bitset, ETIMEDOUT, 'E', 'E', 'R' },
	{ "futex lock pi", wait_futex_lock_pi, ETIMEDOUT, 'R', 'R', 'R' },
	{ "futex lock pi2", wait_futex_lock_pi2, ETIMEDOUT, 'R', 'R', 'R' },
	{ "futex wait requeue pi", wait_futex_requeue_pi, ETIMEDOUT, 'R', 'R', 'R' },
	{ "futex_waitv", wait_futex_waitv, ETIMEDOUT, 'E', 'R', 'R' },
	{ "sem_timedwait", wait_sem, ETIMEDOUT, 'E', 'E', 'R' },
	{ "sigtimedwait", wait_sigtimedwait, EAGAIN, 'E', 'E', 'E' },
	{ "sigtimedwait, SIGTRAP", wait_sigtimedwait_trap, EAGAIN, 'E', 'E', 'E' },
	{ "mq_timedreceive", wait_mq_receive, ETIMEDOUT, 'E', 'R', 'R' },
	{ "mq_timedsend", wait_mq_send, ETIMEDOUT, 'E', 'R', 'R' },
	{ "semtimedop", wait_semtimedop, EAGAIN, 'E', 'E', 'E' },
	{ "io_getevents", wait_io_getevents, 0, 'E', 'E', 'E' },
	{ "io_pgetevents", wait_io_pgetevents, 0, 'E', 'E', 'R' },
	{ "recv", wait_recv, EAGAIN, 'E', 'E', 'E' },
	{ "read", wait_read, EAGAIN, 'E', 'E', 'E' },
	{ "send", wait_send, EAGAIN, 'E', 'E', 'E' },
	{ "accept", wait_accept, EAGAIN, 'E', 'E', 'E' },
	{ "recvmmsg", wait_recvmmsg, EAGAIN, 'E', 'E', 'E' },
	{ "connect", wait_connect_unix, EAGAIN, 'E', 'E', 'E' },
	{ "connect, TCP", wait_connect_tcp, EINPROGRESS, 'E', 'E', 'E' },
};

/* ---- what is waited for ------------------------------------------------ */

static sem_t owned;

static void *own_lock(void *arg)
{
	sigset_t all;

	(void)arg;
	sigfillset(&all);
	CHECK(!pthread_sigmask(SIG_SETMASK, &all, NULL));
	pi_owner = (pid_t)syscall(SYS_gettid);
	pi_word = (uint32_t)pi_owner;
	CHECK(!sem_post(&owned));
	for (;;)
		pause();
}

static mqd_t make_queue(const char *suffix)
{
	struct mq_attr attributes = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	char name[64];
	mqd_t queue;

	snprintf(name, sizeof(name), "/kronos-test-%d-%s", getpid(), suffix);
	queue = mq_open(name, O_CREAT | O_RDWR, 0600, &attributes);
	CHECK(queue >= 0);
	CHECK(!mq_unlink(name));
	return queue;
}

/* A listening socket that has a connection which nobody accepts, and takes no other. */
static int make_full(const struct sockaddr *wanted, socklen_t size)
{
	int fd = socket(wanted->sa_family, SOCK_STREAM, 0);
	int client = socket(wanted->sa_family, SOCK_STREAM, 0);
	struct sockaddr_storage address;

	CHECK(!bind(fd, wanted, size) && !listen(fd, 0));
	size = sizeof(address);
	CHECK(!getsockname(fd, (struct sockaddr *)&address, &size));
	CHECK(!connect(client, (struct sockaddr *)&address, size));
	return fd;
}

static void prepare_waits(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct sockaddr_in loopback = { .sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	pthread_t thread;
	int pair[2];

	CHECK(!pipe(idle_pipe));
	epoll = epoll_create1(0);
	sem = semget(IPC_PRIVATE, 1, 0600);
	CHECK(sem >= 0 && epoll >= 0);
	empty_queue = make_queue("empty");
	full_queue = make_queue("full");
	CHECK(!mq_send(full_queue, "x", 1, 0));
	CHECK(!sem_init(&semaphore, 0, 0) && !sem_init(&owned, 0, 0));
	CHECK(!syscall(SYS_io_setup, 8, &aio));
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	receiver = pair[0];
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	sender = pair[0];
	while (send(sender, &address, sizeof(address), MSG_DONTWAIT) > 0)
		;
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(!bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)));
	CHECK(!listen(listener, 1));
	full_unix = make_full((struct sockaddr *)&address, sizeof(sa_family_t));
	full_tcp = make_full((struct sockaddr *)&loopback, sizeof(loopback));
	CHECK(!pthread_create(&thread, NULL, own_lock, NULL));
	CHECK(!sem_wait(&owned));
}
