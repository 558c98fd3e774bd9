// SPDX-License-Identifier: MIT
/*
 * Programs that read the time stamp counter themselves. Where a program's own file
 * has rdtsc or rdtscp in it, the two are made to trap (PR_SET_TSC), and count in
 * virtual time. The code that replaces the vDSO cannot use them then, and asks the
 * engine for the time: so only these programs pay.
 *
 * Libraries have tsc_libraries.c. Go's programs are not looked at, whose run-time has
 * the two for its profiles, nor are instant processes, for which no time passes.
 */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/user.h>
#include <unistd.h>

#include <capstone/capstone.h>

#include "elf_file.h"
#include "host.h"
#include "inject.h"
#include "stops.h"
#include "task.h"
#include "tsc.h"
#include "tsc_code.h"
#include "tsc_verdicts.h"

/* How far before an instruction disassembly begins. */
#define BEFORE 48

/* ---- files ------------------------------------------------------------- */

/*
 * Whether an instruction begins at `at`, and not in the middle of another one. Code
 * that is disassembled from a wrong start soon falls into step: most of some
 * starts a few instructions before must come by. Where streams have met they stay
 * together, so that each place is looked at only once.
 */
static bool begins_instruction(csh disassembler, cs_insn *instruction,
			       const uint8_t *code, size_t at)
{
	const int starts = 16;
	const size_t first = at > BEFORE ? at - BEFORE : 0;
	enum { UNKNOWN, COMES_BY, MISSES } from[BEFORE] = { UNKNOWN };
	size_t path[BEFORE];
	int met = 0;

	for (int i = 0; i < starts; i++) {
		uint64_t address = at > BEFORE ? first + (size_t)i : 0;
		size_t length = 0;
		bool comes_by;

		while (address < at && from[address - first] == UNKNOWN) {
			const uint8_t *next = code + address;
			size_t size = at + 16 - address;
			uint64_t start = address;

			path[length++] = start - first;
			if (!cs_disasm_iter(disassembler, &next, &size, &address,
					    instruction))
				address = start + 1; /* data, or the middle of something */
		}
		comes_by = address < at ? from[address - first] == COMES_BY : address == at;
		while (length)
			from[path[--length]] = comes_by ? COMES_BY : MISSES;
		met += comes_by;
	}
	return met > starts / 2;
}

static bool code_reads_tsc(const uint8_t *code, size_t size)
{
	const uint8_t *found = code, *end = code + size - 16;
	cs_insn *instruction;
	csh disassembler;
	bool reads = false;

	if (size < 16 || cs_open(CS_ARCH_X86, CS_MODE_64, &disassembler))
		return false;
	instruction = cs_malloc(disassembler);
	while (!reads && (found = tsc_find(found, end)) < end) {
		reads = tsc_instruction(found, RDTSCP_SIZE) &&
			begins_instruction(disassembler, instruction, code,
					   (size_t)(found - code));
		found++;
	}
	cs_free(instruction, 1);
	cs_close(&disassembler);
	return reads;
}

/* A note that Go's linker puts in. */
static bool is_go_note(const Elf64_Phdr *segment, const uint8_t *note)
{
	return segment->p_type == PT_NOTE &&
	       segment->p_filesz > sizeof(Elf64_Nhdr) + 4 &&
	       !memcmp(note + sizeof(Elf64_Nhdr), "Go\0", 4);
}

static bool segment_reads_tsc(const Elf64_Phdr *segment, const uint8_t *code)
{
	size_t before = (uintptr_t)code % 4096;

	/* Its pages at once, which is cheaper than one by one. */
	madvise((void *)(uintptr_t)(code - before), segment->p_filesz + before,
		MADV_POPULATE_READ);
	return code_reads_tsc(code, segment->p_filesz);
}

static bool elf_reads_tsc(const struct elf_file *file)
{
	const Elf64_Phdr *segment = file->segments;
	const uint8_t *content;
	bool reads = false;

	for (int i = 0; i < file->segment_count; i++, segment++) {
		content = elf_content(file, segment);
		if (!content)
			continue;
		if (is_go_note(segment, content))
			return false;
		if (!reads && segment->p_type == PT_LOAD && segment->p_flags & PF_X)
			reads = segment_reads_tsc(segment, content);
	}
	return reads;
}

static bool look_into(int fd, size_t size)
{
	struct elf_file file;
	bool reads;

	if (!elf_open(&file, fd, size))
		return false;
	reads = elf_reads_tsc(&file);
	elf_close(&file);
	return reads;
}

static bool program_reads_tsc(pid_t pid)
{
	struct stat status;
	bool reads = false;
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (!fstat(fd, &status) && !verdict_find(&status, &reads)) {
		reads = look_into(fd, (size_t)status.st_size);
		verdict_add(&status, reads);
	}
	close(fd);
	return reads;
}

bool tsc_wants_trap(const struct task *task)
{
	return !host_is_instant(task->host) && program_reads_tsc(task->process->pid);
}

/* ---- the instructions -------------------------------------------------- */

bool tsc_emulate(struct task *task)
{
	struct user_regs_struct regs;
	uint8_t code[RDTSCP_SIZE];
	size_t size, length;

	if (!task->process->tsc_trapped || task->prctls.tsc_refused ||
	    !task_get_regs(task, &regs))
		return false;
	/* The shorter one may be the last of its page. */
	size = task_read(task, regs.rip, code, RDTSCP_SIZE) ? RDTSC_SIZE : RDTSCP_SIZE;
	if (size == RDTSC_SIZE && task_read(task, regs.rip, code, size))
		return false;
	length = tsc_instruction(code, size);
	if (length)
		tsc_execute(task, &regs, length);
	return length;
}
