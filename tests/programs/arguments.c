// SPDX-License-Identifier: MIT
/* Arguments of timers and sleeps that the kernel refuses, and odd ones that it takes. */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "check.h"

#define FAILS(call, error)                                                     \
	do {                                                                   \
		errno = 0;                                                     \
		CHECK((call) == -1 && errno == (error));                       \
	} while (0)

static const struct timespec bad[] = { { -1, 0 }, { 0, -1 }, { 0, SEC } };

static void sleeps(void)
{
	static const clockid_t unwaitable[] = {
		CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC_COARSE, CLOCK_REALTIME_COARSE
	};
	struct timespec wait = at(MSEC);

	for (int i = 0; i < 3; i++) {
		FAILS(nanosleep(&bad[i], NULL), EINVAL);
		CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &bad[i], NULL) == EINVAL);
		CHECK(clock_nanosleep(unwaitable[i], 0, &wait, NULL) == EOPNOTSUPP);
	}
	FAILS(syscall(SYS_nanosleep, (void *)8, NULL), EFAULT);
	CHECK(clock_nanosleep(100, 0, &wait, NULL) == EINVAL);
}

static void on_signal(int signal)
{
	(void)signal;
}

/* Where the rest of an interrupted sleep cannot be written. */
static void bad_rest(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct itimerval value = { .it_value.tv_usec = 10000 };
	struct timespec wait = at(10 * SEC), short_wait = at(50 * MSEC);
	int64_t start = now();

	CHECK(!sigaction(SIGALRM, &action, NULL));
	CHECK(!setitimer(ITIMER_REAL, &value, NULL));
	FAILS(syscall(SYS_nanosleep, &wait, (void *)8), EFAULT);
	CHECK(!setitimer(ITIMER_REAL, &value, NULL));
	FAILS(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &wait, (void *)8), EFAULT);
	CHECK(now() - start >= 20 * MSEC && now() - start < 10 * SEC);
	CHECK(!setitimer(ITIMER_REAL, &value, NULL));
	wait = at(now() + 10 * SEC);
	FAILS(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &wait, (void *)8),
	      EINTR);
	CHECK(!syscall(SYS_nanosleep, &short_wait, (void *)8));
	/* Nobody notices a signal that is ignored. */
	signal(SIGALRM, SIG_IGN);
	CHECK(!setitimer(ITIMER_REAL, &value, NULL));
	CHECK(!syscall(SYS_nanosleep, &short_wait, (void *)8));
	signal(SIGALRM, SIG_DFL);
}

#define CENTURIES 0x1ffffffffL /* in seconds */

/* Periods without a first expiry, and longer than virtual time will ever be. */
static void periods(void)
{
	static const struct itimerval none;
	struct itimerval value, old;

	for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++) {
		value = (struct itimerval){ .it_interval = { 10, 20 } };
		CHECK(!setitimer(which, &value, NULL) && !setitimer(which, &none, &old));
		CHECK(old.it_interval.tv_sec == (which == ITIMER_REAL ? 0 : 10));
		CHECK(!old.it_value.tv_sec && !old.it_value.tv_usec);
		value = (struct itimerval){ { CENTURIES, 20 }, { 30, 40 } };
		CHECK(!setitimer(which, &value, NULL) && !setitimer(which, &none, &old));
		CHECK(old.it_interval.tv_sec == CENTURIES);
		CHECK(old.it_value.tv_sec >= 29 && old.it_value.tv_sec <= 30);
	}
}

static void timer_periods(void)
{
	struct itimerspec value = { .it_interval = at(10 * SEC) }, old;
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	timer_t timer;

	CHECK(!timer_create(CLOCK_MONOTONIC, NULL, &timer));
	CHECK(!timer_settime(timer, 0, &value, NULL) && !timer_gettime(timer, &old));
	CHECK(!old.it_interval.tv_sec && !old.it_value.tv_sec);
	CHECK(!timerfd_settime(fd, 0, &value, NULL) && !timerfd_gettime(fd, &old));
	CHECK(old.it_interval.tv_sec == 10 && !old.it_value.tv_sec);
	value.it_interval.tv_sec = value.it_value.tv_sec = CENTURIES;
	CHECK(!timer_settime(timer, 0, &value, NULL) && !timer_gettime(timer, &old));
	CHECK(old.it_interval.tv_sec == CENTURIES && old.it_value.tv_sec >= CENTURIES - 10);
	CHECK(!timerfd_settime(fd, 0, &value, NULL) && !timerfd_gettime(fd, &old));
	CHECK(old.it_interval.tv_sec == CENTURIES && old.it_value.tv_sec >= CENTURIES - 10);
	CHECK(!timer_delete(timer) && !close(fd));
}

static void futexes(void)
{
	uint32_t word = 0;
	struct futex_waitv wait = {
		.uaddr = (uintptr_t)&word, .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG
	};
	struct timespec until = at(now() + MSEC);

	FAILS(syscall(SYS_futex_waitv, &wait, 1, 0, &until, CLOCK_TAI), EINVAL);
	FAILS(syscall(SYS_futex_waitv, &wait, 1, 0, &until, CLOCK_MONOTONIC), ETIMEDOUT);
}

static void descriptors(void)
{
	struct itimerspec value = { .it_value = at(MSEC) };
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);

	CHECK(fd >= 0);
	FAILS(syscall(SYS_timerfd_settime, fd, -1, &value, NULL), EINVAL);
	FAILS(syscall(SYS_timerfd_settime, fd, 0, (void *)8, NULL), EFAULT);
	FAILS(syscall(SYS_timerfd_settime, 1000, 0, &value, NULL), EBADF);
	for (int i = 0; i < 3; i++) {
		value.it_value = bad[i];
		FAILS(timerfd_settime(fd, 0, &value, NULL), EINVAL);
	}
	CHECK(!close(fd));
}

static void posix_timers(void)
{
	struct sigevent notify = { .sigev_notify = SIGEV_THREAD, .sigev_signo = SIGUSR1 };
	struct itimerspec value = { .it_value = at(MSEC) };
	int id;

	/* To the kernel SIGEV_THREAD is a signal: the thread is the library's work. */
	CHECK(!syscall(SYS_timer_create, CLOCK_MONOTONIC, &notify, &id));
	FAILS(syscall(SYS_timer_settime, id, 0, NULL, NULL), EINVAL);
	FAILS(syscall(SYS_timer_settime, id, 0, (void *)8, NULL), EFAULT);
	for (int i = 0; i < 3; i++) {
		value.it_value = bad[i];
		FAILS(syscall(SYS_timer_settime, id, 0, &value, NULL), EINVAL);
	}
	CHECK(!syscall(SYS_timer_delete, id));
	FAILS(syscall(SYS_timer_delete, id), EINVAL);
	FAILS(syscall(SYS_timer_create, CLOCK_MONOTONIC_RAW, &notify, &id), EOPNOTSUPP);
	FAILS(syscall(SYS_timer_create, 100, &notify, &id), EINVAL);
	notify.sigev_signo = 100;
	FAILS(syscall(SYS_timer_create, CLOCK_MONOTONIC, &notify, &id), EINVAL);
}

int main(int argc, char **argv)
{
	check_arguments(argc, argv);
	sleeps();
	periods();
	timer_periods();
	bad_rest();
	futexes();
	descriptors();
	posix_timers();
	return success();
}
