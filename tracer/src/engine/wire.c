// SPDX-License-Identifier: MIT
/*
 * Frames from one worker to another: a ring in shared memory for each ordered
 * pair, written by one and read by the other. The reader takes, when a window
 * opens, what was sent in earlier ones, by time of arrival: how far the others
 * have come in their part of a window makes no difference.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>

#include "engine.h"
#include "links.h"
#include "rounds.h"
#include "wire.h"
#include "workers.h"

#define RING_SIZE (4u << 20) /* bytes; memory is used as far as it is written */
#define WRAP UINT32_MAX	     /* size of a parcel that says: go on at the start */

struct parcel {
	uint32_t size; /* of the data */
	uint32_t window; /* in which it was sent */
	uint32_t link, end; /* where it was sent */
	int64_t arrival;
	uint64_t number; /* of all that its sender has sent */
	uint8_t data[];
};

/* Positions count bytes for ever; the place in the ring is their remainder. */
struct ring {
	_Atomic uint64_t written __attribute__((aligned(64)));
	_Atomic uint64_t read __attribute__((aligned(64)));
	uint8_t bytes[RING_SIZE] __attribute__((aligned(64)));
};

/* What did not fit into a ring yet. */
struct late_parcel {
	STAILQ_ENTRY(late_parcel) entry;
	struct parcel parcel;
};

static struct ring *rings;
static STAILQ_HEAD(late_queue, late_parcel) late[WORKERS_MAX];

/* What wire_receive() is about to deliver. */
static const struct parcel **taken;
static size_t taken_count, taken_max;

static struct ring *ring_of(uint32_t from, uint32_t to)
{
	return &rings[from * engine.workers + to];
}

void wire_init(void)
{
	size_t size = sizeof(struct ring) * engine.workers * engine.workers;

	for (uint32_t i = 0; i < engine.workers; i++)
		STAILQ_INIT(&late[i]);
	if (engine.workers == 1)
		return;
	rings = mmap(NULL, size, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	engine_assert(rings != MAP_FAILED);
}

/* ---- sending ----------------------------------------------------------- */

static size_t parcel_size(uint32_t data_size)
{
	return (sizeof(struct parcel) + data_size + 7) & ~(size_t)7;
}

/* Room for a parcel in one piece; NULL if there is none now. */
static struct parcel *ring_reserve(struct ring *ring, size_t size, uint64_t *end)
{
	uint64_t written = ring->written;
	size_t place = written % RING_SIZE;
	size_t skip = RING_SIZE - place < size ? RING_SIZE - place : 0;

	if (written + skip + size - ring->read > RING_SIZE)
		return NULL;
	if (skip) {
		((struct parcel *)(void *)&ring->bytes[place])->size = WRAP;
		place = 0;
	}
	*end = written + skip + size;
	return (struct parcel *)(void *)&ring->bytes[place];
}

static bool ring_put(uint32_t worker, const struct parcel *header, const void *data)
{
	struct ring *ring = ring_of(engine.worker, worker);
	struct parcel *parcel;
	uint64_t end;

	parcel = ring_reserve(ring, parcel_size(header->size), &end);
	if (!parcel)
		return false;
	*parcel = *header;
	memcpy(parcel->data, data, header->size);
	ring->written = end;
	rounds_announce(worker, header->arrival);
	return true;
}

void wire_send(uint32_t worker, uint32_t link, uint32_t end, int64_t arrival,
	       const void *data, size_t size)
{
	static uint64_t number;
	struct parcel header = {
		.size = (uint32_t)size,
		.window = rounds_window(),
		.link = link,
		.end = end,
		.arrival = arrival,
		.number = number++,
	};
	struct late_parcel *rest;

	if (STAILQ_EMPTY(&late[worker]) && ring_put(worker, &header, data))
		return;
	rest = xrealloc(NULL, sizeof(*rest) + size);
	rest->parcel = header;
	memcpy(rest->parcel.data, data, size);
	frames_take(size);
	STAILQ_INSERT_TAIL(&late[worker], rest, entry);
}

void wire_flush(void)
{
	struct late_parcel *rest;

	for (uint32_t i = 0; i < engine.workers; i++)
		while ((rest = STAILQ_FIRST(&late[i])) &&
		       ring_put(i, &rest->parcel, rest->parcel.data)) {
			STAILQ_REMOVE_HEAD(&late[i], entry);
			frames_give(rest->parcel.size);
			free(rest);
		}
}

/* ---- receiving --------------------------------------------------------- */

static int by_arrival(const void *a, const void *b)
{
	const struct parcel *p = *(const struct parcel *const *)a;
	const struct parcel *q = *(const struct parcel *const *)b;

	if (p->arrival != q->arrival)
		return p->arrival < q->arrival ? -1 : 1;
	if (p->link != q->link)
		return p->link < q->link ? -1 : 1;
	if (p->end != q->end)
		return p->end < q->end ? -1 : 1;
	return p->number < q->number ? -1 : 1;
}

static void take(const struct parcel *parcel)
{
	if (taken_count == taken_max) {
		taken_max = taken_max ? 2 * taken_max : 64;
		taken = xrealloc(taken, taken_max * sizeof(struct parcel *));
	}
	taken[taken_count++] = parcel;
}

/* Returns how far it has been read. */
static uint64_t ring_take(const struct ring *ring, uint32_t worker, uint32_t window)
{
	uint64_t position = ring->read, written = ring->written, end = position;
	bool stays = false;

	while (position < written) {
		size_t place = position % RING_SIZE;
		const struct parcel *parcel =
			(const struct parcel *)(const void *)&ring->bytes[place];

		if (parcel->size == WRAP) {
			position += RING_SIZE - place;
			continue;
		}
		position += parcel_size(parcel->size);
		/* What follows one that stays was sent later and stays too. */
		stays |= window && parcel->window >= window;
		if (stays) {
			rounds_announce(worker, parcel->arrival);
		} else {
			take(parcel);
			end = position;
		}
	}
	return end;
}

void wire_receive(uint32_t window)
{
	uint64_t end[WORKERS_MAX];

	if (engine.workers == 1)
		return;
	taken_count = 0;
	for (uint32_t i = 0; i < engine.workers; i++)
		end[i] = ring_take(ring_of(i, engine.worker), engine.worker, window);
	if (taken_count)
		qsort(taken, taken_count, sizeof(*taken), by_arrival);
	for (size_t i = 0; i < taken_count; i++)
		link_receive(taken[i]->link, taken[i]->end, taken[i]->arrival,
			     taken[i]->data, taken[i]->size);
	for (uint32_t i = 0; i < engine.workers; i++)
		ring_of(i, engine.worker)->read = end[i];
}
