// SPDX-License-Identifier: MIT
/* See heap.h. Used for the events of a host and for the hosts themselves. */
#include <stdlib.h>

#include "engine.h"
#include "heap.h"

static bool before(const struct heap_entry *a, const struct heap_entry *b)
{
	return a->time != b->time ? a->time < b->time : a->order < b->order;
}

static void place(struct heap *heap, const struct heap_entry *entry, size_t i)
{
	heap->entries[i] = *entry;
	entry->node->slot = i + 1;
}

static void sift_up(struct heap *heap, struct heap_entry entry, size_t i)
{
	while (i > 0) {
		size_t parent = (i - 1) / 2;

		if (!before(&entry, &heap->entries[parent]))
			break;
		place(heap, &heap->entries[parent], i);
		i = parent;
	}
	place(heap, &entry, i);
}

static void sift_down(struct heap *heap, struct heap_entry entry, size_t i)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= heap->count)
			break;
		if (child + 1 < heap->count &&
		    before(&heap->entries[child + 1], &heap->entries[child]))
			child++;
		if (!before(&heap->entries[child], &entry))
			break;
		place(heap, &heap->entries[child], i);
		i = child;
	}
	place(heap, &entry, i);
}

void heap_set(struct heap *heap, struct heap_node *node, int64_t time)
{
	if (heap_contains(node)) {
		if (node->time == time)
			return;
		heap_remove(heap, node);
	}
	if (heap->count == heap->capacity) {
		heap->capacity = heap->capacity ? 2 * heap->capacity : 16;
		heap->entries = xrealloc(heap->entries,
					 heap->capacity * sizeof(*heap->entries));
	}
	node->time = time;
	sift_up(heap, (struct heap_entry){ time, heap->pushed++, node }, heap->count++);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	struct heap_entry last;
	size_t i = node->slot;

	if (!i)
		return;
	i--;
	node->slot = 0;
	last = heap->entries[--heap->count];
	if (last.node == node)
		return;
	if (i > 0 && before(&last, &heap->entries[(i - 1) / 2]))
		sift_up(heap, last, i);
	else
		sift_down(heap, last, i);
}

void heap_free(struct heap *heap)
{
	free(heap->entries);
	*heap = (struct heap){ 0 };
}
