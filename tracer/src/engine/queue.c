// SPDX-License-Identifier: MIT
/*
 * The server of one direction: frames wait in one queue and leave it, one
 * after the other, at the link's rate. What does not fit is dropped. With RED
 * frames are dropped, or marked, before that.
 */
#include <math.h>
#include <stdlib.h>

#include "engine.h"
#include "link.h"

/*
 * The parameters that Mininet's TCLink gives to tc:
 *   red limit 1000000 min 30000 max 35000 avpkt 1500 burst 20 probability 1
 * of which tc makes a weight of 1/2 for the average.
 */
#define RED_LIMIT 1000000
#define RED_MIN 30000.0
#define RED_MAX 35000.0
#define RED_WEIGHT 0.5
#define RED_PACKET 1500.0

static struct departure *departure(const struct queue *queue, size_t index)
{
	return &queue->ring[(queue->first + index) % queue->capacity];
}

void queue_pass(struct queue *queue, int64_t now)
{
	while (queue->count && departure(queue, 0)->time <= now) {
		queue->bytes -= departure(queue, 0)->size;
		if (--queue->count == 0)
			queue->red.idle_since = departure(queue, 0)->time;
		queue->first = (queue->first + 1) % queue->capacity;
	}
}

static void grow(struct queue *queue)
{
	size_t capacity = queue->capacity ? 2 * queue->capacity : 16;
	struct departure *ring = xrealloc(NULL, capacity * sizeof(*ring));

	for (size_t i = 0; i < queue->count; i++)
		ring[i] = *departure(queue, i);
	free(queue->ring);
	queue->ring = ring;
	queue->first = 0;
	queue->capacity = capacity;
}

static void append(struct queue *queue, int64_t time, size_t size)
{
	if (queue->count == queue->capacity)
		grow(queue);
	*departure(queue, queue->count++) = (struct departure){ time, size };
	queue->bytes += size;
	queue->red.idle_since = 0;
}

/* ---- RED (Floyd and Jacobson 1993, as in the kernel's net/red.h) -------- */

/* Without the frame that is being sent, which a qdisc has passed on. */
static double waiting_bytes(const struct queue *queue)
{
	return queue->count ? (double)(queue->bytes - departure(queue, 0)->size) : 0;
}

static void update_average(struct queue *queue, int64_t now, double bw_bps)
{
	struct red *red = &queue->red;
	double packets;

	if (red->idle_since) {
		/* As if so many small queues had been seen as could have been sent. */
		packets = (double)(now - red->idle_since) * bw_bps / 8e9 / RED_PACKET;
		red->average *= pow(1 - RED_WEIGHT, packets);
	} else {
		red->average += (waiting_bytes(queue) - red->average) * RED_WEIGHT;
	}
}

enum red_verdict { RED_PASSES, RED_MARKS };

static enum red_verdict red_decide(struct red *red, struct random *random)
{
	double probability = (red->average - RED_MIN) / (RED_MAX - RED_MIN);

	if (red->average < RED_MIN) {
		red->count = -1;
		return RED_PASSES;
	}
	if (red->average >= RED_MAX) {
		red->count = -1;
		return RED_MARKS;
	}
	if (++red->count == 0)
		red->uniform = random_unit(random);
	else if (probability * red->count >= red->uniform) {
		red->count = 0;
		red->uniform = random_unit(random);
		return RED_MARKS;
	}
	return RED_PASSES;
}

/* Returns false if RED drops the frame. */
static bool red_accepts(struct direction *direction, struct frame *frame)
{
	const struct kronos_link_params *params = &direction->params;
	struct queue *queue = &direction->queue;

	update_average(queue, frame->sent, params->bw_bps);
	if (red_decide(&queue->red, &direction->random[STREAM_RED]) == RED_MARKS) {
		if (!(params->flags & KRONOS_LINK_ECN) || !packet_mark_ce(frame))
			return false;
		direction->stats.marked++;
	}
	return waiting_bytes(queue) + (double)frame->size <= RED_LIMIT;
}

/* ---- the server -------------------------------------------------------- */

static bool has_room(const struct direction *direction, const struct frame *frame)
{
	const struct kronos_link_params *params = &direction->params;
	const struct queue *queue = &direction->queue;

	return (params->max_queue <= 0 || (int64_t)queue->count < params->max_queue) &&
	       (params->max_queue_bytes <= 0 ||
		(int64_t)(queue->bytes + frame->size) <= params->max_queue_bytes);
}

int64_t queue_send(struct direction *direction, struct frame *frame)
{
	const struct kronos_link_params *params = &direction->params;
	struct queue *queue = &direction->queue;
	int64_t departs = frame->sent;

	queue_pass(queue, frame->sent);
	if (!has_room(direction, frame)) {
		direction->stats.dropped_queue++;
		return HEAP_NEVER;
	}
	if (params->bw_bps <= 0)
		return departs;
	if (params->flags & (KRONOS_LINK_RED | KRONOS_LINK_ECN) &&
	    !red_accepts(direction, frame)) {
		direction->stats.dropped_red++;
		return HEAP_NEVER;
	}
	if (queue->busy_until > departs)
		departs = queue->busy_until;
	departs += llround((double)frame->size * 8e9 / params->bw_bps);
	queue->busy_until = departs;
	append(queue, departs, frame->size);
	return departs;
}

void queue_restart(struct queue *queue)
{
	queue->red = (struct red){ .count = -1, .idle_since = queue->red.idle_since };
}
