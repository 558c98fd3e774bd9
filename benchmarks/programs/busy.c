/* SPDX-License-Identifier: MIT */
/* busy [FILE]: computes for ever; counts its rounds of work in FILE. */
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static volatile uint64_t own;
	volatile uint64_t *count = &own;
	volatile uint64_t work;

	if (argc > 1) {
		int fd = open(argv[1], O_RDWR | O_CLOEXEC);
		void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		if (page == MAP_FAILED)
			return 1;
		count = page;
	}
	for (;; ++*count)
		for (work = 0; work < 100; work++)
			;
}
