// SPDX-License-Identifier: MIT
/*
 * SECCOMP_MODE_STRICT. The kernel refuses it to a task that has a filter, which every
 * dilated one has: it gets a filter that does the same. What that does not allow it
 * leaves to the engine, since the death by a filter would be another one.
 */
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/user.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "inject.h"
#include "strict.h"
#include "stops.h"
#include "task.h"
#include "timed.h"

#define RED_ZONE 128 /* below the stack pointer */

/* A program may rely on its registers. */
static void leave(struct task *task, struct user_regs_struct *regs)
{
	regs->rdi = task->wait.regs.rdi;
	regs->rsi = task->wait.regs.rsi;
	regs->rdx = task->wait.regs.rdx;
	task_set_regs(task, regs);
}

void strict_enter(struct task *task, struct user_regs_struct *regs)
{
	struct {
		struct sock_fprog program;
		struct sock_filter code[7];
	} own = {
		.code = {
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 4, 0),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 3, 0),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 2, 0),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 1, 0),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | FILTER_STRICT),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		},
	};
	uint64_t address = (regs->rsp - RED_ZONE - sizeof(own)) & ~15ull;

	own.program.len = sizeof(own.code) / sizeof(own.code[0]);
	own.program.filter = (struct sock_filter *)(address + offsetof(typeof(own), code));
	if (task_write(task, address, &own, sizeof(own)))
		return; /* the kernel refuses it */
	task->wait.regs = *regs;
	regs->orig_rax = SYS_seccomp;
	regs->rdi = SECCOMP_SET_MODE_FILTER;
	regs->rsi = 0;
	regs->rdx = address;
	task_set_regs(task, regs);
	task->leave = leave;
	task->exit = EXIT_RESULT;
}
