/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Where kernels differ, with the upstream commit that made the difference. */
#ifndef KRONOS_COMPAT_H
#define KRONOS_COMPAT_H

#include <linux/hardirq.h>
#include <linux/interrupt.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "kronos needs Linux 6.1 or later"
#endif
#ifndef CONFIG_X86_64
#error "kronos runs on x86-64 only"
#endif
#ifdef CONFIG_PREEMPT_RT
#error "kronos does not run on PREEMPT_RT kernels: their interrupts and softirqs are threads"
#endif
#ifdef CONFIG_CFI_CLANG
#error "kronos does not run on kernels with CFI_CLANG: its probes leave arguments out"
#endif
#if !defined(CONFIG_KPROBES) || !defined(CONFIG_TRACEPOINTS) || \
	!defined(CONFIG_HIGH_RES_TIMERS) || !defined(CONFIG_NO_HZ_COMMON) || \
	!defined(CONFIG_HAVE_STATIC_CALL) || !defined(CONFIG_TASKS_RCU)
#error "kronos needs KPROBES, TRACEPOINTS, HIGH_RES_TIMERS, NO_HZ_COMMON, STATIC_CALL, TASKS_RCU"
#endif

/* Another CPU's preempt count and pending softirqs. */
static inline unsigned int kronos_preempt_count_of(int cpu)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0) && LINUX_VERSION_CODE < KERNEL_VERSION(6, 15, 0)
	/* 64701838bf05 ("x86/percpu: Move preempt_count next to current_task") */
	return READ_ONCE(per_cpu(pcpu_hot.preempt_count, cpu));
#else
	/* 46e8fff6d45f ("x86/preempt: Move preempt count to percpu hot section") */
	return READ_ONCE(per_cpu(__preempt_count, cpu));
#endif
}

static inline unsigned int kronos_softirqs_of(int cpu)
{
	/* A macro, since what it is named after has moved twice. */
	return READ_ONCE(per_cpu(local_softirq_pending_ref, cpu));
}

/* Whether a task that sched_switch shows leaving in this state really sleeps. */
static inline bool kronos_has_blocked(struct task_struct *prev, bool preempt, unsigned int state)
{
	if (preempt || !state)
		return false;
	if (!READ_ONCE(prev->on_rq))
		return true;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
	/* 152e11f6df29 ("sched/fair: Implement delayed dequeue") */
	return prev->se.sched_delayed;
#else
	return false;
#endif
}

/* Whether a task that does not run now wants to. */
static inline bool kronos_is_runnable(struct task_struct *task)
{
	if (!READ_ONCE(task->on_rq))
		return READ_ONCE(task->__state) == TASK_WAKING;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
	return !task->se.sched_delayed;
#else
	return true;
#endif
}

/* Exported, but declared only inside kernel/rcu. */
void rcu_force_quiescent_state(void);

#endif /* KRONOS_COMPAT_H */
