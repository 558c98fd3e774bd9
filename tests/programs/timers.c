// SPDX-License-Identifier: MIT
/* Interval timers, alarm, timerfd and POSIX timers: when they go off, and how often. */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "check.h"

static volatile sig_atomic_t alarms;

static void on_alarm(int signal)
{
	(void)signal;
	alarms++;
}

static void interval_timers(void)
{
	struct itimerval value = { { 0, 10000 }, { 0, 20000 } }, left;
	struct sigaction action = { .sa_handler = on_alarm };
	int64_t start = now();

	CHECK(!sigaction(SIGALRM, &action, NULL));
	CHECK(!setitimer(ITIMER_REAL, &value, NULL));
	CHECK(!getitimer(ITIMER_REAL, &left));
	CHECK(left.it_value.tv_usec > 0 && left.it_value.tv_usec <= 20000);
	while (alarms < 3)
		CHECK(pause() == -1 && errno == EINTR);
	check_elapsed("third alarm", start, 40 * MSEC);
	value = (struct itimerval){ 0 };
	CHECK(!setitimer(ITIMER_REAL, &value, NULL));
	start = now();
	CHECK(alarm(1) == 0);
	CHECK(alarm(1) == 1);
	alarms = 0;
	CHECK(sleep(5) >= 3); /* interrupted, with most of it left */
	CHECK(alarms == 1);
	check_elapsed("alarm", start, 1 * SEC);
}

static void timer_descriptors(void)
{
	struct itimerspec value = { at(10 * MSEC), at(20 * MSEC) }, left;
	int64_t start = now();
	uint64_t ticks;
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	CHECK(fd >= 0);
	CHECK(!timerfd_settime(fd, 0, &value, NULL));
	CHECK(!timerfd_gettime(fd, &left));
	CHECK(left.it_value.tv_nsec > 0 && left.it_value.tv_nsec <= 20 * MSEC);
	CHECK(poll(&pfd, 1, 5000) == 1);
	check_elapsed("timerfd", start, 20 * MSEC);
	CHECK(read(fd, &ticks, sizeof(ticks)) == sizeof(ticks) && ticks >= 1);
	CHECK(read(fd, &ticks, sizeof(ticks)) == sizeof(ticks) && ticks >= 1);
	CHECK(now() - start >= 30 * MSEC);
	value = (struct itimerspec){ .it_value = at(now() + 15 * MSEC) };
	start = now();
	CHECK(!timerfd_settime(fd, TFD_TIMER_ABSTIME, &value, NULL));
	CHECK(read(fd, &ticks, sizeof(ticks)) == sizeof(ticks) && ticks == 1);
	CHECK(now() - start >= 14 * MSEC);
}

static sem_t expired;

static void on_expiry(union sigval value)
{
	CHECK(value.sival_int == 42);
	CHECK(!sem_post(&expired));
}

static void posix_timers(void)
{
	struct sigevent by_signal = { .sigev_notify = SIGEV_SIGNAL,
				      .sigev_signo = SIGUSR2,
				      .sigev_value.sival_int = 7 };
	struct sigevent by_thread = { .sigev_notify = SIGEV_THREAD,
				      .sigev_notify_function = on_expiry,
				      .sigev_value.sival_int = 42 };
	struct itimerspec value = { at(10 * MSEC), at(20 * MSEC) }, left;
	int64_t start;
	siginfo_t info;
	timer_t timer;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK(!sigprocmask(SIG_BLOCK, &set, NULL));
	CHECK(!timer_create(CLOCK_MONOTONIC, &by_signal, &timer));
	start = now();
	CHECK(!timer_settime(timer, 0, &value, NULL));
	for (int i = 0; i < 3; i++) {
		CHECK(sigwaitinfo(&set, &info) == SIGUSR2);
		CHECK(info.si_code == SI_TIMER && info.si_value.sival_int == 7);
	}
	check_elapsed("third expiry", start, 40 * MSEC);
	CHECK(!timer_gettime(timer, &left));
	CHECK(left.it_interval.tv_nsec == 10 * MSEC && left.it_value.tv_nsec > 0);
	CHECK(!timer_delete(timer));
	CHECK(timer_delete(timer) == -1);

	CHECK(!sem_init(&expired, 0, 0));
	CHECK(!timer_create(CLOCK_REALTIME, &by_thread, &timer));
	start = now();
	value = (struct itimerspec){ .it_value = at(now_on(CLOCK_REALTIME) + 30 * MSEC) };
	CHECK(!timer_settime(timer, TIMER_ABSTIME, &value, NULL));
	CHECK(!sem_wait(&expired));
	check_elapsed("expiry in a thread", start, 30 * MSEC);
	CHECK(!timer_delete(timer));
}

int main(int argc, char **argv)
{
	check_arguments(argc, argv);
	interval_timers();
	timer_descriptors();
	posix_timers();
	return success();
}
