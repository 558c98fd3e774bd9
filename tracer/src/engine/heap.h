/* SPDX-License-Identifier: MIT */
/*
 * A binary heap of nodes that live inside other structures, ordered by time
 * and, at the same time, by the order in which they were pushed.
 */
#ifndef KRONOS_HEAP_H
#define KRONOS_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_NEVER INT64_MAX

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

struct heap_node {
	int64_t time;
	size_t slot; /* 1-based place in the heap, 0: not in it */
};

/* With a copy of what is compared: nodes are in many places. */
struct heap_entry {
	int64_t time;
	uint64_t order;
	struct heap_node *node;
};

struct heap {
	struct heap_entry *entries;
	size_t count, capacity;
	uint64_t pushed;
};

/* Puts the node in, or moves it if it is in already. */
void heap_set(struct heap *heap, struct heap_node *node, int64_t time);
/* Takes the node out; nothing happens if it is not in. */
void heap_remove(struct heap *heap, struct heap_node *node);
void heap_free(struct heap *heap);

static inline struct heap_node *heap_first(const struct heap *heap)
{
	return heap->count ? heap->entries[0].node : NULL;
}

static inline int64_t heap_time(const struct heap *heap)
{
	return heap->count ? heap->entries[0].time : HEAP_NEVER;
}

static inline bool heap_contains(const struct heap_node *node)
{
	return node->slot != 0;
}

#endif /* KRONOS_HEAP_H */
