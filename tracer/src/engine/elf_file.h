/* SPDX-License-Identifier: MIT */
/* Programs and libraries, as files of 64-bit ELF. */
#ifndef KRONOS_ELF_FILE_H
#define KRONOS_ELF_FILE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_file {
	const uint8_t *data;
	size_t size;
	const Elf64_Phdr *segments;
	int segment_count;
};

/* False if it is none; the descriptor is not needed any more. */
bool elf_open(struct elf_file *file, int fd, size_t size);
void elf_close(const struct elf_file *file);
/* A segment's content, NULL: the file is too short. */
const uint8_t *elf_content(const struct elf_file *file, const Elf64_Phdr *segment);
/* The function around an address, as unwind information has it. */
bool elf_function(const struct elf_file *file, uint64_t address, uint64_t *begin);

#endif /* KRONOS_ELF_FILE_H */
