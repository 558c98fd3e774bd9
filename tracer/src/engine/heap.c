// SPDX-License-Identifier: MIT
/* See heap.h. Used for the events of a host and for the hosts themselves. */
#include <stdlib.h>

#include "engine.h"
#include "heap.h"

static bool before(const struct heap_node *a, const struct heap_node *b)
{
	return a->time != b->time ? a->time < b->time : a->order < b->order;
}

static void place(struct heap *heap, struct heap_node *node, size_t i)
{
	heap->nodes[i] = node;
	node->slot = i + 1;
}

static void sift_up(struct heap *heap, struct heap_node *node, size_t i)
{
	while (i > 0) {
		size_t parent = (i - 1) / 2;

		if (!before(node, heap->nodes[parent]))
			break;
		place(heap, heap->nodes[parent], i);
		i = parent;
	}
	place(heap, node, i);
}

static void sift_down(struct heap *heap, struct heap_node *node, size_t i)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= heap->count)
			break;
		if (child + 1 < heap->count &&
		    before(heap->nodes[child + 1], heap->nodes[child]))
			child++;
		if (!before(heap->nodes[child], node))
			break;
		place(heap, heap->nodes[child], i);
		i = child;
	}
	place(heap, node, i);
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
		heap->nodes = xrealloc(heap->nodes,
				       heap->capacity * sizeof(*heap->nodes));
	}
	node->time = time;
	node->order = heap->pushed++;
	sift_up(heap, node, heap->count++);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	struct heap_node *last;
	size_t i = node->slot;

	if (!i)
		return;
	i--;
	node->slot = 0;
	last = heap->nodes[--heap->count];
	if (last == node)
		return;
	if (i > 0 && before(last, heap->nodes[(i - 1) / 2]))
		sift_up(heap, last, i);
	else
		sift_down(heap, last, i);
}

void heap_free(struct heap *heap)
{
	free(heap->nodes);
	*heap = (struct heap){ 0 };
}
