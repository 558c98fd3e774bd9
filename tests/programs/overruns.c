// SPDX-License-Identifier: MIT
/*
 * Timers whose period is so short that nobody can take each expiry by itself: they
 * are counted, and the clock goes on.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "check.h"

#define USEC 1000LL

static volatile sig_atomic_t handled;

static void on_signal(int signal)
{
	(void)signal;
	handled++;
}

static void nap(int64_t ns)
{
	struct timespec left = at(ns);

	while (nanosleep(&left, &left))
		CHECK(errno == EINTR);
}

static uint64_t ticks(int fd)
{
	uint64_t count;

	CHECK(read(fd, &count, sizeof(count)) == sizeof(count));
	return count;
}

/* So many as there were periods between two looks at the clock, or a turn before. */
static void check_count(const char *what, uint64_t count, int64_t least, int64_t most,
			int64_t period)
{
	if (slack < SEC)
		least -= slack;
	if ((int64_t)count < least / period - 1 || (int64_t)count > most / period + 1) {
		printf("%s: %llu expiries, not %lld..%lld\n", what,
		       (unsigned long long)count, (long long)(least / period),
		       (long long)(most / period));
		exit(1);
	}
}

static int64_t set(int fd, int64_t period)
{
	const struct itimerspec value = { at(period), at(period) };

	CHECK(!timerfd_settime(fd, 0, &value, NULL));
	return now();
}

/* Left alone, read once, read as fast as can be, and polled without being read. */
static void descriptor(int64_t period)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int64_t before = now(), start = set(fd, period), last;
	struct itimerspec value;
	uint64_t count;

	nap(20 * MSEC);
	last = now();
	count = ticks(fd);
	check_count("left alone", count, last - start, now() - before, period);

	before = now();
	start = set(fd, period);
	for (count = 0; now() - start < 20 * MSEC; count += ticks(fd))
		last = now();
	check_count("read all the time", count, last - start, now() - before, period);

	before = now();
	start = set(fd, period);
	while (now() - start < 5 * MSEC)
		CHECK(poll(&pfd, 1, -1) == 1);
	CHECK(!timerfd_gettime(fd, &value));
	CHECK(value.it_interval.tv_nsec == period);
	CHECK(value.it_value.tv_nsec >= 0 && value.it_value.tv_nsec <= period);
	last = now();
	count = ticks(fd);
	check_count("polled", count, last - start, now() - before, period);
	close(fd);
}

static timer_t start_timer(clockid_t clock, int how, int64_t first, int64_t period, int signal)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = signal };
	const struct itimerspec value = { at(period), at(first) };
	timer_t timer;

	CHECK(!timer_create(clock, &event, &timer));
	CHECK(!timer_settime(timer, how, &value, NULL));
	return timer;
}

/* A signal that waits for long stands for all. */
static void taken_late(sigset_t *set, clockid_t clock, int64_t period)
{
	int64_t before = now(), start, last;
	siginfo_t info;
	timer_t timer = start_timer(clock, 0, period, period, SIGRTMIN);

	start = now();
	nap(20 * MSEC);
	last = now();
	CHECK(sigwaitinfo(set, &info) == SIGRTMIN);
	if (clock == CLOCK_MONOTONIC)
		check_count("taken late", (uint64_t)info.si_overrun + 1, last - start,
			    now() - before, period);
	CHECK(timer_getoverrun(timer) == info.si_overrun);
	start = now();
	while (now() - start < 5 * MSEC)
		CHECK(sigwaitinfo(set, &info) == SIGRTMIN);
	CHECK(!timer_delete(timer));
	while (sigtimedwait(set, NULL, &(struct timespec){ 0 }) > 0)
		;
}

/* More than an int can count, since 1970. */
static void long_ago(sigset_t *set)
{
	siginfo_t info;
	timer_t timer = start_timer(CLOCK_REALTIME, TIMER_ABSTIME, 1, 1, SIGRTMIN);

	nap(MSEC);
	CHECK(sigwaitinfo(set, &info) == SIGRTMIN);
	CHECK(info.si_overrun == INT_MAX && timer_getoverrun(timer) == INT_MAX);
	CHECK(!timer_delete(timer));
	while (sigtimedwait(set, NULL, &(struct timespec){ 0 }) > 0)
		;
}

/* Nobody waits for these: handlers run when they can. */
static void handlers(void)
{
	struct itimerval value = { { 0, 700 }, { 0, 700 } };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	int64_t start = now();

	CHECK(!sigaction(SIGALRM, &action, NULL) && !sigaction(SIGPROF, &action, NULL));
	CHECK(!setitimer(ITIMER_REAL, &value, NULL));
	nap(20 * MSEC);
	CHECK(handled >= 2 && handled <= (now() - start) / (700 * USEC) + 1);
	value = (struct itimerval){ { 0, 1 }, { 0, 1 } };
	signal(SIGALRM, SIG_IGN);
	CHECK(!setitimer(ITIMER_REAL, &value, NULL));
	nap(20 * MSEC);
	value.it_interval.tv_usec = value.it_value.tv_usec = 0;
	CHECK(!setitimer(ITIMER_REAL, &value, NULL));
}

int main(int argc, char **argv)
{
	static const int64_t periods[] = { 1, 300, 5 * USEC, 100 * USEC, 3 * MSEC };
	sigset_t set;

	check_arguments(argc, argv);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	CHECK(!sigprocmask(SIG_BLOCK, &set, NULL));
	for (size_t i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {
		descriptor(periods[i]);
		taken_late(&set, CLOCK_MONOTONIC, periods[i]);
	}
	long_ago(&set);
	handlers();
	return success();
}
