// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Functions that the kernel has and does not export. A kprobe finds where they
 * are. They are called by static calls: with indirect branch tracking a pointer
 * to a function whose address the kernel itself never takes would fault.
 */
#include <linux/kprobes.h>
#include <linux/static_call.h>

#include "kronos.h"

/* The types are all that is said of them. A tick device's first member is the event device. */
DEFINE_STATIC_CALL_NULL(kronos_tick_get_device, *(struct clock_event_device **(*)(int cpu))NULL);
DEFINE_STATIC_CALL_NULL(kronos_process_times, *(void (*)(int user))NULL);
DEFINE_STATIC_CALL_NULL(kronos_work_add, task_work_add);
DEFINE_STATIC_CALL_NULL(kronos_work_cancel, task_work_cancel_match);

static void *find(const char *name)
{
	struct kprobe probe = { .symbol_name = name };
	void *address;

	if (register_kprobe(&probe)) {
		pr_err("this kernel has no %s(); see docs/kernel-engine.md for kernels that work\n",
		       name);
		return NULL;
	}
	address = probe.addr;
	unregister_kprobe(&probe);
	return address;
}

int kronos_symbols_find(void)
{
	void *tick_get_device = find("tick_get_device");
	void *update_process_times = find("update_process_times");
	void *work_add = find("task_work_add");
	void *work_cancel = find("task_work_cancel_match");

	if (!tick_get_device || !update_process_times || !work_add || !work_cancel)
		return -ENOENT;
	static_call_update(kronos_tick_get_device, tick_get_device);
	static_call_update(kronos_process_times, update_process_times);
	static_call_update(kronos_work_add, work_add);
	static_call_update(kronos_work_cancel, work_cancel);
	return 0;
}

struct clock_event_device *kronos_tick_device(int cpu)
{
	return *static_call(kronos_tick_get_device)(cpu);
}

void kronos_update_process_times(int user)
{
	static_call(kronos_process_times)(user);
}

int kronos_task_work_add(struct task_struct *task, struct callback_head *work)
{
	return static_call(kronos_work_add)(task, work, TWA_RESUME);
}

static bool is_this(struct callback_head *work, void *wanted)
{
	return work == wanted;
}

bool kronos_task_work_cancel(struct task_struct *task, struct callback_head *work)
{
	return static_call(kronos_work_cancel)(task, is_this, work);
}
