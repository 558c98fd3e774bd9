// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The clock source from which the kernel takes its time. Free, it is the TSC's
 * real time; frozen, a number that the rounds move on. It has no vDSO mode, so
 * that programs ask the kernel, and no further work is needed in them.
 */
#include <linux/clocksource.h>
#include <linux/delay.h>
#include <linux/hardirq.h>
#include <linux/math64.h>
#include <linux/stop_machine.h>
#include <linux/timekeeping.h>
#include <asm/tsc.h>

#include "kronos.h"

#define RATING 499 /* above every device of the kernel's own */

/* Times are CLOCK_MONOTONIC's, which the kernel counts up from our readings. */
static struct {
	bool frozen;
	u64 base;      /* frozen: where the clock stands */
	u64 offset;    /* free: from real time */
	u64 monotonic; /* from what the kernel reads */
	u64 tsc_start;
	u64 ns_per_tick, ticks_per_ns; /* 32.32 */
} clock;

u64 notrace kronos_tsc_to_ns(u64 ticks)
{
	return mul_u64_u64_shr(ticks, clock.ns_per_tick, 32);
}

u64 kronos_ns_to_tsc(u64 ns)
{
	return mul_u64_u64_shr(ns, clock.ticks_per_ns, 32);
}

u64 notrace kronos_real_ns(void)
{
	return kronos_tsc_to_ns(rdtsc_ordered() - clock.tsc_start);
}

bool notrace kronos_frozen(void)
{
	return smp_load_acquire(&clock.frozen); /* pairs with kronos_clock_thaw() */
}

u64 kronos_now(void)
{
	return kronos_frozen() ? READ_ONCE(clock.base) : kronos_real_ns() + clock.offset;
}

u64 kronos_clock_to_tsc(u64 time)
{
	s64 real = time - clock.offset;

	return clock.tsc_start + (real > 0 ? kronos_ns_to_tsc(real) : 0);
}

u64 kronos_clock_ticks(u64 time)
{
	return clock.tsc_start + kronos_ns_to_tsc(time);
}

/*
 * In an interrupt it is the network's clock, not that of the host whose slice
 * was interrupted: the kernel's notion of the last reading must not run ahead.
 */
static u64 notrace kronos_read(struct clocksource *cs)
{
	u64 now;

	if (!kronos_frozen())
		now = kronos_real_ns() + READ_ONCE(clock.offset);
	else if (in_hardirq() || in_nmi())
		now = READ_ONCE(clock.base);
	else
		now = kronos_slice_read();
	return now - clock.monotonic;
}

void kronos_clock_advance(u64 now)
{
	if (now > clock.base)
		WRITE_ONCE(clock.base, now);
}

/* Frozen: what the kernel makes of our reading. */
static void follow_monotonic(void)
{
	u64 off = ktime_get_ns() - clock.base;

	clock.base += off;
	clock.monotonic += off;
}

void kronos_clock_freeze(void)
{
	clock.base = kronos_real_ns() + clock.offset;
	clock.frozen = true;
	follow_monotonic();
}

void kronos_clock_thaw(void)
{
	WRITE_ONCE(clock.offset, clock.base - kronos_real_ns());
	smp_store_release(&clock.frozen, false); /* the offset is there: see kronos_frozen() */
}

static struct clocksource kronos_clocksource = {
	.name = "kronos",
	.rating = RATING,
	.read = kronos_read,
	.mask = CLOCKSOURCE_MASK(64),
	.vdso_clock_mode = VDSO_CLOCKMODE_NONE,
	/* Else the kernel would verify the TSC by this clock. */
	.flags = CLOCK_SOURCE_IS_CONTINUOUS | CLOCK_SOURCE_VALID_FOR_HRES |
		 CLOCK_SOURCE_MUST_VERIFY,
};

/* In stop_machine(). */
static int begin(void *unused)
{
	bool ours;
	u64 first;

	/* Nor is this clock to be verified by another: nothing else knows virtual time. */
	list_del_init(&kronos_clocksource.wd_list);
	kronos_clock_freeze();
	first = ktime_get_ns();
	udelay(1);
	ours = ktime_get_ns() == first;
	kronos_clock_thaw();
	return ours ? 0 : -EBUSY;
}

int kronos_clock_init(void)
{
	int result;

	if (!tsc_khz || check_tsc_unstable()) {
		pr_err("needs a stable TSC; boot with tsc=reliable if it is\n");
		return -ENODEV;
	}
	clock.tsc_start = rdtsc_ordered();
	clock.ns_per_tick = div64_u64(1000000ULL << 32, tsc_khz);
	clock.ticks_per_ns = div64_u64((u64)tsc_khz << 32, 1000000);
	result = clocksource_register_hz(&kronos_clocksource, NSEC_PER_SEC);
	if (result)
		return result;
	result = stop_machine(begin, NULL, NULL);
	if (result) {
		pr_err("the kernel keeps to another clock source; boot without clocksource=\n");
		clocksource_unregister(&kronos_clocksource);
	}
	return result;
}

void kronos_clock_exit(void)
{
	clocksource_unregister(&kronos_clocksource);
}
