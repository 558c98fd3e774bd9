// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Timer interrupts. On each CPU a clock event device of ours takes the place of
 * the local APIC's timer and uses that one itself. Free, it passes the kernel's
 * requests on. Frozen, it only remembers when the kernel wants its interrupt, on
 * the virtual clock; the rounds bring it. The real timer then has two other
 * tasks: to end slices, and a slow tick that keeps the scheduler and RCU alive.
 */
#include <linux/clockchips.h>
#include <linux/cpuhotplug.h>
#include <linux/interrupt.h>
#include <linux/nmi.h>
#include <asm/irq_regs.h>
#include <asm/msr.h>

#include "compat.h"
#include "kronos.h"

#define RATING 999
#define REAL_TICK_NS (NSEC_PER_SEC / HZ)
#define RCU_TICKS 8 /* real ticks between kicks for RCU's idle CPUs */

DEFINE_PER_CPU(struct kronos_cpu, kronos_cpus);
static int online_state, prepare_state;

/* ---- the real timer ------------------------------------------------------- */

/* An earlier interrupt that is set already will look again: leave it. */
static void arm(struct kronos_cpu *kc, u64 tsc)
{
	struct clock_event_device *lapic = kc->lapic;
	s64 ticks = tsc - rdtsc();
	u64 delta;

	if (kc->armed <= tsc)
		return;
	kc->armed = tsc;
	delta = ticks > 0 ? kronos_tsc_to_ns(ticks) : 0;
	delta = clamp_t(u64, delta, lapic->min_delta_ns, lapic->max_delta_ns);
	lapic->set_next_event((delta * lapic->mult) >> lapic->shift, lapic);
}

static void arm_frozen(struct kronos_cpu *kc)
{
	u64 tsc = kc->tick;

	if (kc->task)
		tsc = min(tsc, kc->cut);
	if (kc->next <= kronos_now())
		tsc = 0;
	arm(kc, tsc);
}

static void arm_free(struct kronos_cpu *kc)
{
	if (kc->next != KTIME_MAX)
		arm(kc, kronos_clock_to_tsc(kc->next));
}

void kronos_events_arm_cut(struct kronos_cpu *kc)
{
	if (kc->cut < kc->tick)
		arm(kc, kc->cut);
}

static void fire(struct kronos_cpu *kc)
{
	WRITE_ONCE(kc->next, KTIME_MAX);
	kc->device.event_handler(&kc->device);
}

/* Without it nothing would preempt, and no grace period would ever end. */
static void real_tick(struct kronos_cpu *kc)
{
	static atomic_t ticks;

	kc->tick = rdtsc() + kronos_ns_to_tsc(REAL_TICK_NS);
	kronos_update_process_times(user_mode(get_irq_regs()));
	touch_softlockup_watchdog();
	if (atomic_inc_return(&ticks) % RCU_TICKS == 0)
		rcu_force_quiescent_state();
	kronos_wait_tick();
	kronos_quiet_tick();
}

static void frozen_interrupt(struct kronos_cpu *kc)
{
	if (kc->next <= kronos_now())
		fire(kc);
	if (rdtsc() >= kc->tick) {
		kronos_slice_pause();
		real_tick(kc);
		kronos_slice_resume();
	}
	if (kc->task && rdtsc() >= kc->cut)
		kronos_slice_expired(kc);
	arm_frozen(kc);
}

static void free_interrupt(struct kronos_cpu *kc)
{
	if (kc->next <= kronos_now())
		fire(kc);
	arm_free(kc);
}

/* The local APIC's timer; interrupts are off. */
static void interrupt(struct clock_event_device *lapic)
{
	struct kronos_cpu *kc = this_cpu_ptr(&kronos_cpus);

	kc->armed = U64_MAX;
	if (kronos_frozen())
		frozen_interrupt(kc);
	else
		free_interrupt(kc);
}

void kronos_events_switch(void)
{
	struct kronos_cpu *kc = this_cpu_ptr(&kronos_cpus);

	if (!kc->lapic)
		return;
	kc->armed = U64_MAX;
	kc->tick = rdtsc() + kronos_ns_to_tsc(REAL_TICK_NS);
	if (kronos_frozen())
		arm_frozen(kc);
	else
		arm_free(kc);
}

/* ---- the virtual timer ---------------------------------------------------- */

static struct kronos_cpu *cpu_of(struct clock_event_device *device)
{
	return container_of(device, struct kronos_cpu, device);
}

static int set_next_ktime(ktime_t expires, struct clock_event_device *device)
{
	struct kronos_cpu *kc = cpu_of(device);

	WRITE_ONCE(kc->next, expires);
	if (!kronos_frozen())
		arm_free(kc);
	else if (kc->next <= kronos_now())
		arm(kc, 0);
	else
		kronos_gate_shorten(kc->next);
	return 0;
}

static int set_stopped(struct clock_event_device *device)
{
	WRITE_ONCE(cpu_of(device)->next, KTIME_MAX);
	return 0;
}

/* The kernel has just let go of the local APIC's timer. */
static int set_oneshot(struct clock_event_device *device)
{
	struct kronos_cpu *kc = cpu_of(device);

	if (kc->lapic->event_handler == interrupt)
		return 0;
	kc->armed = U64_MAX;
	kc->tick = rdtsc() + kronos_ns_to_tsc(REAL_TICK_NS);
	kc->lapic->event_handler = interrupt;
	kc->lapic->set_state_oneshot(kc->lapic);
	if (kronos_frozen())
		arm_frozen(kc);
	return 0;
}

u64 kronos_events_next(void)
{
	u64 next = KTIME_MAX;
	int cpu;

	for_each_online_cpu(cpu)
		next = min(next, READ_ONCE(per_cpu(kronos_cpus.next, cpu)));
	return next;
}

unsigned int kronos_events_fire(void)
{
	u64 now = kronos_now();
	unsigned int count = 0;
	int cpu;

	for_each_online_cpu(cpu) {
		struct kronos_cpu *kc = per_cpu_ptr(&kronos_cpus, cpu);
		struct clock_event_device *lapic;

		if (READ_ONCE(kc->next) > now)
			continue;
		lapic = READ_ONCE(kc->lapic);
		if (!lapic)
			continue;
		/* The real thing, so that the kernel finds it was interrupted. */
		lapic->broadcast(cpumask_of(cpu));
		count++;
		while (READ_ONCE(kc->next) <= now && cpu_online(cpu))
			cpu_relax();
	}
	kronos_stats.events += count;
	return count;
}

/* ---- CPUs come and go ----------------------------------------------------- */

static bool usable(struct clock_event_device *lapic, unsigned int cpu)
{
	const unsigned int needed = CLOCK_EVT_FEAT_ONESHOT;

	if (lapic && (lapic->features & (needed | CLOCK_EVT_FEAT_DUMMY)) == needed && lapic->broadcast &&
	    lapic->set_next_event && lapic->set_state_oneshot && strstarts(lapic->name, "lapic"))
		return true;
	pr_err("CPU %u's timer is %s; needs the local APIC's\n", cpu,
	       lapic ? lapic->name : "missing");
	return false;
}

/*
 * While the clock stands, CPUs stay: to bring one up or down waits for timers in
 * ways that differ between kernels. A freeze waits until none is on its way.
 */
static int refuse_frozen(unsigned int cpu)
{
	return kronos_frozen() || kronos_instructions_counting() ? -EBUSY : 0;
}

/* On the CPU itself, as the next one. */
static int take_over(unsigned int cpu)
{
	struct kronos_cpu *kc = per_cpu_ptr(&kronos_cpus, cpu);
	struct clock_event_device *lapic = kronos_tick_device(cpu);
	unsigned int features;

	if (!usable(lapic, cpu))
		return -EOPNOTSUPP;
	kc->lapic = lapic;
	kc->next = KTIME_MAX;
	kc->device = (struct clock_event_device){
		.name = "kronos",
		.features = CLOCK_EVT_FEAT_ONESHOT | CLOCK_EVT_FEAT_KTIME,
		.rating = RATING,
		.irq = -1,
		.cpumask = cpumask_of(cpu),
		.mult = 1,
		.min_delta_ns = 1,
		.max_delta_ns = KTIME_MAX,
		.set_next_ktime = set_next_ktime,
		.set_state_shutdown = set_stopped,
		.set_state_oneshot = set_oneshot,
		.set_state_oneshot_stopped = set_stopped,
	};
	/* Else the kernel would make the one that it lets go of its broadcast device. */
	features = lapic->features;
	lapic->features |= CLOCK_EVT_FEAT_C3STOP;
	clockevents_register_device(&kc->device);
	lapic->features = features;
	return 0;
}

static int give_back(unsigned int cpu)
{
	struct kronos_cpu *kc = per_cpu_ptr(&kronos_cpus, cpu);

	if (kronos_frozen() || kronos_instructions_counting())
		return -EBUSY;
	if (!kc->lapic)
		return 0;
	clockevents_unbind_device(&kc->device, cpu);
	WRITE_ONCE(kc->lapic, NULL);
	WRITE_ONCE(kc->next, KTIME_MAX);
	return 0;
}

int kronos_events_init(void)
{
	int cpu, result;

	for_each_possible_cpu(cpu) {
		struct kronos_cpu *kc = per_cpu_ptr(&kronos_cpus, cpu);

		kc->next = KTIME_MAX;
		init_irq_work(&kc->wake_work, kronos_gate_wake);
	}
	result = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "kronos:online", take_over, give_back);
	if (result < 0)
		return result;
	online_state = result;
	result = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN, "kronos:prepare", refuse_frozen, NULL);
	if (result < 0) {
		cpuhp_remove_state(online_state);
		return result;
	}
	prepare_state = result;
	return 0;
}

void kronos_events_exit(void)
{
	cpuhp_remove_state_nocalls(prepare_state);
	cpuhp_remove_state(online_state);
}
