// SPDX-License-Identifier: MIT
/* Time namespaces: what they add to clocks, waits and timers, and who is in them. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define MONOTONIC (1000 * SEC)
#define BOOTTIME (50000 * SEC)

/* Of the first namespace, when it was last looked at. */
static int64_t monotonic, boottime, realtime;

static void look(void)
{
	monotonic = now_on(CLOCK_MONOTONIC);
	boottime = now_on(CLOCK_BOOTTIME);
	realtime = now_on(CLOCK_REALTIME);
}

static void check_file(int64_t boot_shift)
{
	FILE *file = fopen("/proc/uptime", "r");
	double up;

	CHECK(file && fscanf(file, "%lf", &up) == 1);
	fclose(file);
	CHECK(up * SEC >= boottime + boot_shift - 50 * MSEC);
	CHECK(up * SEC - boottime - boot_shift < 60 * SEC);
}

static void check_shift(int64_t shift, int64_t boot_shift)
{
	struct sysinfo info;
	struct timespec ts;

	/* A test takes less than a minute. */
	CHECK(now_on(CLOCK_MONOTONIC) - monotonic - shift >= 0);
	CHECK(now_on(CLOCK_MONOTONIC) - monotonic - shift < 60 * SEC);
	CHECK(now_on(CLOCK_MONOTONIC_COARSE) - monotonic - shift < 60 * SEC);
	CHECK(now_on(CLOCK_MONOTONIC_RAW) - monotonic < shift + MONOTONIC / 2);
	CHECK(now_on(CLOCK_BOOTTIME) - boottime - boot_shift >= 0);
	CHECK(now_on(CLOCK_BOOTTIME) - boottime - boot_shift < 60 * SEC);
	CHECK(now_on(CLOCK_REALTIME) - realtime < 60 * SEC);
	CHECK(!syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts));
	CHECK(ts.tv_sec - monotonic / SEC - shift / SEC < 60);
	CHECK(!sysinfo(&info));
	CHECK(info.uptime * SEC - boottime - boot_shift < 60 * SEC);
	CHECK(info.uptime * SEC >= boottime + boot_shift);
	check_file(boot_shift);
}

static void sleep_until(clockid_t clock)
{
	int64_t start = now();
	struct timespec until = at(now_on(clock) + 20 * MSEC);

	CHECK(!clock_nanosleep(clock, TIMER_ABSTIME, &until, NULL));
	check_elapsed("a sleep until a time", start, 20 * MSEC);
}

static void wait_until(int64_t from)
{
	struct timespec until = at(from + 20 * MSEC);
	int64_t start = now();
	uint32_t word = 0;

	CHECK(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &until, NULL, 1) == -1 &&
	      errno == ETIMEDOUT);
	check_elapsed("a futex", start, 20 * MSEC - (start - from));
}

static void wait_vector(int64_t from)
{
	struct timespec until = at(from + 20 * MSEC);
	int64_t start = now();
	uint32_t word = 0;
	struct futex_waitv wait = { .uaddr = (uintptr_t)&word, .flags = FUTEX_32 };

	CHECK(syscall(SYS_futex_waitv, &wait, 1, 0, &until, CLOCK_MONOTONIC) == -1 &&
	      errno == ETIMEDOUT);
	check_elapsed("a vector of futexes", start, 20 * MSEC - (start - from));
}

static void descriptor(clockid_t clock)
{
	int fd = timerfd_create(clock, 0);
	struct itimerspec value = { .it_value = at(now_on(clock) + 20 * MSEC) };
	int64_t start = now();
	uint64_t ticks;

	CHECK(!timerfd_settime(fd, TFD_TIMER_ABSTIME, &value, NULL));
	CHECK(!timerfd_gettime(fd, &value));
	CHECK(value.it_value.tv_sec == 0 && value.it_value.tv_nsec <= 20 * MSEC);
	CHECK(read(fd, &ticks, sizeof(ticks)) == sizeof(ticks) && ticks == 1);
	CHECK(now() - start <= 20 * MSEC + slack && now() - start > 15 * MSEC);
	close(fd);
}

static void posix_timer(clockid_t clock)
{
	struct itimerspec value = { .it_value = at(now_on(clock) + 20 * MSEC) };
	int64_t start = now();
	sigset_t set;
	timer_t timer;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	CHECK(!sigprocmask(SIG_BLOCK, &set, NULL));
	CHECK(!timer_create(clock, NULL, &timer));
	CHECK(!timer_settime(timer, TIMER_ABSTIME, &value, NULL));
	CHECK(sigwaitinfo(&set, NULL) == SIGALRM);
	CHECK(now() - start <= 20 * MSEC + slack && now() - start > 15 * MSEC);
	CHECK(!timer_delete(timer));
}

static void waits(void)
{
	struct timespec nap = at(20 * MSEC);
	int64_t start = now();

	CHECK(!nanosleep(&nap, NULL));
	check_elapsed("a sleep", start, 20 * MSEC);
	sleep_until(CLOCK_MONOTONIC);
	sleep_until(CLOCK_BOOTTIME);
	sleep_until(CLOCK_REALTIME);
	wait_until(now());
	wait_vector(now());
	descriptor(CLOCK_MONOTONIC);
	descriptor(CLOCK_BOOTTIME);
	descriptor(CLOCK_REALTIME);
	posix_timer(CLOCK_MONOTONIC);
	posix_timer(CLOCK_BOOTTIME);
}

static void await(pid_t pid)
{
	int status;

	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

/* A program that is executed there finds the same. */
static void execute(int64_t shift)
{
	char text[2][32];

	snprintf(text[0], sizeof(text[0]), "%lld", (long long)monotonic);
	snprintf(text[1], sizeof(text[1]), "%lld", (long long)shift);
	execl("/proc/self/exe", "timens", "exec", text[0], text[1], NULL);
	_exit(1);
}

static int executed(char **argv)
{
	int64_t shift = now() - atoll(argv[2]) - atoll(argv[3]);

	return shift < 0 || shift > 60 * SEC;
}

static void set_offsets(void)
{
	int fd = open("/proc/self/timens_offsets", O_WRONLY);
	char text[64];
	int size = snprintf(text, sizeof(text), "monotonic %lld 0\nboottime %lld 0",
			    MONOTONIC / SEC, BOOTTIME / SEC);

	CHECK(fd >= 0 && write(fd, text, (size_t)size) == size);
	close(fd);
}

/* Somebody else goes there. */
static void join(pid_t pid)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/time", pid);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0 && !setns(fd, CLONE_NEWTIME));
	check_shift(MONOTONIC, BOOTTIME);
	sleep_until(CLOCK_MONOTONIC);
}

static void inside(void)
{
	pid_t own = getpid(), pid;

	check_shift(MONOTONIC, BOOTTIME);
	waits();
	pid = fork();
	if (pid == 0) {
		check_shift(MONOTONIC, BOOTTIME);
		sleep_until(CLOCK_MONOTONIC);
		execute(MONOTONIC);
	}
	await(pid);
	pid = fork();
	if (pid == 0) {
		CHECK(!unshare(CLONE_NEWTIME));
		check_shift(MONOTONIC, BOOTTIME); /* its children will be there */
		_exit(0);
	}
	await(pid);
	CHECK(getpid() == own);
}

int main(int argc, char **argv)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (argc > 1 && !strcmp(argv[1], "exec"))
		return executed(argv);
	check_arguments(argc, argv);
	look();
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWTIME))
			_exit(0); /* not permitted, or no such thing */
		check_shift(0, 0);
		set_offsets();
		check_shift(0, 0);
		CHECK(!pipe(ready));
		pid = fork();
		if (pid == 0) {
			inside();
			CHECK(write(ready[1], "x", 1) == 1);
			pause();
		}
		CHECK(!close(ready[1]) && read(ready[0], &byte, 1) == 1);
		check_shift(0, 0);
		join(pid);
		CHECK(!kill(pid, SIGKILL) && waitpid(pid, NULL, 0) == pid);
		_exit(0);
	}
	await(pid);
	check_shift(0, 0);
	return success();
}
