// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * rdtsc of dilated tasks. The CPU is told to refuse it to them; the fault is
 * caught where the kernel looks for an exception of the vDSO's, and the answer
 * is the virtual time in ticks of the real counter.
 */
#include <linux/kprobes.h>
#include <linux/sched/task_stack.h>
#include <linux/uaccess.h>
#include <asm/tlbflush.h>
#include <asm/trapnr.h>

#include "kronos.h"

static bool caught; /* the probe is there */

bool kronos_tsc_virtual(void)
{
	return caught;
}

/* Returns the instruction's length, 0 if it is another one. */
static int rdtsc_length(const struct pt_regs *regs)
{
	u8 code[3];

	if (copy_from_user_nofault(code, (void __user *)regs->ip, sizeof(code)) &&
	    copy_from_user_nofault(code, (void __user *)regs->ip, 2))
		return 0;
	if (code[0] == 0x0f && code[1] == 0x31)
		return 2;
	return code[0] == 0x0f && code[1] == 0x01 && code[2] == 0xf9 ? 3 : 0;
}

static bool emulate(struct pt_regs *regs)
{
	int length = rdtsc_length(regs);
	u64 ticks;

	if (!length)
		return false;
	ticks = kronos_clock_ticks(kronos_frozen() ? kronos_slice_now() : kronos_now());
	regs->ax = lower_32_bits(ticks);
	regs->dx = upper_32_bits(ticks);
	if (length == 3) /* rdtscp: which CPU is nobody's business */
		regs->cx = 0;
	regs->ip += length;
	return true;
}

/* Runs in the place of the probed function. */
static noinline notrace bool handled(void)
{
	return true;
}

/* bool fixup_vdso_exception(struct pt_regs *regs, int trap, ...): true for what is ours. */
static int on_exception(struct kprobe *probe, struct pt_regs *regs)
{
	if (regs->si != X86_TRAP_GP || !test_thread_flag(TIF_NOTSC) || !kronos_task_find(current))
		return 0;
	if (!emulate((struct pt_regs *)regs->di))
		return 0;
	regs->ip = (unsigned long)handled;
	return 1;
}

static struct kprobe probe = {
	.symbol_name = "fixup_vdso_exception",
	.pre_handler = on_exception,
};

void kronos_tsc_trap(void)
{
	if (!caught)
		return;
	preempt_disable();
	if (!test_and_set_thread_flag(TIF_NOTSC))
		cr4_set_bits(X86_CR4_TSD);
	preempt_enable();
}

/* When the task is put on a CPU the next time, the kernel sets that to rights. */
void kronos_tsc_release(struct kronos_task *t)
{
	clear_tsk_thread_flag(t->task, TIF_NOTSC);
}

int kronos_tsc_init(void)
{
	caught = !register_kprobe(&probe);
	if (!caught)
		pr_info("rdtsc stays real: this kernel has no %s()\n", probe.symbol_name);
	return 0;
}

void kronos_tsc_exit(void)
{
	if (caught)
		unregister_kprobe(&probe);
}
