// SPDX-License-Identifier: MIT
/*
 * How much slower than real time virtual time goes on while hosts have work:
 * a power of two, so that it seldom changes. Where the kernel's TCP timers,
 * which are in real time, have to be waited for, it goes on as slowly, and the
 * timers are made as much longer (tcp_rto.c). So to TCP all time is alike.
 */
#include "engine.h"
#include "pace.h"

#define SPAN (20 * NSEC_PER_MSEC) /* of real time, looked at together */
#define SLOWNESS_MAX 32

void pace_note(struct pace *pace, int64_t real, int64_t passed)
{
	uint32_t slowness = pace->slowness;

	pace->real += real;
	pace->passed += passed;
	if (pace->real < SPAN)
		return;
	while (slowness < SLOWNESS_MAX && pace->real > pace->passed * slowness * 3 / 2)
		slowness *= 2;
	while (slowness > 1 && pace->real < pace->passed * slowness * 3 / 5)
		slowness /= 2;
	pace->slowness = slowness;
	pace->real /= 2;
	pace->passed /= 2;
}
