// SPDX-License-Identifier: MIT
/*
 * Frozen, the clock stands while programs that are not dilated go on; stepped,
 * it moves by exactly what was asked for, and timers follow. Free again, it goes
 * on from where it stood, the wall clock is right, and who waits in real time
 * goes on, too.
 */
#include <poll.h>
#include <sys/timerfd.h>

#include "experiment.h"

static uint64_t tsc(void)
{
	return __builtin_ia32_rdtsc();
}

struct moment {
	uint64_t ticks;
	int64_t monotonic, wall;
};

/* All at once: the tightest of some readings, since a machine may pause in between. */
static struct moment read_all(void)
{
	uint64_t tightest = UINT64_MAX;
	struct moment best = { 0 };

	for (int i = 0; i < 50; i++) {
		struct moment this = { tsc(), now(), now_on(CLOCK_REALTIME) };
		uint64_t took = tsc() - this.ticks;

		if (took < tightest) {
			tightest = took;
			best = this;
		}
	}
	return best;
}

static void run_programs(int count)
{
	while (count--) {
		int status;
		pid_t pid = vfork();

		CHECK(pid >= 0);
		if (!pid) {
			execlp("true", "true", (char *)NULL);
			_exit(127);
		}
		CHECK(waitpid(pid, &status, 0) == pid && !status);
	}
}

static void stands(int seconds)
{
	int64_t start = now(), wall = now_on(CLOCK_REALTIME);

	run_programs(20);
	for (int i = 0; i < seconds * 10; i++) {
		wait_real(100 * MSEC);
		CHECK(now() == start);
		CHECK(now_on(CLOCK_REALTIME) == wall);
		CHECK(now_on(CLOCK_BOOTTIME) - now_on(CLOCK_MONOTONIC) < SEC);
	}
	CHECK(virtual_time(0) == 0);
}

static void steps(void)
{
	int64_t start = now();

	for (int i = 1; i <= 10; i++) {
		progress(MSEC, 1);
		CHECK(now() == start + i * MSEC);
		CHECK(virtual_time(0) == i * MSEC);
	}
	progress(100 * USEC, 1000);
	CHECK(now() == start + 110 * MSEC);
	progress(SEC, 300);
	CHECK(now() == start + 110 * MSEC + 300 * SEC);
}

/* A timer of somebody who is not dilated expires in the round in which it is due. */
static void timers(void)
{
	struct itimerspec in = { .it_value = at(10 * MSEC + 500 * USEC) };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	uint64_t count;

	CHECK(fd >= 0);
	CHECK(!timerfd_settime(fd, 0, &in, NULL));
	progress(MSEC, 10);
	CHECK(read(fd, &count, sizeof(count)) < 0);
	CHECK(progress_until(MSEC, 1000, fd).done == 1);
	CHECK(read(fd, &count, sizeof(count)) == sizeof(count) && count == 1);
	close(fd);
}

/* A child that sleeps in real time, and has begun to. */
static pid_t start_sleeper(void)
{
	char path[32], state;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		wait_real(SEC);
		_exit(0);
	}
	sprintf(path, "/proc/%d/stat", pid);
	do {
		FILE *file = fopen(path, "r");

		wait_real(MSEC);
		CHECK(file && fscanf(file, "%*d %*s %c", &state) == 1);
		fclose(file);
	} while (state == 'R');
	return pid;
}

static bool is_free(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int count = poll(&poll_fd, 1, 0);

	CHECK(count >= 0);
	return count;
}

int main(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : 2;
	struct moment first = read_all(), before, after;
	double rate; /* ticks per nanosecond */
	double by_counter;
	int other = open(KRONOS_MODULE_DEVICE, O_RDWR | O_CLOEXEC);
	int64_t wall;
	pid_t sleeper;
	int status;

	while (now() < first.monotonic + 50 * MSEC)
		;
	before = read_all();
	rate = (double)(before.ticks - first.ticks) / (double)(before.monotonic - first.monotonic);
	CHECK(other >= 0 && is_free(other));
	initialize(0, 0);
	freeze();
	CHECK(!is_free(other));
	stands(seconds);
	steps();
	timers();
	sleeper = start_sleeper();
	stop();
	CHECK(waitpid(sleeper, &status, 0) == sleeper && !status);
	CHECK(is_free(other));
	after = read_all();
	wall = after.wall - before.wall;
	by_counter = (double)(after.ticks - before.ticks) / rate;
	if (llabs(wall - (int64_t)by_counter) > wall / 50) {
		printf("%lld ns on the wall clock, %.0f ns by the counter\n", (long long)wall, by_counter);
		return 1;
	}
	return success();
}
