// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Rounds. A round is one or more windows: each ends at the kernel's next timer,
 * or with the round. In a window every host that has work runs by itself until
 * its own clock reaches the window's end; then the network's clock moves there,
 * timers that are due fire, and all that they set going comes to rest.
 */
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/smp.h>
#include <linux/stop_machine.h>
#include <linux/timekeeping.h>

#include "compat.h"
#include "kronos.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

struct kronos_module_stats kronos_stats;

static bool started; /* frozen at least once since the experiment began */
static u64 origin;   /* the clock at the first freeze */
static bool interrupted;
static struct {
	struct timespec64 wall; /* CLOCK_REALTIME ... */
	u64 real;		/* ... at this real time */
} before;

s64 kronos_rounds_virtual(u64 now)
{
	return started ? now - origin : 0;
}

void kronos_rounds_interrupt(void)
{
	WRITE_ONCE(interrupted, true);
}

/* ---- freeze and thaw --------------------------------------------------------- */

static void catch_task(struct kronos_task *t)
{
	clear_bit(KRONOS_HELD, &t->flags);
	kronos_gate_arrive(t); /* it may have been on its way at the thaw */
	kronos_gate_arm(t);
}

struct freezing {
	atomic_t arrived, done;
};

/* In stop_machine(), on every CPU; the first one changes what is common. */
static int freeze_cpu(void *data)
{
	struct freezing *freezing = data;

	kronos_slice_none(); /* what the thaw has left: that task may be gone */
	if (atomic_inc_return(&freezing->arrived) == 1) {
		kronos_clock_freeze();
		kronos_quiet_start();
		kronos_tasks_for_each(catch_task);
		atomic_set_release(&freezing->done, 1);
	}
	while (!atomic_read_acquire(&freezing->done))
		cpu_relax();
	kronos_events_switch();
	return 0;
}

int kronos_rounds_freeze(s64 epoch)
{
	struct freezing freezing = { 0 };
	int result;

	if (!started) {
		ktime_get_real_ts64(&before.wall);
		before.real = kronos_real_ns();
	}
	result = stop_machine(freeze_cpu, &freezing, cpu_online_mask);
	if (result)
		return result;
	if (!started) {
		started = true;
		origin = kronos_now();
		if (epoch >= 0) {
			struct timespec64 wall = ns_to_timespec64(epoch);

			do_settimeofday64(&wall);
		}
	}
	return kronos_quiet_wait();
}

static void thaw_cpu(void *unused)
{
	kronos_events_switch();
}

/*
 * Not in stop_machine(): that waits for who takes a CPU away, and he may wait
 * for virtual time. Whoever still sees the clock frozen sees it where it stood.
 */
void kronos_rounds_thaw(void)
{
	kronos_clock_advance(kronos_lp_latest());
	kronos_clock_thaw();
	on_each_cpu(thaw_cpu, NULL, true);
	kronos_gate_release();
	kronos_wait_poke(); /* whose deadlines the real tick has watched */
}

void kronos_rounds_end(void)
{
	struct timespec64 wall = before.wall;

	if (kronos_frozen())
		kronos_rounds_thaw();
	if (started) {
		timespec64_add_ns(&wall, kronos_real_ns() - before.real);
		do_settimeofday64(&wall);
	}
	started = false;
}

/* ---- progress ------------------------------------------------------------------ */

/* Lets happen what is due now, and all that follows from it. */
static int settle(void)
{
	u64 start, spent;
	int result;

	do {
		start = kronos_real_ns();
		kronos_events_fire();
		result = kronos_quiet_wait();
		spent = kronos_real_ns() - start;
		kronos_stats.quiesce_ns += spent;
		kronos_debug_phase(KRONOS_PHASE_SETTLE, spent);
		trace_kronos_settle(kronos_now(), spent);
	} while (!result && kronos_events_next() <= kronos_now());
	return result;
}

static int run_window(u64 end)
{
	u64 start = kronos_real_ns(), spent;
	int result;

	kronos_stats.windows++;
	kronos_gate_open(end);
	result = kronos_quiet_wait();
	spent = kronos_real_ns() - start;
	kronos_stats.run_ns += spent;
	kronos_debug_phase(KRONOS_PHASE_WINDOW, spent);
	trace_kronos_window(kronos_gate_end(), spent);
	return result;
}

/* Up to `end`; everything is settled at the start and at the end. */
static int run_to(u64 end)
{
	int result = 0;

	while (!result && kronos_now() < end) {
		u64 window = min3(end, kronos_events_next(), kronos_disks_next());

		if (kronos_gate_earliest() < window)
			result = run_window(window);
		if (!result) {
			kronos_clock_advance(min(window, kronos_events_next()));
			result = settle();
		}
	}
	return result;
}

/* Rounds that pass with nothing in them. */
static s64 idle_rounds(s64 timestep, s64 most)
{
	u64 next = min(kronos_events_next(), kronos_gate_earliest());
	s64 idle = next - kronos_now() - 1;

	return idle > 0 && !kronos_disks_waiting() ? min(idle / timestep, most) : 0;
}

static bool is_readable(struct file *file)
{
	return file && (vfs_poll(file, NULL) & (EPOLLIN | EPOLLHUP | EPOLLERR));
}

static int one_step(struct kronos_progress *progress)
{
	s64 idle;
	int result = 0;

	idle = idle_rounds(progress->timestep_ns, progress->rounds - progress->done);
	if (idle > 0) {
		trace_kronos_skip(kronos_now(), idle);
		kronos_clock_advance(kronos_now() + idle * progress->timestep_ns);
		kronos_stats.rounds_skipped += idle;
		progress->done += idle;
	} else {
		result = run_to(kronos_now() + progress->timestep_ns);
		progress->done++;
	}
	return result;
}

int kronos_rounds_progress(struct kronos_progress *progress, struct file *until)
{
	u64 start = kronos_real_ns();
	int result;

	WRITE_ONCE(interrupted, false);
	progress->done = 0;
	progress->end = KRONOS_END_ROUNDS;
	kronos_gate_open(kronos_now());
	result = settle();
	while (!result && progress->done < progress->rounds) {
		if (is_readable(until)) {
			progress->end = KRONOS_END_READY;
			break;
		}
		if (READ_ONCE(interrupted) || signal_pending(current)) {
			progress->end = KRONOS_END_INTERRUPTED;
			break;
		}
		result = one_step(progress);
		cond_resched();
	}
	if (!result && progress->end == KRONOS_END_ROUNDS && is_readable(until))
		progress->end = KRONOS_END_READY;
	kronos_gate_close();
	kronos_stats.rounds += progress->done;
	kronos_stats.total_ns += kronos_real_ns() - start;
	progress->now_ns = kronos_rounds_virtual(kronos_now());
	return result;
}
