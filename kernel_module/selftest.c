// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Self-tests at load, in a debug build (`make DEBUG=1`): what the other parts
 * rest on. If one fails, the module is not loaded and the test is named.
 */
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/stop_machine.h>

#include "kronos.h"

#define STEP_NS 12345ULL

/* There and back again; a day is long enough. */
static bool conversions_agree(void)
{
	u64 ns;

	for (ns = 1; ns < 86400 * NSEC_PER_SEC; ns *= 7) {
		s64 error = kronos_tsc_to_ns(kronos_ns_to_tsc(ns)) - ns;

		if (abs(error) > 2 + (s64)(ns >> 30))
			return false;
	}
	return true;
}

/*
 * Two counters, each of whose rates the kernel has measured by itself: they
 * agree roughly. Not by mdelay(): a busy virtual machine's may be much shorter.
 */
static bool real_time_agrees(void)
{
	u64 begun = ktime_get_ns(), start = kronos_real_ns(), theirs, ours;

	do {
		cpu_relax();
		theirs = ktime_get_ns() - begun;
	} while (theirs < 5 * NSEC_PER_MSEC);
	ours = kronos_real_ns() - start;
	if (ours >= theirs - theirs / 16 && ours <= theirs + theirs / 16)
		return true;
	pr_err("%llu ns of real time are %llu ns of the time stamp counter\n", theirs, ours);
	return false;
}

/* Who is interrupted between two readings may try again. */
static bool real_time_passes(void)
{
	return real_time_agrees() || real_time_agrees() || real_time_agrees();
}

/* With every other CPU stopped. */
static int step_clock(void *unused)
{
	u64 start, later, last;

	kronos_clock_freeze();
	start = ktime_get_ns();
	udelay(2);
	later = ktime_get_ns();
	kronos_clock_advance(kronos_now() + STEP_NS);
	kronos_clock_advance(kronos_now() - 1); /* never back */
	last = ktime_get_ns();
	kronos_clock_thaw();
	return later == start && last == start + STEP_NS && ktime_get_ns() >= last;
}

static bool frozen_clock_steps(void)
{
	return stop_machine(step_clock, NULL, NULL) == 1;
}

static bool never(void)
{
	return false;
}

static bool always(void)
{
	return true;
}

static bool waits_end(void)
{
	u64 start = kronos_real_ns();

	return kronos_wait_until(always, -1) == 1 && kronos_wait_until(never, 0) == 0 &&
	       kronos_wait_until(never, 5 * NSEC_PER_MSEC) == 0 &&
	       kronos_real_ns() - start >= 5 * NSEC_PER_MSEC &&
	       kronos_wait_fd(NULL, NSEC_PER_MSEC) == 0;
}

static bool nobody_is_dilated(void)
{
	return !kronos_frozen() && !kronos_lp_count() && !kronos_tasks_count(0) &&
	       kronos_gate_earliest() == U64_MAX && !kronos_lp_find(1);
}

static const struct selftest {
	const char *name;
	bool (*passes)(void);
} tests[] = {
	{ "conversions agree", conversions_agree },
	{ "real time passes", real_time_passes },
	{ "frozen clock steps", frozen_clock_steps },
	{ "waits end", waits_end },
	{ "nobody is dilated", nobody_is_dilated },
};

int kronos_selftest(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (!tests[i].passes()) {
			pr_err("self-test failed: %s\n", tests[i].name);
			return -EIO;
		}
	}
	pr_info("%zu self-tests passed\n", ARRAY_SIZE(tests));
	return 0;
}
