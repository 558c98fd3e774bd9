// SPDX-License-Identifier: MIT
/* CPU time, in every form, is the time that the program has computed. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define WORK (8 * MSEC)
#define TICK (10 * MSEC) /* of the kernel's, by which it counts some of these */

static int64_t cpu(void)
{
	return now_on(CLOCK_PROCESS_CPUTIME_ID);
}

static void compute(clockid_t clock, int64_t ns)
{
	int64_t start = now_on(clock);

	while (now_on(clock) < start + ns)
		;
}

static int64_t used(const struct rusage *usage)
{
	return (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * SEC +
	       (usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * 1000;
}

static int64_t syscall_cpu(clockid_t clock)
{
	struct timespec ts;

	CHECK(!syscall(SYS_clock_gettime, clock, &ts));
	return ts.tv_sec * SEC + ts.tv_nsec;
}

static void against_the_clock(void)
{
	int64_t start = now(), start_cpu = cpu();
	struct timespec nap = at(100 * MSEC);

	compute(CLOCK_MONOTONIC, WORK);
	CHECK(cpu() - start_cpu <= now() - start);
	CHECK(now() - start - slack <= cpu() - start_cpu);
	start_cpu = cpu();
	CHECK(!nanosleep(&nap, NULL));
	CHECK(cpu() - start_cpu < 50 * MSEC);
}

static void clocks_agree(void)
{
	struct rusage usage;
	clockid_t id;
	struct tms tms;
	int64_t before;

	before = cpu();
	CHECK(syscall_cpu(CLOCK_PROCESS_CPUTIME_ID) >= before);
	CHECK(!clock_getcpuclockid(0, &id));
	CHECK(now_on(id) >= before);
	CHECK(!clock_getcpuclockid(getpid(), &id));
	CHECK(now_on(id) >= before && now_on(id) <= cpu());
	before = now_on(CLOCK_THREAD_CPUTIME_ID);
	CHECK(before <= cpu());
	CHECK(!pthread_getcpuclockid(pthread_self(), &id));
	CHECK(now_on(id) >= before);
	CHECK(now_on(id) <= syscall_cpu(CLOCK_THREAD_CPUTIME_ID));

	before = cpu();
	CHECK(!getrusage(RUSAGE_SELF, &usage));
	CHECK(used(&usage) >= before - 2000 && used(&usage) <= cpu());
	CHECK(usage.ru_maxrss > 0);
	before = now_on(CLOCK_THREAD_CPUTIME_ID);
	CHECK(!getrusage(RUSAGE_THREAD, &usage));
	CHECK(used(&usage) >= before - 2000);
	before = cpu();
	CHECK(times(&tms) != -1);
	CHECK((tms.tms_utime + tms.tms_stime) * (SEC / sysconf(_SC_CLK_TCK)) >=
	      before - 2 * TICK);
	before = cpu() / 1000;
	CHECK(clock() >= before && clock() <= cpu() / 1000);
}

static void ticks_go_on(void)
{
	clock_t start = times(NULL);
	struct timespec nap = at(100 * MSEC);

	CHECK(!nanosleep(&nap, NULL));
	CHECK(times(NULL) - start >= 9);
	CHECK((times(NULL) - start) * (SEC / sysconf(_SC_CLK_TCK)) / 2 <=
	      100 * MSEC + TICK + slack);
}

static pthread_barrier_t asked; /* for the clock of a thread that has not ended */

static void *worker(void *arg)
{
	clockid_t clock;

	(void)arg;
	CHECK(!pthread_getcpuclockid(pthread_self(), &clock));
	compute(CLOCK_THREAD_CPUTIME_ID, WORK);
	CHECK(now_on(clock) >= WORK);
	pthread_barrier_wait(&asked);
	return NULL;
}

static void threads(void)
{
	int64_t start = cpu();
	pthread_t other[2];
	clockid_t clock;

	CHECK(!pthread_barrier_init(&asked, NULL, 3));
	for (int i = 0; i < 2; i++)
		CHECK(!pthread_create(&other[i], NULL, worker, NULL));
	CHECK(!pthread_getcpuclockid(other[0], &clock));
	CHECK(now_on(clock) < WORK + WORK + slack);
	pthread_barrier_wait(&asked);
	for (int i = 0; i < 2; i++)
		CHECK(!pthread_join(other[i], NULL));
	CHECK(cpu() - start >= 2 * WORK);
	CHECK(now_on(CLOCK_THREAD_CPUTIME_ID) <= cpu() - 2 * WORK);
}

static pid_t child_computes(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(cpu() < WORK + slack);
		compute(CLOCK_PROCESS_CPUTIME_ID, WORK);
		_exit(0);
	}
	return pid;
}

static void children(void)
{
	struct rusage usage, before, after;
	siginfo_t info;
	struct tms tms;
	int status;
	pid_t pid;

	CHECK(!getrusage(RUSAGE_CHILDREN, &before));
	pid = child_computes();
	CHECK(wait4(pid, &status, 0, &usage) == pid && status == 0);
	CHECK(used(&usage) >= WORK - 2000 && usage.ru_maxrss > 0);
	CHECK(used(&usage) <= 2 * WORK + slack);
	pid = child_computes();
	CHECK(!syscall(SYS_waitid, P_PID, pid, &info, WEXITED, &usage));
	CHECK(info.si_pid == pid && used(&usage) >= WORK - 2000);
	CHECK(!getrusage(RUSAGE_CHILDREN, &after));
	CHECK(used(&after) - used(&before) >= 2 * WORK - 4000);
	CHECK(times(&tms) != -1);
	CHECK((tms.tms_cutime + tms.tms_cstime) * (SEC / sysconf(_SC_CLK_TCK)) >=
	      2 * WORK - 2 * TICK);
}

static volatile sig_atomic_t signals;

static void on_signal(int signal)
{
	(void)signal;
	signals++;
}

/* Computes until there has been a signal; returns the CPU time that took. */
static int64_t compute_to_signal(clockid_t clock)
{
	int64_t start = now_on(clock);

	while (!signals)
		now();
	signals = 0;
	return now_on(clock) - start;
}

static void interval_timer(int which, int signal)
{
	struct itimerval value = { .it_value = { 0, 2 * TICK / 1000 } }, left;
	struct sigaction action = { .sa_handler = on_signal };
	struct timespec nap = at(100 * MSEC);
	int64_t took;

	CHECK(!sigaction(signal, &action, NULL));
	signals = 0;
	CHECK(!setitimer(which, &value, NULL));
	CHECK(!nanosleep(&nap, NULL) && !signals);
	CHECK(!getitimer(which, &left));
	CHECK(left.it_value.tv_sec == 0 && left.it_value.tv_usec > 0);
	took = compute_to_signal(CLOCK_PROCESS_CPUTIME_ID);
	CHECK(took >= TICK / 2 && took <= 2 * TICK + slack);
	CHECK(!getitimer(which, &left));
	CHECK(left.it_value.tv_sec == 0 && left.it_value.tv_usec == 0);
}

static void posix_timer(clockid_t clock)
{
	struct sigevent notify = { .sigev_notify = SIGEV_SIGNAL,
				   .sigev_signo = SIGUSR1 };
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerspec value = { .it_value = at(WORK) }, left;
	timer_t timer;
	int64_t took;

	CHECK(!sigaction(SIGUSR1, &action, NULL));
	CHECK(!timer_create(clock, &notify, &timer));
	CHECK(!timer_settime(timer, 0, &value, NULL));
	CHECK(!timer_gettime(timer, &left));
	CHECK(left.it_value.tv_nsec > 0 && left.it_value.tv_nsec <= WORK);
	took = compute_to_signal(clock);
	CHECK(took >= WORK - slack && took >= 0 && took <= WORK + slack);
	/* Twice, and at a CPU time of the clock. */
	value = (struct itimerspec){ at(WORK / 2), at(now_on(clock) + WORK / 2) };
	CHECK(!timer_settime(timer, TIMER_ABSTIME, &value, NULL));
	compute_to_signal(clock);
	compute_to_signal(clock);
	CHECK(!timer_delete(timer));
}

static void *computing(void *arg)
{
	while (!*(volatile int *)arg)
		now();
	return NULL;
}

static void sleeps(void)
{
	struct timespec nap = at(WORK);
	int64_t start = cpu();
	pthread_t other;
	int over = 0;

	CHECK(!pthread_create(&other, NULL, computing, &over));
	CHECK(!clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &nap, NULL));
	CHECK(cpu() - start >= WORK);
	nap = at(cpu() + WORK);
	CHECK(!clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, &nap, NULL));
	CHECK(cpu() >= nap.tv_sec * SEC + nap.tv_nsec);
	over = 1;
	CHECK(!pthread_join(other, NULL));
	CHECK(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, &nap, NULL) == 0);
	CHECK(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &nap, NULL));
}

int main(int argc, char **argv)
{
	check_arguments(argc, argv);
	against_the_clock();
	clocks_agree();
	ticks_go_on();
	threads();
	children();
	interval_timer(ITIMER_VIRTUAL, SIGVTALRM);
	interval_timer(ITIMER_PROF, SIGPROF);
	posix_timer(CLOCK_PROCESS_CPUTIME_ID);
	posix_timer(CLOCK_THREAD_CPUTIME_ID);
	sleeps();
	return success();
}
