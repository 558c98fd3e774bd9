/* SPDX-License-Identifier: MIT */
/*
 * sleep_stops TICKER TASKS N: N times, natively, one of TASKS sleeping processes is woken, in
 * turn, out of a ptrace stop at the entry of its sleep, and sleeps again. A tracer of
 * sleeping hosts cannot do with less.
 */
#include <elf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define TASKS_MAX 1024
#define ENTRY_STOP (SIGTRAP | PTRACE_EVENT_SECCOMP << 8)

static void stop_sleeps(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_nanosleep, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(1);
}

/* A program of its own, as hosts have. */
static pid_t start(const char *ticker)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		raise(SIGSTOP);
		stop_sleeps();
		execl(ticker, ticker, NULL);
		_exit(1);
	}
	if (pid < 0 || waitpid(pid, &status, WUNTRACED) < 0 ||
	    ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP) ||
	    kill(pid, SIGCONT))
		return -1;
	while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status) &&
	       status >> 8 != ENTRY_STOP)
		ptrace(PTRACE_CONT, pid, 0, 0);
	return WIFSTOPPED(status) ? pid : -1;
}

int main(int argc, char **argv)
{
	const struct sched_param below = { .sched_priority = 5 };
	long tasks = argc > 2 ? atol(argv[2]) : 0, count = argc > 3 ? atol(argv[3]) : 0;
	static struct user_regs_struct regs[TASKS_MAX];
	static pid_t pids[TASKS_MAX];
	/* As far as the two that have to be set: what it returns, and that it is no call. */
	struct iovec first = { .iov_len = offsetof(struct user_regs_struct, orig_rax) + 8 };

	if (tasks < 1 || tasks > TASKS_MAX)
		return 1;
	for (long i = 0; i < tasks; i++) {
		pids[i] = start(argv[1]);
		if (pids[i] < 0 || ptrace(PTRACE_GETREGS, pids[i], 0, &regs[i]))
			return 1;
		regs[i].rax = 0;
		regs[i].orig_rax = (unsigned long long)-1;
	}
	/* Below them, it goes on when the one that was woken has stopped. */
	if (sched_setscheduler(0, SCHED_FIFO, &below))
		return 1;
	for (long i = 0; i < count; i++) {
		first.iov_base = &regs[i % tasks];
		if (ptrace(PTRACE_SETREGSET, pids[i % tasks], NT_PRSTATUS, &first) ||
		    ptrace(PTRACE_CONT, pids[i % tasks], 0, 0))
			return 1;
	}
	return 0; /* and they end */
}
