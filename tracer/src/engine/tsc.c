// SPDX-License-Identifier: MIT
/*
 * Programs that read the time stamp counter themselves. Where a program's own file
 * has rdtsc or rdtscp in it, the two are made to trap (PR_SET_TSC), and count in
 * virtual time. The code that replaces the vDSO cannot use them then, and asks the
 * engine for the time: so only these programs pay.
 *
 * Libraries are not looked at: C libraries and OpenSSL have such instructions and
 * do not use them for time. Nor are Go's programs, whose run-time has them for its
 * profiles, nor instant processes, for which no time passes.
 */
#include <elf.h>
#include <emmintrin.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/user.h>
#include <time.h>
#include <unistd.h>

#include <capstone/capstone.h>

#include "clocks.h"
#include "engine.h"
#include "host.h"
#include "inject.h"
#include "stops.h"
#include "task.h"
#include "timed.h"
#include "tsc.h"
#include "tsc_verdicts.h"

/* How far before an instruction disassembly begins. */
#define BEFORE 48

static const uint8_t rdtsc[] = { 0x0f, 0x31 };
static const uint8_t rdtscp[] = { 0x0f, 0x01, 0xf9 };

/* ---- files ------------------------------------------------------------- */

struct file {
	const uint8_t *data;
	size_t size;
};

/* The length of the instruction, if it is one of ours. */
static size_t tsc_instruction(const uint8_t *code, size_t size)
{
	if (size >= sizeof(rdtsc) && !memcmp(code, rdtsc, sizeof(rdtsc)))
		return sizeof(rdtsc);
	if (size >= sizeof(rdtscp) && !memcmp(code, rdtscp, sizeof(rdtscp)))
		return sizeof(rdtscp);
	return 0;
}

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

/* The first place from `code` on where the first two bytes of one of ours are, or
 * `end`. Reads 16 bytes beyond a place. */
static const uint8_t *find_candidate(const uint8_t *code, const uint8_t *end)
{
	const __m128i escape = _mm_set1_epi8(0x0f);
	const __m128i second = _mm_set1_epi8(0x31), second_p = _mm_set1_epi8(0x01);

	for (; code < end; code += 16) {
		__m128i here = _mm_loadu_si128((const void *)code);
		__m128i next = _mm_loadu_si128((const void *)(code + 1));
		__m128i either = _mm_or_si128(_mm_cmpeq_epi8(next, second),
					      _mm_cmpeq_epi8(next, second_p));
		int found = _mm_movemask_epi8(
			_mm_and_si128(_mm_cmpeq_epi8(here, escape), either));

		if (found)
			return code + __builtin_ctz((unsigned int)found);
	}
	return end;
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
	while (!reads && (found = find_candidate(found, end)) < end) {
		reads = tsc_instruction(found, sizeof(rdtscp)) &&
			begins_instruction(disassembler, instruction, code,
					   (size_t)(found - code));
		found++;
	}
	cs_free(instruction, 1);
	cs_close(&disassembler);
	return reads;
}

static bool within_file(const struct file *file, uint64_t offset, uint64_t size)
{
	return offset <= file->size && size <= file->size - offset;
}

/* A note that Go's linker puts in. */
static bool is_go_note(const struct file *file, const Elf64_Phdr *segment)
{
	const uint8_t *note = file->data + segment->p_offset;

	return segment->p_type == PT_NOTE &&
	       segment->p_filesz > sizeof(Elf64_Nhdr) + 4 &&
	       !memcmp(note + sizeof(Elf64_Nhdr), "Go\0", 4);
}

static bool segment_reads_tsc(const struct file *file, const Elf64_Phdr *segment)
{
	const uint8_t *code = file->data + segment->p_offset;
	size_t before = (uintptr_t)code % 4096;

	/* Its pages at once, which is cheaper than one by one. */
	madvise((void *)(uintptr_t)(code - before), segment->p_filesz + before,
		MADV_POPULATE_READ);
	return code_reads_tsc(code, segment->p_filesz);
}

static bool elf_reads_tsc(const struct file *file)
{
	const Elf64_Ehdr *header = (const void *)file->data;
	const Elf64_Phdr *segments;
	bool reads = false;

	if (!within_file(file, 0, sizeof(*header)) ||
	    memcmp(header->e_ident, ELFMAG, SELFMAG) ||
	    header->e_ident[EI_CLASS] != ELFCLASS64 ||
	    !within_file(file, header->e_phoff,
			 header->e_phnum * sizeof(*segments)))
		return false;
	segments = (const void *)(file->data + header->e_phoff);
	for (int i = 0; i < header->e_phnum; i++) {
		if (!within_file(file, segments[i].p_offset, segments[i].p_filesz))
			continue;
		if (is_go_note(file, &segments[i]))
			return false;
		if (!reads && segments[i].p_type == PT_LOAD &&
		    segments[i].p_flags & PF_X)
			reads = segment_reads_tsc(file, &segments[i]);
	}
	return reads;
}

static bool look_into(int fd, size_t size)
{
	struct file file = { .size = size };
	void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	bool reads;

	if (data == MAP_FAILED)
		return false;
	file.data = data;
	reads = elf_reads_tsc(&file);
	munmap(data, size);
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
	uint8_t code[sizeof(rdtscp)];
	size_t size, length;
	uint64_t value;

	if (!task->process->tsc_trapped || task->prctls.tsc_refused ||
	    !task_get_regs(task, &regs))
		return false;
	/* The shorter one may be the last of its page. */
	size = task_read(task, regs.rip, code, sizeof(rdtscp)) ? sizeof(rdtsc) :
								 sizeof(rdtscp);
	if (size == sizeof(rdtsc) && task_read(task, regs.rip, code, size))
		return false;
	length = tsc_instruction(code, size);
	if (!length)
		return false;
	value = (uint64_t)((double)read_clock(task) * engine.tsc_per_ns);
	regs.rax = (uint32_t)value;
	regs.rdx = value >> 32;
	if (length == sizeof(rdtscp))
		regs.rcx = (uint64_t)engine.cpu;
	regs.rip += length;
	task_set_regs(task, &regs);
	return true;
}
