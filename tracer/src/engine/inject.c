// SPDX-License-Identifier: MIT
/*
 * What the engine puts into a dilated process: at each exec one page of code
 * and the clock page behind it, and jumps from the vDSO's clock functions to
 * that code; before each slice the clock page's content. fork copies both.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine.h"

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

bool task_get_regs(const struct task *task, struct user_regs_struct *regs)
{
	return ptrace(PTRACE_GETREGS, task->tid, 0, regs) == 0;
}

void task_set_regs(const struct task *task, const struct user_regs_struct *regs)
{
	/* Fails only if the task has been killed meanwhile. */
	ptrace(PTRACE_SETREGS, task->tid, 0, regs);
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

/* Makes the stopped task call mmap by stepping over a syscall instruction. */
static uint64_t remote_mmap(struct task *task, uint64_t syscall_address)
{
	struct user_regs_struct saved, regs;
	int status, tries = 0;

	if (!task_get_regs(task, &saved))
		return 0;
	regs = saved;
	regs.rip = syscall_address;
	regs.rax = SYS_mmap;
	regs.orig_rax = (uint64_t)-1;
	regs.rdi = 0;
	regs.rsi = VCLOCK_MAP_SIZE;
	regs.rdx = PROT_READ | PROT_WRITE | PROT_EXEC;
	regs.r10 = MAP_PRIVATE | MAP_ANONYMOUS;
	regs.r8 = (uint64_t)-1;
	regs.r9 = 0;
	task_set_regs(task, &regs);
	/* A signal that was pending already stops it before the step: once more. */
	do {
		if (ptrace(PTRACE_SINGLESTEP, task->tid, 0, 0) ||
		    waitpid(task->tid, &status, __WALL) != task->tid ||
		    !WIFSTOPPED(status) || !task_get_regs(task, &regs))
			return 0;
		if (WSTOPSIG(status) != SIGTRAP)
			task->signal = WSTOPSIG(status);
	} while (regs.rip == syscall_address && tries++ < 8);
	task_set_regs(task, &saved);
	task->kick = KICK_NONE;
	return (int64_t)regs.rax < 0 ? 0 : regs.rax;
}

static void replace_function(const struct task *task, uint64_t function,
			     uint64_t target)
{
	/* endbr64; movabs $target, %rax; jmp *%rax */
	uint8_t jump[16] = { 0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0xb8,
			     [14] = 0xff, 0xe0 };
	uint64_t words[2];

	memcpy(jump + 6, &target, sizeof(target));
	memcpy(words, jump, sizeof(words));
	ptrace(PTRACE_POKEDATA, task->tid, function, words[0]);
	ptrace(PTRACE_POKEDATA, task->tid, function + 8, words[1]);
}

void inject_clock(struct task *task)
{
	uint64_t base = vdso_base(task->tid);
	uint64_t map = 0;

	if (base)
		map = remote_mmap(task, base + vdso_syscall);
	if (!map || task_write(task, map, vclock_code,
			       (size_t)(vclock_code_end - vclock_code))) {
		/* Its clock reads are system calls then, which are caught. */
		engine_warn("process %d of %s has no clock page: its clock reads "
			    "are slow",
			    task->tid, task->host->name);
		return;
	}
	for (size_t i = 0; i < REPLACED; i++)
		if (replaced[i].offset)
			replace_function(task, base + replaced[i].offset,
					 map + i * ENTRY_SIZE);
	task->process->clock_page = map + VCLOCK_PAGE_SIZE;
	task->process->page_known = false;
}

void inject_page(struct task *task, const struct vclock_page *page)
{
	struct process *process = task->process;
	const size_t size = offsetof(struct vclock_page, last);

	if (!process->clock_page)
		return;
	if (process->page_known && !process->shares_memory &&
	    !memcmp(&process->page_sent, page, size))
		return;
	process->page_known = !task_write(task, process->clock_page, page, size);
	process->page_sent = *page;
}
