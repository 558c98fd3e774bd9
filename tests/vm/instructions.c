// SPDX-License-Identifier: MIT
/*
 * Hosts whose clocks move with instructions, by a counter that stands in for the
 * processor's: the module counts page faults in user mode (instructions.sh). Of
 * these a program makes as many as it wants. `refused`: there is no counter.
 */
#include <errno.h>
#include <math.h>
#include <sys/mman.h>

#include "experiment.h"

#define PAGE 4096L
#define PAGES 64
#define TIMESTEP (100 * USEC)
#define COST 7000 /* ns of virtual time for each */
#define CHEAP 20
#define ROUNDS 100
#define OTHERS 12 /* faults that a program makes besides */

struct shared {
	_Atomic long faults[3];
	int64_t elapsed;
};

static struct shared *shared;
static char *pages;

static struct kronos_host counted_host(double cost)
{
	struct kronos_host host = plain_host(1 / cost);

	host.counter = KRONOS_MODULE_INSTRUCTIONS;
	return host;
}

static void forget_pages(void)
{
	CHECK(!madvise(pages, PAGES * PAGE, MADV_DONTNEED));
}

static void touch(int page)
{
	*(volatile char *)(pages + page * PAGE) = 1;
}

static void make_faults(void *counter)
{
	_Atomic long *faults = counter;

	for (;;) {
		forget_pages();
		for (int i = 0; i < PAGES; i++) {
			++*faults;
			touch(i);
		}
	}
}

static void measure_faults(void *unused)
{
	(void)unused;
	for (int i = 0; i < 3; i++) { /* what the program itself needs is there after the first time */
		int64_t start = now();

		forget_pages();
		for (int page = 0; page < PAGES; page++)
			touch(page);
		shared->elapsed = now() - start;
	}
}

static void clock_follows(void)
{
	struct kronos_host host = counted_host(COST);

	initialize(KRONOS_INIT_KILL, 1);
	host.cores = 1;
	pid_t pid = spawn(add_host(&host), measure_faults, NULL);
	freeze();
	CHECK(!run_to_end(pid, TIMESTEP, 1000));
	stop();
	printf("%d faults took %lld ns\n", PAGES, (long long)shared->elapsed);
	/* The kernel's clock may round down. */
	CHECK(shared->elapsed == PAGES * COST || shared->elapsed == PAGES * COST - 1);
}

/* Each host's clock moves with its own faults; it is cut at the round's end, or has to wait later. */
static void budget_is_kept(void)
{
	static const double costs[] = { COST, COST / 4.0, COST * 3.0 };
	struct kronos_module_stats stats;
	int64_t clock[3];
	long before[3];

	initialize(KRONOS_INIT_KILL, 3);
	for (int i = 0; i < 3; i++) {
		struct kronos_host host = counted_host(costs[i]);

		spawn(add_host(&host), make_faults, &shared->faults[i]);
	}
	freeze();
	progress(TIMESTEP, 10);
	for (int i = 0; i < 3; i++) {
		before[i] = shared->faults[i];
		clock[i] = virtual_time(i + 1);
	}
	progress(TIMESTEP, ROUNDS);
	for (int i = 0; i < 3; i++) {
		double passed = (double)(virtual_time(i + 1) - clock[i]);
		double made = (double)(shared->faults[i] - before[i]);

		printf("%.0f faults, %.1f by the host's clock, which has passed %.0f ns\n", made,
		       passed / costs[i], passed);
		CHECK(fabs(made - passed / costs[i]) < OTHERS);
		CHECK(fabs(passed - ROUNDS * TIMESTEP) < 2 * TIMESTEP);
	}
	stats = statistics();
	printf("%llu slices, %llu cuts, at most %lld ns too long\n", stats.slices, stats.cuts,
	       (long long)stats.max_overrun_ns);
	CHECK(stats.cuts >= 3 * ROUNDS && stats.cuts < 6 * ROUNDS);
	stop();
}

/* A window of so many faults that the machine's own interrupts come in between, again and again. */
static void interrupts_give_nothing(void)
{
	struct kronos_host host = counted_host(CHEAP);
	int64_t clock;
	long before;

	initialize(KRONOS_INIT_KILL, 1);
	spawn(add_host(&host), make_faults, &shared->faults[0]);
	freeze();
	progress(TIMESTEP, 1);
	before = shared->faults[0];
	clock = virtual_time(1);
	progress(TIMESTEP, 2);
	double made = (double)(shared->faults[0] - before);
	double passed = (double)(virtual_time(1) - clock);

	printf("%.0f faults in two windows of %lld\n", made, (long long)TIMESTEP / CHEAP);
	CHECK(fabs(made - passed / CHEAP) < OTHERS);
	CHECK(fabs(passed - 2 * TIMESTEP) < OTHERS * CHEAP);
	stop();
}

/* Two tasks of one host: they take turns of a millisecond of its clock. */
static void tasks_take_turns(void)
{
	struct kronos_host host = counted_host(COST);
	long made[2], before[2];
	int id;

	initialize(KRONOS_INIT_KILL, 2);
	id = add_host(&host);
	for (int i = 0; i < 2; i++)
		spawn(id, make_faults, &shared->faults[i]);
	freeze();
	progress(TIMESTEP, 10);
	for (int i = 0; i < 2; i++)
		before[i] = shared->faults[i];
	progress(TIMESTEP, ROUNDS);
	for (int i = 0; i < 2; i++)
		made[i] = shared->faults[i] - before[i];
	printf("%ld and %ld faults by two tasks\n", made[0], made[1]);
	CHECK(labs(made[0] + made[1] - ROUNDS * TIMESTEP / COST) < TIMESTEP / COST + OTHERS);
	CHECK(labs(made[0] - made[1]) < 3 * MSEC / COST);
	stop();
}

static void is_refused(void)
{
	struct kronos_host host = counted_host(COST);
	struct kronos_info info = { .size = sizeof(info) };

	initialize(0, 0);
	CHECK(!ioctl(device, KRONOS_IOC_INFO, &info));
	CHECK(!(info.features & KRONOS_FEATURE_INSTRUCTIONS));
	CHECK(ioctl(device, KRONOS_IOC_ADD_HOST, &host) == -1 && errno == EOPNOTSUPP);
	stop();
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "refused")) {
		is_refused();
		return success();
	}
	setlinebuf(stdout);
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED && pages != MAP_FAILED);
	memset(shared, 0, sizeof(*shared));
	clock_follows();
	budget_is_kept();
	interrupts_give_nothing();
	tasks_take_turns();
	return success();
}
