// SPDX-License-Identifier: MIT
/*
 * The memory of frames, from when they are read until they have arrived. What
 * those of all workers take is bounded: a link without a rate holds whatever its
 * delay has room for.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine.h"
#include "host.h"
#include "link.h"

#define MEMORY_MAX (1ull << 30)
#define MEMORY_PART 4 /* and no more than this part of the machine's */
#define OVERHEAD 48   /* of an allocation, and of a place in a queue */

static struct memory {
	_Atomic uint64_t used;
	_Atomic bool warned;
	uint64_t max;
} *memory;

void frames_init(void)
{
	uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) *
			   (uint64_t)sysconf(_SC_PAGESIZE);
	const char *wanted = getenv("KRONOS_LINK_MEMORY");

	memory = mmap(NULL, sizeof(*memory), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	engine_assert(memory != MAP_FAILED);
	memory->max = machine / MEMORY_PART;
	if (memory->max > MEMORY_MAX)
		memory->max = MEMORY_MAX;
	if (wanted)
		memory->max = strtoull(wanted, NULL, 10) << 20;
}

void frames_take(size_t size)
{
	memory->used += sizeof(struct frame) + size + OVERHEAD;
}

void frames_give(size_t size)
{
	memory->used -= sizeof(struct frame) + size + OVERHEAD;
}

struct frame *frame_new(struct port *from, const void *data, size_t size)
{
	struct frame *frame = xrealloc(NULL, sizeof(*frame) + size);

	memset(frame, 0, sizeof(*frame));
	frame->from = from;
	frame->size = size;
	memcpy(frame->data, data, size);
	frames_take(size);
	return frame;
}

void frame_free(struct frame *frame)
{
	frames_give(frame->size);
	free(frame);
}

bool frames_are_too_many(const struct port *port)
{
	if (memory->used < memory->max)
		return false;
	if (!atomic_exchange(&memory->warned, true))
		engine_warn("frames on links take more than %llu MiB; what %s sends "
			    "now is dropped; fix: give links a bw",
			    (unsigned long long)memory->max >> 20, port->host->name);
	return true;
}
