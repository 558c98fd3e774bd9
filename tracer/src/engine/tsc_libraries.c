// SPDX-License-Identifier: MIT
/*
 * Libraries that read the time stamp counter. To trap the two instructions, as tsc.c
 * does, would make clocks slow for all, since C libraries and OpenSSL have them. So the
 * library's own are replaced, in the process' copy of their page, when it is mapped.
 *
 * Only what certainly is an instruction is replaced: one in a function that unwind
 * information knows, disassembled from the function's begin on. The C library is left
 * as it is: its locks take random numbers from the counter, and everybody maps it.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <unistd.h>

#include <capstone/capstone.h>
#include <uthash.h>

#include "elf_file.h"
#include "engine.h"
#include "host.h"
#include "inject.h"
#include "stops.h"
#include "task.h"
#include "tsc_code.h"
#include "tsc_libraries.h"
#include "tsc_verdicts.h"

/* int3, and by length of the instruction what is none in 64-bit mode. */
#define INT3 0xcc
static const uint8_t marks[] = { [RDTSC_SIZE] = 0x06, [RDTSCP_SIZE] = 0x07 };

struct library {
	struct file_key key;
	struct site {
		uint64_t offset; /* in the file */
		size_t length;
	} *sites;
	size_t count;
	UT_hash_handle hh;
};

static struct library *libraries;

/* ---- files ------------------------------------------------------------- */

struct search {
	const struct elf_file *file;
	struct library *library;
	csh disassembler;
	cs_insn *instruction;
};

/* Whether an instruction of the function that begins at `code` begins at `at`. */
static bool comes_by(const struct search *search, const uint8_t *code, const uint8_t *at)
{
	size_t size = (size_t)(at - code) + 16;
	uint64_t address = 0;

	while (code < at)
		if (!cs_disasm_iter(search->disassembler, &code, &size, &address,
				    search->instruction))
			return false;
	return code == at;
}

static bool is_instruction(const struct search *search, const Elf64_Phdr *segment,
			   const uint8_t *content, const uint8_t *at)
{
	uint64_t begin;

	return tsc_instruction(at, RDTSCP_SIZE) &&
	       elf_function(search->file, segment->p_vaddr + (uint64_t)(at - content),
			    &begin) &&
	       begin >= segment->p_vaddr &&
	       comes_by(search, content + (begin - segment->p_vaddr), at);
}

static void add_site(struct library *library, uint64_t offset, size_t length)
{
	library->sites = xrealloc(library->sites,
				  (library->count + 1) * sizeof(library->sites[0]));
	library->sites[library->count++] = (struct site){ offset, length };
}

static void search_segment(const struct search *search, const Elf64_Phdr *segment)
{
	const uint8_t *content = elf_content(search->file, segment), *at, *end;

	if (!content || segment->p_type != PT_LOAD || !(segment->p_flags & PF_X) ||
	    segment->p_filesz < 16)
		return;
	end = content + segment->p_filesz - 16;
	for (at = content; (at = tsc_find(at, end)) < end; at++)
		if (is_instruction(search, segment, content, at))
			add_site(search->library, (uint64_t)(at - search->file->data),
				 tsc_instruction(at, RDTSCP_SIZE));
}

static void search_file(const struct elf_file *file, struct library *library)
{
	struct search search = { .file = file, .library = library };

	if (cs_open(CS_ARCH_X86, CS_MODE_64, &search.disassembler))
		return;
	search.instruction = cs_malloc(search.disassembler);
	for (int i = 0; i < file->segment_count; i++)
		search_segment(&search, &file->segments[i]);
	cs_free(search.instruction, 1);
	cs_close(&search.disassembler);
}

static bool is_c_library(const char *path)
{
	static const char name[] = "/libc.so.6";
	const size_t length = sizeof(name) - 1;
	char target[PATH_MAX];
	ssize_t size = readlink(path, target, sizeof(target));

	return size >= (ssize_t)length && !memcmp(target + size - length, name, length);
}

static void look_into(struct library *library, const char *path)
{
	struct elf_file file;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (elf_open(&file, fd, (size_t)library->key.size)) {
		search_file(&file, library);
		elf_close(&file);
	}
	close(fd);
}

static const struct library *library_new(const struct file_key *key, const char *path)
{
	struct library *library = xcalloc(sizeof(*library));

	library->key = *key;
	if (!is_c_library(path))
		look_into(library, path);
	HASH_ADD(hh, libraries, key, sizeof(library->key), library);
	return library;
}

static const struct library *library_of(const struct task *task, int fd)
{
	struct library *library;
	struct file_key key;
	struct stat status;
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", task->tid, fd);
	if (stat(path, &status) || !S_ISREG(status.st_mode))
		return NULL;
	key = file_key(&status);
	HASH_FIND(hh, libraries, &key, sizeof(key), library);
	return library ? library : library_new(&key, path);
}

/* ---- processes --------------------------------------------------------- */

static void leave_map(struct task *task, struct user_regs_struct *regs)
{
	const struct library *library = library_of(task, (int)regs->r8);
	uint64_t at;
	int memory;

	if (!library || (int64_t)regs->rax < 0)
		return;
	memory = task_open_memory(task);
	if (memory < 0)
		return;
	for (const struct site *site = library->sites;
	     site < library->sites + library->count; site++) {
		at = site->offset - regs->r9;
		if (at < regs->rsi)
			memory_write(memory, regs->rax + at,
				     (uint8_t[]){ INT3, marks[site->length] }, 2);
	}
	close(memory);
}

void tsc_map_library(struct task *task, struct user_regs_struct *regs)
{
	const struct library *library;

	if (host_is_instant(task->host))
		return;
	library = library_of(task, (int)regs->r8);
	if (library && library->count) {
		task->leave = leave_map;
		task->exit = EXIT_RESULT;
	}
}

bool tsc_emulate_replaced(struct task *task)
{
	struct user_regs_struct regs;
	uint8_t code[2];
	uint64_t at;

	if (!task_get_regs(task, &regs))
		return false;
	at = regs.rip - 1;
	if (task_read(task, at, code, sizeof(code)) || code[0] != INT3)
		return false;
	for (size_t length = RDTSC_SIZE; length <= RDTSCP_SIZE; length++)
		if (code[1] == marks[length]) {
			regs.rip = at;
			tsc_execute(task, &regs, length);
			return true;
		}
	return false;
}
