// SPDX-License-Identifier: MIT
/* What libraries build on futexes: locks that are waited for until a time, on each clock. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

#define WAIT (20 * MSEC)

static pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER, inheriting;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t semaphore, held, over;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC };

/* Holds everything until it is told. */
static void *holder(void *arg)
{
	CHECK(!pthread_mutex_lock(&plain) && !pthread_mutex_lock(&inheriting));
	CHECK(!pthread_rwlock_wrlock(&rwlock));
	CHECK(!sem_post(&held));
	CHECK(!sem_wait(&over));
	CHECK(!pthread_rwlock_unlock(&rwlock));
	CHECK(!pthread_mutex_unlock(&inheriting) && !pthread_mutex_unlock(&plain));
	return arg;
}

static int semaphore_wait(clockid_t clock, const struct timespec *until)
{
	return sem_clockwait(&semaphore, clock, until) ? errno : 0;
}

static int lock_plain(clockid_t clock, const struct timespec *until)
{
	return pthread_mutex_clocklock(&plain, clock, until);
}

static int lock_inheriting(clockid_t clock, const struct timespec *until)
{
	return pthread_mutex_clocklock(&inheriting, clock, until);
}

static int lock_read(clockid_t clock, const struct timespec *until)
{
	return pthread_rwlock_clockrdlock(&rwlock, clock, until);
}

static int lock_write(clockid_t clock, const struct timespec *until)
{
	return pthread_rwlock_clockwrlock(&rwlock, clock, until);
}

static int wait_condition(clockid_t clock, const struct timespec *until)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	int result;

	CHECK(!pthread_mutex_lock(&mutex));
	result = pthread_cond_clockwait(&condition, &mutex, clock, until);
	CHECK(!pthread_mutex_unlock(&mutex));
	return result;
}

static const struct {
	const char *name;
	int (*wait)(clockid_t clock, const struct timespec *until);
} waits[] = {
	{ "sem_clockwait", semaphore_wait },
	{ "pthread_mutex_clocklock", lock_plain },
	{ "the same of a mutex with priority inheritance", lock_inheriting },
	{ "pthread_rwlock_clockrdlock", lock_read },
	{ "pthread_rwlock_clockwrlock", lock_write },
	{ "pthread_cond_clockwait", wait_condition },
};

static void time_out(void)
{
	struct timespec until;
	int64_t start;
	int result;

	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
		for (int c = 0; c < 2; c++) {
			start = now();
			until = at(now_on(clocks[c]) + WAIT);
			result = waits[i].wait(clocks[c], &until);
			/* An older library has no such clock for such a mutex. */
			if (result == EINVAL && waits[i].wait == lock_inheriting)
				continue;
			CHECK(result == ETIMEDOUT);
			check_elapsed(waits[i].name, start, WAIT);
		}
	start = now();
	until = at(now_on(CLOCK_REALTIME) + WAIT);
	CHECK(pthread_mutex_timedlock(&inheriting, &until) == ETIMEDOUT);
	CHECK(pthread_rwlock_timedrdlock(&rwlock, &until) == ETIMEDOUT);
	CHECK(pthread_rwlock_timedwrlock(&rwlock, &until) == ETIMEDOUT);
	check_elapsed("locks until a time", start, WAIT);
}

static void *let_go(void *arg)
{
	struct timespec nap = at(WAIT);

	CHECK(!nanosleep(&nap, NULL) && !sem_post(&over));
	return arg;
}

/* In time. */
static void taken(void)
{
	int64_t start = now();
	struct timespec until = at(now_on(CLOCK_REALTIME) + 100 * SEC);
	pthread_t thread;

	CHECK(!pthread_create(&thread, NULL, let_go, NULL));
	CHECK(!pthread_mutex_timedlock(&inheriting, &until));
	check_elapsed("a lock that is let go", start, WAIT);
	CHECK(!pthread_rwlock_timedwrlock(&rwlock, &until));
	CHECK(!pthread_join(thread, NULL));
}

/* The socket's own timeout is in force as well as the call's; the first counts. */
static void datagrams(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval own = { .tv_usec = WAIT / 1000 };
	struct timespec timeout = at(10 * SEC);
	struct iovec iov[2];
	struct mmsghdr message[2] = { 0 };
	socklen_t size = sizeof(address);
	char bytes[2];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int64_t start;

	slack += 2 * tick; /* the kernel rounds up to a tick, and adds one */
	for (int i = 0; i < 2; i++) {
		iov[i] = (struct iovec){ &bytes[i], 1 };
		message[i].msg_hdr.msg_iov = &iov[i];
		message[i].msg_hdr.msg_iovlen = 1;
	}
	if (bind(fd, (struct sockaddr *)&address, size)) /* a loopback that is down */
		return;
	CHECK(!getsockname(fd, (struct sockaddr *)&address, &size));
	CHECK(!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &own, sizeof(own)));
	start = now();
	CHECK(recvmmsg(fd, message, 2, 0, NULL) == -1 && errno == EAGAIN);
	check_elapsed("recvmmsg", start, WAIT);
	start = now();
	CHECK(recvmmsg(fd, message, 2, 0, &timeout) == -1 && errno == EAGAIN);
	check_elapsed("recvmmsg with both timeouts", start, WAIT);
	if (sendto(fd, "x", 1, 0, (struct sockaddr *)&address, size) == 1) {
		start = now();
		timeout = at(10 * SEC);
		CHECK(recvmmsg(fd, message, 2, 0, &timeout) == 1);
		check_elapsed("recvmmsg of one", start, WAIT);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	pthread_mutexattr_t attributes;
	pthread_t thread;

	check_arguments(argc, argv);
	CHECK(!pthread_mutexattr_init(&attributes));
	CHECK(!pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT));
	CHECK(!pthread_mutex_init(&inheriting, &attributes));
	CHECK(!sem_init(&semaphore, 0, 0) && !sem_init(&held, 0, 0));
	CHECK(!sem_init(&over, 0, 0));
	CHECK(!pthread_create(&thread, NULL, holder, NULL));
	CHECK(!sem_wait(&held));
	time_out();
	taken();
	datagrams();
	CHECK(!pthread_join(thread, NULL));
	return success();
}
