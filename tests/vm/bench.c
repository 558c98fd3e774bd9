// SPDX-License-Identifier: MIT
/*
 * bench WHAT: what virtual time costs in real time, by the counter that is real
 * for who is not dilated, beside what the same kernel takes for like work.
 */
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "experiment.h"

#define HOSTS 128
#define READS 200000

static double ticks_per_ns;

static uint64_t counter(void)
{
	return __builtin_ia32_rdtsc();
}

static double real_ns(uint64_t since)
{
	return (double)(counter() - since) / ticks_per_ns;
}

static void calibrate(void)
{
	int64_t start = now();
	uint64_t ticks = counter();

	while (now() < start + 100 * MSEC)
		;
	ticks_per_ns = (double)(counter() - ticks) / (double)(now() - start);
}

static void read_clock(void)
{
	struct timespec ts;
	uint64_t start = counter();

	for (int i = 0; i < READS; i++)
		syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	printf("figure a reading of the clock: %.0f ns\n", real_ns(start) / READS);
}

static void echo(int in, int out)
{
	char byte;

	while (read(in, &byte, 1) == 1)
		CHECK(write(out, &byte, 1) == 1);
	_exit(0);
}

/* Two task switches and two wake-ups. */
static double ping_pong(void)
{
	const int count = 5000;
	int there[2], back[2];
	uint64_t start;
	char byte = 0;
	double ns;

	CHECK(!pipe(there) && !pipe(back));
	if (!fork()) {
		close(there[1]);
		echo(there[0], back[1]);
	}
	start = counter();
	for (int i = 0; i < count; i++)
		CHECK(write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1);
	ns = real_ns(start) / count;
	close(there[1]);
	wait(NULL);
	return ns;
}

static void spin(void *unused)
{
	(void)unused;
	for (;;)
		;
}

static void rest(void *unused)
{
	(void)unused;
	for (;;)
		pause();
}

static void start_hosts(int busy, int idle)
{
	struct kronos_host host = plain_host(1.0);

	initialize(KRONOS_INIT_KILL, (unsigned int)(busy + idle));
	for (int i = 0; i < busy + idle; i++)
		spawn(add_host(&host), i < busy ? spin : rest, NULL);
	freeze();
	progress(MSEC, 20); /* all are where they should be */
}

static void slices(void)
{
	double pipe_ns = ping_pong(), extra;
	struct kronos_module_stats before, after;

	start_hosts(8, 0);
	before = statistics();
	progress(100 * USEC, 500);
	after = statistics();
	stop();
	extra = (double)(after.run_ns - before.run_ns) / (double)(after.slices - before.slices) - 100e3;
	printf("figure a slice of 100 us takes %.1f us more, a ping-pong over pipes %.1f us: %.2f times\n",
	       extra / 1e3, pipe_ns / 1e3, extra / pipe_ns);
}

static void steps(int timers)
{
	struct itimerspec value = { .it_value = { 100000, 0 } };
	const int count = 2000;
	uint64_t start;

	initialize(0, 0);
	for (int i = 0; i < timers; i++) {
		int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

		CHECK(fd >= 0);
		value.it_value.tv_nsec = i;
		CHECK(!timerfd_settime(fd, 0, &value, NULL));
	}
	freeze();
	start = counter();
	for (int i = 0; i < count; i++)
		progress(MSEC, 1);
	printf("figure steps of 1 ms with %d timers pending: %.0f/s\n", timers,
	       count / (real_ns(start) / 1e9));
	stop();
}

static void rounds(int busy, int64_t count)
{
	uint64_t start;

	start_hosts(busy, HOSTS - busy);
	start = counter();
	progress(100 * USEC, count);
	printf("figure rounds of 100 us with %d hosts, %d of them busy: %.0f/s\n", HOSTS, busy,
	       (double)count / (real_ns(start) / 1e9));
	stop();
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	calibrate();
	if (!strcmp(argv[1], "clock"))
		read_clock();
	else if (!strcmp(argv[1], "slices"))
		slices();
	else if (!strcmp(argv[1], "steps"))
		steps(1), steps(1000);
	else
		rounds(0, 100000), rounds(1, 1000), rounds(HOSTS, 20);
	return 0;
}
