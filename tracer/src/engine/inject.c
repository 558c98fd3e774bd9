// SPDX-License-Identifier: MIT
/*
 * What the engine puts into a dilated process: at each exec one page of code
 * and the clock page behind it, and jumps from the vDSO's clock functions to
 * that code. The clock page is shared with the engine and, after a fork, with
 * the child; they are of one host, and one task of it runs at a time.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine.h"
#include "host.h"
#include "inject.h"
#include "prctls.h"
#include "stops.h"
#include "task.h"
#include "tsc.h"

#define ENTRY_SIZE 16 /* see vclock/entry.S */

extern const uint8_t vclock_code[], vclock_code_end[];

/* The vDSO's functions that are replaced: names, and offsets in the image. */
static struct {
	const char *name;
	uint64_t offset;
} replaced[] = {
	{ "__vdso_clock_gettime", 0 },
	{ "__vdso_gettimeofday", 0 },
	{ "__vdso_time", 0 },
};
#define REPLACED (sizeof(replaced) / sizeof(replaced[0]))

static uint64_t vdso_syscall; /* offset of some syscall instruction */

int task_read(const struct task *task, uint64_t address, void *data, size_t size)
{
	struct iovec local = { data, size };
	struct iovec remote = { (void *)address, size };

	return process_vm_readv(task->tid, &local, 1, &remote, 1, 0) ==
			       (ssize_t)size ?
		       0 :
		       -EFAULT;
}

int task_write(const struct task *task, uint64_t address, const void *data,
	       size_t size)
{
	struct iovec local = { (void *)(uintptr_t)data, size };
	struct iovec remote = { (void *)address, size };

	return process_vm_writev(task->tid, &local, 1, &remote, 1, 0) ==
			       (ssize_t)size ?
		       0 :
		       -EFAULT;
}

int task_open_memory(const struct task *task)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/mem", task->tid);
	return open(path, O_RDWR | O_CLOEXEC);
}

bool memory_write(int memory, uint64_t address, const void *data, size_t size)
{
	return pwrite(memory, data, size, (off_t)address) == (ssize_t)size;
}

/* Every 64-bit process has the same image as this one. */
void inject_init(void)
{
	const uint8_t *image = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)image;
	const Elf64_Shdr *section, *strings;
	const Elf64_Sym *symbols;
	size_t size = 0;

	engine_assert(image);
	section = (const Elf64_Shdr *)(image + header->e_shoff);
	for (int i = 0; i < header->e_shnum; i++) {
		if (section[i].sh_offset + section[i].sh_size > size &&
		    section[i].sh_type != SHT_NOBITS)
			size = section[i].sh_offset + section[i].sh_size;
		if (section[i].sh_type != SHT_DYNSYM)
			continue;
		strings = &section[section[i].sh_link];
		symbols = (const Elf64_Sym *)(image + section[i].sh_offset);
		for (size_t s = 0; s < section[i].sh_size / sizeof(*symbols); s++)
			for (size_t r = 0; r < REPLACED; r++)
				if (!strcmp((const char *)image +
						    strings->sh_offset +
						    symbols[s].st_name,
					    replaced[r].name))
					replaced[r].offset = symbols[s].st_value;
	}
	for (size_t i = 0; i + 1 < size && !vdso_syscall; i++)
		if (image[i] == 0x0f && image[i + 1] == 0x05)
			vdso_syscall = i;
	engine_assert(vdso_syscall && replaced[0].offset);
}

static uint64_t vdso_base(pid_t tid)
{
	Elf64_auxv_t auxv[64];
	char path[32];
	ssize_t size;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/auxv", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	size = read(fd, auxv, sizeof(auxv));
	close(fd);
	for (ssize_t i = 0; i < size / (ssize_t)sizeof(auxv[0]); i++)
		if (auxv[i].a_type == AT_SYSINFO_EHDR)
			return auxv[i].a_un.a_val;
	return 0;
}

/* Takes the task's next stop; not its end, which is left for task_drain() to see. */
static bool await_stop(const struct task *task, int *status)
{
	siginfo_t info;

	return !waitid(P_PID, (id_t)task->tid, &info,
		       WSTOPPED | WEXITED | WNOWAIT | __WALL | __WNOTHREAD) &&
	       info.si_code == CLD_TRAPPED && info.si_status >> 8 != PTRACE_EVENT_EXIT &&
	       waitpid(task->tid, status, __WALL | __WNOTHREAD) == task->tid;
}

/*
 * Makes the stopped task do a system call by stepping over its instruction;
 * `regs` has the arguments, and takes the result. -ESRCH if it has been killed.
 */
static int64_t remote_call(struct task *task, struct user_regs_struct *regs, int64_t nr)
{
	uint64_t address = regs->rip;
	int status, tries = 0;

	regs->rax = (uint64_t)nr;
	regs->orig_rax = (uint64_t)-1;
	task_set_regs(task, regs);
	stop_forget(task);
	/* SIGSTOP, if it was pending already, stops it before the step: once more. */
	do {
		if (ptrace(PTRACE_SINGLESTEP, task->tid, 0, 0) ||
		    !await_stop(task, &status) || !task_get_regs(task, regs))
			return -ESRCH;
		if (WSTOPSIG(status) != SIGTRAP)
			task->signal = WSTOPSIG(status);
	} while (regs->rip == address && tries++ < 8);
	stop_reported(task);
	regs->rip = address;
	return (int64_t)regs->rax;
}

static int64_t remote_mmap(struct task *task, struct user_regs_struct *regs,
			   uint64_t address, size_t size, int protection, int flags)
{
	regs->rdi = address;
	regs->rsi = size;
	regs->rdx = (uint64_t)protection;
	regs->r10 = (uint64_t)flags;
	regs->r8 = (uint64_t)-1;
	regs->r9 = 0;
	return remote_call(task, regs, SYS_mmap);
}

/* Its threads and children inherit it, even across exec. */
static void set_trap(struct task *task, struct user_regs_struct *regs)
{
	bool trap = task->prctls.tsc_refused || tsc_wants_trap(task);

	if (trap == task->process->tsc_trapped)
		return;
	regs->rdi = PR_SET_TSC;
	regs->rsi = trap ? PR_TSC_SIGSEGV : PR_TSC_ENABLE;
	regs->r8 = PRCTL_OF_ENGINE;
	if (!remote_call(task, regs, SYS_prctl))
		task->process->tsc_trapped = trap;
}

/* Both pages, the clock page shared; the address of the first, or < 0. */
static int64_t map_pages(struct task *task, uint64_t syscall_address)
{
	/* The steps' own must not be: the kernel would change the program's handler of it. */
	const uint64_t all_but_trap = ~(1ULL << (SIGTRAP - 1));
	struct user_regs_struct saved, regs;
	uint64_t blocked;
	int64_t map, shared;

	if (!task_get_regs(task, &saved) ||
	    ptrace(PTRACE_GETSIGMASK, task->tid, sizeof(blocked), &blocked) ||
	    ptrace(PTRACE_SETSIGMASK, task->tid, sizeof(all_but_trap), &all_but_trap))
		return -ESRCH;
	regs = saved;
	regs.rip = syscall_address;
	map = remote_mmap(task, &regs, 0, VCLOCK_MAP_SIZE, PROT_READ | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS);
	if (map > 0) {
		shared = remote_mmap(task, &regs, (uint64_t)map + VCLOCK_PAGE_SIZE,
				     VCLOCK_PAGE_SIZE, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED);
		map = shared < 0 ? shared : map;
	}
	if (map != -ESRCH)
		set_trap(task, &regs);
	task_set_regs(task, &saved);
	ptrace(PTRACE_SETSIGMASK, task->tid, sizeof(blocked), &blocked);
	task->interrupted = false;
	return map;
}

/* Maps the clock page of a process into the engine, too. */
static struct vclock_page *map_own(pid_t tid, uint64_t address)
{
	char path[64];
	void *page;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%lx-%lx", tid, address,
		 address + VCLOCK_PAGE_SIZE);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	page = mmap(NULL, VCLOCK_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return page == MAP_FAILED ? NULL : page;
}

static bool replace_function(int memory, uint64_t function, uint64_t target)
{
	/* endbr64; movabs $target, %rax; jmp *%rax */
	uint8_t jump[16] = { 0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0xb8,
			     [14] = 0xff, 0xe0 };

	memcpy(jump + 6, &target, sizeof(target));
	return memory_write(memory, function, jump, sizeof(jump));
}

static bool write_code(const struct task *task, uint64_t vdso, uint64_t map)
{
	int memory = task_open_memory(task);
	bool done;

	if (memory < 0)
		return false;
	done = memory_write(memory, map, vclock_code,
			    (size_t)(vclock_code_end - vclock_code));
	for (size_t i = 0; done && i < REPLACED; i++)
		if (replaced[i].offset)
			done = replace_function(memory, vdso + replaced[i].offset,
						map + i * ENTRY_SIZE);
	close(memory);
	return done;
}

void inject_clock(struct task *task)
{
	uint64_t vdso = vdso_base(task->tid);
	struct vclock_page *page = NULL;
	struct clock_map *clock;
	int64_t map = -ENOENT;

	if (vdso)
		map = map_pages(task, vdso + vdso_syscall);
	if (map > 0)
		page = map_own(task->tid, (uint64_t)map + VCLOCK_PAGE_SIZE);
	if (map == -ESRCH)
		return;
	if (!page || !write_code(task, vdso, (uint64_t)map)) {
		if (page)
			munmap(page, VCLOCK_PAGE_SIZE);
		/* Its clock reads are system calls then, which are caught. */
		engine_warn("process %d of %s has no clock page: its clock reads "
			    "are slow",
			    task->tid, task->host->name);
		return;
	}
	clock = xcalloc(sizeof(*clock));
	clock->page = page;
	clock->address = (uint64_t)map;
	clock->users = 1;
	task->process->clock = clock;
}

uint64_t inject_forever(const struct process *process)
{
	return process->clock ? process->clock->address + REPLACED * ENTRY_SIZE : 0;
}

void inject_share(struct process *child, const struct process *parent)
{
	child->clock = parent->clock;
	if (child->clock)
		child->clock->users++;
}

void inject_forget(struct process *process)
{
	struct clock_map *clock = process->clock;

	process->clock = NULL;
	if (!clock || --clock->users)
		return;
	munmap(clock->page, VCLOCK_PAGE_SIZE);
	free(clock);
}
