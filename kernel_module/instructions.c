// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Instructions in user mode, as the work of hosts. On each CPU one perf counter
 * runs for the whole experiment; a slice takes what is counted in it. When the
 * counter overflows the slice is over: some instructions late, for which its host
 * then waits.
 */
#include <linux/cpu.h>
#include <linux/moduleparam.h>
#include <linux/perf_event.h>
#include <linux/smp.h>

#include "kronos.h"

#define NEVER (1ULL << 40) /* instructions until an overflow that nobody asked for */
#define TEST_LOOPS 10000

static bool page_faults;
module_param(page_faults, bool, 0444);
MODULE_PARM_DESC(page_faults, "Count page faults in place of instructions (for tests without a PMU)");

static bool available;
static bool counting; /* on all CPUs */

static void cut(struct irq_work *work)
{
	kronos_slice_overflown(this_cpu_ptr(&kronos_cpus));
}

/* In an NMI, or wherever a page fault is. */
static void overflow(struct perf_event *event, struct perf_sample_data *data, struct pt_regs *regs)
{
	irq_work_queue(this_cpu_ptr(&kronos_cpus.cut_work));
}

static struct perf_event *create(int cpu, bool kernel)
{
	struct perf_event_attr attr = {
		.type = page_faults ? PERF_TYPE_SOFTWARE : PERF_TYPE_HARDWARE,
		.config = page_faults ? PERF_COUNT_SW_PAGE_FAULTS : PERF_COUNT_HW_INSTRUCTIONS,
		.size = sizeof(attr),
		.sample_period = NEVER,
		.pinned = 1,
		.exclude_kernel = !kernel,
		.exclude_hv = 1,
	};

	return perf_event_create_kernel_counter(&attr, cpu, NULL, overflow, NULL);
}

static u64 notrace read_counter(struct perf_event *event)
{
	event->pmu->read(event);
	return local64_read(&event->count);
}

u64 notrace kronos_instructions(struct kronos_cpu *kc)
{
	return kc->counter ? read_counter(kc->counter) : 0;
}

/* What perf itself does when a period changes. */
void kronos_instructions_arm(struct kronos_cpu *kc, u64 count)
{
	struct perf_event *event = kc->counter;

	if (!event || event->state != PERF_EVENT_STATE_ACTIVE)
		return;
	event->pmu->stop(event, PERF_EF_UPDATE);
	event->hw.interrupts = 0; /* they are no more than we ask for: never too many */
	event->hw.sample_period = count;
	event->hw.last_period = count;
	local64_set(&event->hw.period_left, page_faults ? -(s64)count : 0);
	event->pmu->start(event, PERF_EF_RELOAD);
	event->hw.sample_period = NEVER; /* from the overflow on */
	event->hw.last_period = NEVER;
}

bool kronos_instructions_available(void)
{
	return available;
}

bool kronos_instructions_counting(void)
{
	return READ_ONCE(counting);
}

int kronos_instructions_start(void)
{
	int cpu, result = 0;

	if (!available)
		return -EOPNOTSUPP;
	if (counting)
		return 0;
	WRITE_ONCE(counting, true); /* CPUs stay from here on */
	for_each_online_cpu(cpu) {
		struct perf_event *event = create(cpu, false);

		if (IS_ERR(event)) {
			result = PTR_ERR(event);
			break;
		}
		per_cpu(kronos_cpus.counter, cpu) = event;
	}
	if (result)
		kronos_instructions_stop();
	return result;
}

void kronos_instructions_stop(void)
{
	int cpu;

	if (!counting)
		return;
	for_each_possible_cpu(cpu) {
		struct kronos_cpu *kc = per_cpu_ptr(&kronos_cpus, cpu);

		if (!kc->counter)
			continue;
		perf_event_release_kernel(kc->counter);
		kc->counter = NULL;
		irq_work_sync(&kc->cut_work);
	}
	WRITE_ONCE(counting, false);
}

/* On the event's CPU: one that is there may still not count, in virtual machines for one. */
static void try(void *data)
{
	struct perf_event *event = data;
	u64 before = read_counter(event);
	int i;

	for (i = 0; i < TEST_LOOPS; i++)
		barrier();
	available = event->state == PERF_EVENT_STATE_ACTIVE &&
		    (page_faults || read_counter(event) - before >= TEST_LOOPS);
}

int kronos_instructions_init(void)
{
	struct perf_event *event;
	int cpu;

	for_each_possible_cpu(cpu)
		init_irq_work(&per_cpu(kronos_cpus.cut_work, cpu), cut);
	cpu = cpumask_first(cpu_online_mask);
	event = create(cpu, true);
	if (IS_ERR(event))
		return 0; /* hosts with this counter are refused */
	smp_call_function_single(cpu, try, event, true);
	perf_event_release_kernel(event);
	return 0;
}
