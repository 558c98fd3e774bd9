// SPDX-License-Identifier: MIT
/* timer_create: whom it notifies and how, what the signal says, and overruns. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define PERIOD (20 * MSEC)

static volatile sig_atomic_t handled;
static siginfo_t last;
static pid_t handler_tid;

static void on_signal(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	last = *info;
	handler_tid = (pid_t)syscall(SYS_gettid);
	handled++;
}

static void handle(int signal)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	CHECK(!sigaction(signal, &action, NULL));
}

static void nap(int64_t ns)
{
	struct timespec left = at(ns);

	while (nanosleep(&left, &left))
		CHECK(errno == EINTR);
}

static void block(int signal, int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	CHECK(!pthread_sigmask(how, &set, NULL));
}

static timer_t start(struct sigevent *event, int64_t first, int64_t period)
{
	const struct itimerspec value = { at(period), at(first) };
	timer_t timer;

	CHECK(!timer_create(CLOCK_MONOTONIC, event, &timer));
	CHECK(!timer_settime(timer, 0, &value, NULL));
	return timer;
}

/* So many expiries while the signal was blocked are one signal. */
static void check_overrun(int overrun, int64_t blocked)
{
	int least = (int)(blocked / PERIOD) - 1;

	CHECK(overrun >= least);
	CHECK(overrun - least - 1 <= slack / PERIOD);
}

static void counts_overruns(int signal)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = signal,
		.sigev_value.sival_int = 4711,
	};
	timer_t timer;

	handle(signal);
	handled = 0;
	block(signal, SIG_BLOCK);
	timer = start(&event, PERIOD, PERIOD);
	nap(10 * PERIOD + PERIOD / 2);
	CHECK(handled == 0);
	block(signal, SIG_UNBLOCK);
	CHECK(handled >= 1);
	CHECK(last.si_signo == signal && last.si_code == SI_TIMER);
	CHECK(last.si_value.sival_int == 4711);
	if (handled == 1) {
		check_overrun(last.si_overrun, 10 * PERIOD);
		CHECK(timer_getoverrun(timer) == last.si_overrun);
	}
	CHECK(!timer_delete(timer));
	CHECK(timer_getoverrun(timer) == -1 && errno == EINVAL);
}

static void waited_for(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	siginfo_t info;
	sigset_t set;
	timer_t timer;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	block(SIGRTMIN, SIG_BLOCK);
	timer = start(&event, PERIOD, PERIOD);
	nap(5 * PERIOD + PERIOD / 2);
	CHECK(sigwaitinfo(&set, &info) == SIGRTMIN);
	CHECK(info.si_code == SI_TIMER);
	check_overrun(info.si_overrun, 5 * PERIOD);
	CHECK(timer_getoverrun(timer) == info.si_overrun);
	CHECK(!timer_delete(timer));
	while (sigtimedwait(&set, NULL, &(struct timespec){ 0 }) > 0)
		;
	block(SIGRTMIN, SIG_UNBLOCK);
}

static volatile pid_t other_tid;
static volatile int over;

static void *other_thread(void *arg)
{
	block(SIGUSR2, SIG_UNBLOCK);
	other_tid = (pid_t)syscall(SYS_gettid);
	while (!over)
		nap(MSEC);
	return arg;
}

static void of_a_thread(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR2 };
	pthread_t thread;
	timer_t timer;
	int id;

	handle(SIGUSR2);
	handled = 0;
	CHECK(!pthread_create(&thread, NULL, other_thread, NULL));
	while (!other_tid)
		nap(MSEC);
	event._sigev_un._tid = other_tid;
	timer = start(&event, PERIOD, 0);
	nap(2 * PERIOD);
	while (!handled)
		nap(PERIOD);
	CHECK(handler_tid == other_tid);
	CHECK(!timer_delete(timer));
	event._sigev_un._tid = getppid();
	CHECK(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id) == -1 && errno == EINVAL);
	event._sigev_un._tid = 0;
	CHECK(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id) == -1 && errno == EINVAL);
	over = 1;
	CHECK(!pthread_join(thread, NULL));
}

static volatile int notified;

static void on_notify(union sigval value)
{
	notified += value.sival_int;
}

static void in_a_new_thread(void)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD,
		.sigev_notify_function = on_notify,
		.sigev_value.sival_int = 1,
	};
	timer_t timer = start(&event, PERIOD, PERIOD);

	while (notified < 3)
		nap(PERIOD);
	CHECK(!timer_delete(timer));
}

static void silent(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_NONE };
	struct itimerspec left;
	timer_t timer = start(&event, PERIOD, 0);

	CHECK(!timer_gettime(timer, &left));
	CHECK(left.it_value.tv_nsec > 0 && left.it_value.tv_nsec <= PERIOD);
	nap(2 * PERIOD);
	CHECK(!timer_gettime(timer, &left));
	CHECK(left.it_value.tv_nsec == 0);
	CHECK(!timer_delete(timer));
}

/* The kernel's own form: SIGEV_THREAD is a signal there. */
static void refuses(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD, .sigev_signo = SIGUSR1 };
	int id;

	CHECK(!syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
	CHECK(!syscall(SYS_timer_delete, id));
	event.sigev_signo = 0;
	CHECK(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id) == -1 && errno == EINVAL);
	event.sigev_signo = 65;
	CHECK(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id) == -1 && errno == EINVAL);
	event = (struct sigevent){ .sigev_notify = 99, .sigev_signo = SIGUSR1 };
	CHECK(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id) == -1 && errno == EINVAL);
	CHECK(syscall(SYS_timer_create, 99, NULL, &id) == -1 && errno == EINVAL);
	CHECK(syscall(SYS_timer_delete, 12345) == -1 && errno == EINVAL);
}

/* Interval timers' signals are the kernel's. */
static void interval_timers(void)
{
	static const struct {
		int which, signal;
	} kinds[] = {
		{ ITIMER_REAL, SIGALRM },
		{ ITIMER_VIRTUAL, SIGVTALRM },
		{ ITIMER_PROF, SIGPROF },
	};
	struct itimerval value = { .it_value.tv_usec = 5000 };
	siginfo_t info;
	sigset_t set;

	for (int i = 0; i < 3; i++) {
		handle(kinds[i].signal);
		handled = 0;
		CHECK(!setitimer(kinds[i].which, &value, NULL));
		while (!handled)
			if (i == 0)
				nap(MSEC);
			else
				now();
		CHECK(last.si_signo == kinds[i].signal);
		CHECK(last.si_code == SI_KERNEL && last.si_pid == 0);
	}
	block(SIGALRM, SIG_BLOCK);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	CHECK(!setitimer(ITIMER_REAL, &value, NULL));
	CHECK(sigwaitinfo(&set, &info) == SIGALRM);
	CHECK(info.si_code == SI_KERNEL && info.si_pid == 0);
	block(SIGALRM, SIG_UNBLOCK);
}

/* Ids of threads are others there. */
static void in_a_pid_namespace(void)
{
	int status;

	if (unshare(CLONE_NEWPID)) {
		CHECK(errno == EPERM);
		return;
	}
	if (!fork()) {
		CHECK(getpid() == 1);
		notified = 0;
		in_a_new_thread();
		other_tid = over = 0;
		of_a_thread();
		_exit(0);
	}
	CHECK(wait(&status) > 0 && status == 0);
}

int main(int argc, char **argv)
{
	check_arguments(argc, argv);
	counts_overruns(SIGRTMIN + 1);
	counts_overruns(SIGUSR1);
	waited_for();
	block(SIGUSR2, SIG_BLOCK);
	of_a_thread();
	block(SIGUSR2, SIG_UNBLOCK);
	in_a_new_thread();
	silent();
	refuses();
	interval_timers();
	block(SIGUSR2, SIG_BLOCK);
	in_a_pid_namespace();
	return success();
}
