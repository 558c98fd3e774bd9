// SPDX-License-Identifier: MIT
/* See elf_file.h; for tsc.c and tsc_libraries.c. */
#include <string.h>
#include <sys/mman.h>

#include "elf_file.h"

/* ---- segments ---------------------------------------------------------- */

static bool within_file(const struct elf_file *file, uint64_t offset, uint64_t size)
{
	return offset <= file->size && size <= file->size - offset;
}

static bool read_headers(struct elf_file *file)
{
	const Elf64_Ehdr *header = (const void *)file->data;

	if (!within_file(file, 0, sizeof(*header)) ||
	    memcmp(header->e_ident, ELFMAG, SELFMAG) ||
	    header->e_ident[EI_CLASS] != ELFCLASS64 ||
	    !within_file(file, header->e_phoff,
			 header->e_phnum * sizeof(*file->segments)))
		return false;
	file->segments = (const void *)(file->data + header->e_phoff);
	file->segment_count = header->e_phnum;
	return true;
}

bool elf_open(struct elf_file *file, int fd, size_t size)
{
	void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);

	if (data == MAP_FAILED)
		return false;
	file->data = data;
	file->size = size;
	if (read_headers(file))
		return true;
	elf_close(file);
	return false;
}

void elf_close(const struct elf_file *file)
{
	munmap((void *)(uintptr_t)file->data, file->size);
}

const uint8_t *elf_content(const struct elf_file *file, const Elf64_Phdr *segment)
{
	return within_file(file, segment->p_offset, segment->p_filesz) ?
		       file->data + segment->p_offset :
		       NULL;
}

static const Elf64_Phdr *segment_of_type(const struct elf_file *file, uint32_t type)
{
	for (int i = 0; i < file->segment_count; i++)
		if (file->segments[i].p_type == type)
			return &file->segments[i];
	return NULL;
}

/* What will be at an address, NULL: not all of it is in the file. */
static const uint8_t *at_address(const struct elf_file *file, uint64_t address, size_t size)
{
	const Elf64_Phdr *segment;

	for (int i = 0; i < file->segment_count; i++) {
		segment = &file->segments[i];
		if (segment->p_type == PT_LOAD && address >= segment->p_vaddr &&
		    address - segment->p_vaddr <= segment->p_filesz &&
		    size <= segment->p_filesz - (address - segment->p_vaddr) &&
		    elf_content(file, segment))
			return elf_content(file, segment) + (address - segment->p_vaddr);
	}
	return NULL;
}

/* ---- unwind information -------------------------------------------------- */

/* .eh_frame_hdr, as linkers write it: a table of all functions, in their order. */
struct frame_index {
	uint8_t version;
	uint8_t encodings[3]; /* of what follows */
	int32_t frames;
	uint32_t count;
	struct frame_entry {
		int32_t function, frame; /* relative to the index */
	} entries[];
};

/* The begin of a function's entry in .eh_frame. */
struct frame {
	uint32_t length, common;
	int32_t function; /* relative to this */
	uint32_t size;
};

static const struct frame_index *frame_index(const struct elf_file *file, uint64_t *address)
{
	/* DW_EH_PE_pcrel | sdata4, udata4, datarel | sdata4 */
	static const uint8_t begin[] = { 1, 0x1b, 0x03, 0x3b };
	const Elf64_Phdr *segment = segment_of_type(file, PT_GNU_EH_FRAME);
	const struct frame_index *index =
		segment ? (const void *)elf_content(file, segment) : NULL;

	if (!index || segment->p_filesz < sizeof(*index) ||
	    memcmp(index, begin, sizeof(begin)) ||
	    index->count > (segment->p_filesz - sizeof(*index)) / sizeof(index->entries[0]))
		return NULL;
	*address = segment->p_vaddr;
	return index;
}

bool elf_function(const struct elf_file *file, uint64_t address, uint64_t *begin)
{
	uint64_t base = 0, frame_address;
	const struct frame_index *index = frame_index(file, &base);
	size_t low = 0, high = index ? index->count : 0, middle;
	const struct frame *frame;

	while (low < high) { /* the first one behind the address */
		middle = (low + high) / 2;
		if (base + (uint64_t)index->entries[middle].function <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return false;
	*begin = base + (uint64_t)index->entries[low - 1].function;
	frame_address = base + (uint64_t)index->entries[low - 1].frame;
	frame = (const void *)at_address(file, frame_address, sizeof(*frame));
	/* Another encoding of it would not lead back to the function. */
	return frame &&
	       frame_address + offsetof(struct frame, function) +
			       (uint64_t)frame->function ==
		       *begin &&
	       address - *begin < frame->size;
}
