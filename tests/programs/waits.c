// SPDX-License-Identifier: MIT
/* Every call that can wait with a timeout, when nothing else ends the wait. */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <mqueue.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "check.h"

#define WAIT (30 * MSEC)

static int64_t start;

#define TIMES_OUT_SINCE_START(call, condition)                                 \
	do {                                                                   \
		long result = (call);                                          \
                                                                               \
		CHECK(result condition);                                       \
		check_elapsed(#call, start, WAIT);                             \
	} while (0)

#define TIMES_OUT(call, condition)                                             \
	do {                                                                   \
		start = now();                                                 \
		TIMES_OUT_SINCE_START(call, condition);                        \
	} while (0)

/* When a wait that starts now is over. */
static struct timespec end_on(clockid_t clock)
{
	start = now();
	return at(now_on(clock) + WAIT);
}

static void sleeps(void)
{
	struct timespec wait = at(WAIT), until;

	TIMES_OUT(nanosleep(&wait, NULL), == 0);
	TIMES_OUT(usleep(WAIT / 1000), == 0);
	TIMES_OUT(clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL), == 0);
	until = end_on(CLOCK_MONOTONIC);
	TIMES_OUT_SINCE_START(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL), == 0);
	until = end_on(CLOCK_REALTIME);
	TIMES_OUT_SINCE_START(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL), == 0);
	until = end_on(CLOCK_BOOTTIME);
	TIMES_OUT_SINCE_START(clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &until, NULL), == 0);
}

static void polls(void)
{
	int fds[2], ep = epoll_create1(0);
	struct timespec wait = at(WAIT);
	struct timeval tv = { 0, WAIT / 1000 };
	struct epoll_event event = { .events = EPOLLIN };
	struct pollfd pfd;
	fd_set set;

	CHECK(!pipe(fds));
	pfd = (struct pollfd){ .fd = fds[0], .events = POLLIN };
	CHECK(!epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &event));
	TIMES_OUT(poll(&pfd, 1, WAIT / MSEC), == 0);
	TIMES_OUT(ppoll(&pfd, 1, &wait, NULL), == 0);
	FD_ZERO(&set);
	FD_SET(fds[0], &set);
	TIMES_OUT(select(fds[0] + 1, &set, NULL, NULL, &tv), == 0);
	CHECK(!FD_ISSET(fds[0], &set));
	CHECK(tv.tv_sec == 0 && tv.tv_usec == 0);
	/* The call itself takes more microseconds than a second has. */
	tv = (struct timeval){ -1, 1000000 + WAIT / 1000 };
	TIMES_OUT(syscall(SYS_select, 0, NULL, NULL, NULL, &tv), == 0);
	FD_SET(fds[0], &set);
	TIMES_OUT(pselect(fds[0] + 1, &set, NULL, NULL, &wait, NULL), == 0);
	CHECK(!FD_ISSET(fds[0], &set));
	TIMES_OUT(epoll_wait(ep, &event, 1, WAIT / MSEC), == 0);
	TIMES_OUT(epoll_pwait(ep, &event, 1, WAIT / MSEC, NULL), == 0);
	TIMES_OUT(syscall(SYS_epoll_pwait2, ep, &event, 1, &wait, NULL, 8), == 0);
	/* Those that do not wait at all, and one that is ready. */
	CHECK(poll(&pfd, 1, 0) == 0);
	CHECK(write(fds[1], "x", 1) == 1);
	CHECK(poll(&pfd, 1, 1000) == 1 && pfd.revents == POLLIN);
	CHECK(epoll_wait(ep, &event, 1, 1000) == 1);
	tv = (struct timeval){ 5, 0 };
	FD_SET(fds[0], &set);
	CHECK(select(fds[0] + 1, &set, NULL, NULL, &tv) == 1 && tv.tv_sec >= 4);
}

static void locks(void)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER, mono;
	pthread_condattr_t attributes;
	struct timespec until, wait = at(WAIT);
	uint32_t word = 0;
	sem_t sem;

	CHECK(!sem_init(&sem, 0, 0));
	until = end_on(CLOCK_REALTIME);
	TIMES_OUT_SINCE_START(sem_timedwait(&sem, &until), == -1 && errno == ETIMEDOUT);
	CHECK(!pthread_mutex_lock(&mutex));
	until = end_on(CLOCK_REALTIME);
	TIMES_OUT_SINCE_START(pthread_cond_timedwait(&cond, &mutex, &until), == ETIMEDOUT);
	CHECK(!pthread_condattr_init(&attributes));
	CHECK(!pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
	CHECK(!pthread_cond_init(&mono, &attributes));
	until = end_on(CLOCK_MONOTONIC);
	TIMES_OUT_SINCE_START(pthread_cond_timedwait(&mono, &mutex, &until), == ETIMEDOUT);
	TIMES_OUT(syscall(SYS_futex, &word, FUTEX_WAIT, 0, &wait),
		  == -1 && errno == ETIMEDOUT);
}

static void signals(void)
{
	struct timespec wait = at(WAIT);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(!sigprocmask(SIG_BLOCK, &set, NULL));
	TIMES_OUT(sigtimedwait(&set, NULL, &wait), == -1 && errno == EAGAIN);
	CHECK(!kill(getpid(), SIGUSR1));
	CHECK(sigtimedwait(&set, NULL, &wait) == SIGUSR1);
}

static void ipc(void)
{
	struct mq_attr attributes = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	struct timespec until, wait = at(WAIT);
	struct sembuf down = { .sem_op = -1 };
	char buffer[8], name[32];
	mqd_t queue;
	int sem = semget(IPC_PRIVATE, 1, 0600);

	CHECK(sem >= 0);
	TIMES_OUT(semtimedop(sem, &down, 1, &wait), == -1 && errno == EAGAIN);
	CHECK(!semctl(sem, 0, IPC_RMID));
	snprintf(name, sizeof(name), "/kronos-test-%d", getpid());
	queue = mq_open(name, O_CREAT | O_RDWR, 0600, &attributes);
	CHECK(queue >= 0);
	mq_unlink(name);
	until = end_on(CLOCK_REALTIME);
	TIMES_OUT_SINCE_START(mq_timedreceive(queue, buffer, 8, NULL, &until),
		  == -1 && errno == ETIMEDOUT);
	CHECK(!mq_send(queue, "x", 1, 0));
	until = end_on(CLOCK_REALTIME);
	TIMES_OUT_SINCE_START(mq_timedsend(queue, "x", 1, 0, &until),
		  == -1 && errno == ETIMEDOUT);
}

static void sockets(void)
{
	struct timeval tv = { 0, WAIT / 1000 };
	char buffer[8];
	int pair[2];

	slack += 2 * tick; /* the kernel rounds up to a tick, and adds one */
	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	CHECK(!setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	TIMES_OUT(recv(pair[0], buffer, sizeof(buffer), 0),
		  == -1 && errno == EAGAIN);
	TIMES_OUT(read(pair[0], buffer, sizeof(buffer)), == -1 && errno == EAGAIN);
	CHECK(send(pair[1], "x", 1, 0) == 1);
	CHECK(recv(pair[0], buffer, sizeof(buffer), 0) == 1);
}

int main(int argc, char **argv)
{
	check_arguments(argc, argv);
	sleeps();
	polls();
	locks();
	signals();
	ipc();
	sockets();
	return success();
}
