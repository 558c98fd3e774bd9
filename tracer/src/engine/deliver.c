// SPDX-License-Identifier: MIT
/*
 * Frames that arrive. To most hosts each is an event of its own.
 *
 * A switch that answers in zero virtual time is woken once for many frames:
 * all that arrive before anything else can happen to it. What it forwards
 * unchanged is recognized and leaves when it came, as if it had been woken for
 * each. That is done with frames of flows that it has lately forwarded so, and
 * need no answer of anybody else's; others it gets one by one.
 */
#include <errno.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "engine.h"
#include "host.h"
#include "link.h"
#include "rounds.h"
#include "stamps.h"
#include "task.h"

#define BATCH_MAX 64
#define BATCH_BACKOFF 1000

#define FLOWS 4096
#define FLOW_AGE (500 * NSEC_PER_MSEC)

static struct {
	struct frame *in[BATCH_MAX];
	int count;
	uint64_t number;
	STAILQ_HEAD(, frame) out; /* by time of departure */
} batch = { .out = STAILQ_HEAD_INITIALIZER(batch.out) };

/* Flows that were forwarded unchanged, and when last. */
static struct flow {
	uint64_t key;
	int64_t seen;
} flows[FLOWS];

static uint64_t flow_key(const struct frame *frame)
{
	/* Where it arrives is part of it. */
	return packet_flow(frame) ^ (uint64_t)(uintptr_t)receiver_of(frame);
}

static bool flow_is_known(const struct frame *frame, int64_t now)
{
	uint64_t key = flow_key(frame);
	const struct flow *flow = &flows[key % FLOWS];

	return flow->key == key && now - flow->seen < FLOW_AGE;
}

static void flow_note(const struct frame *frame)
{
	uint64_t key = flow_key(frame);

	flows[key % FLOWS] = (struct flow){ key, frame->event.node.time };
}

static void deliver(struct frame *frame)
{
	struct kronos_link_stats *stats = &direction_of(frame)->stats;
	const struct port *to = receiver_of(frame);
	int64_t real = stamps_begin(to->host);

	/* An interface that is down, or gone, refuses it. */
	if (write(to->fd, frame->data, frame->size) == (ssize_t)frame->size) {
		stats->rx_frames++;
		stats->rx_bytes += frame->size;
		engine.stats.frames++;
		if (to->capture)
			capture_frame(to, frame, host_now(to->host));
	} else {
		stats->dropped_down++;
	}
	stamps_end(to->host, real, host_now(to->host));
	stats->queued--;
}

/* Until when nothing but frames that are known already can reach the host. */
static int64_t batch_horizon(const struct host *host)
{
	int64_t horizon = engine.window_end;

	if (host->lookahead < engine.window_end - engine.now || host->singly)
		return engine.now;
	for (uint32_t i = 0; i < engine.host_count; i++) {
		const struct host *other = engine.hosts[i];

		/* Who shares the switches' namespace may talk to them. */
		if (other != host && (host_is_instant(other) || !other->tcp) &&
		    host_next(other) < horizon)
			horizon = host_next(other);
	}
	return horizon;
}

static void arrive(struct event *event, struct host *host);

/* The frame that an event is the arrival of, if it may be one of a batch. */
static struct frame *batchable(struct event *event)
{
	struct frame *frame = container_of(event, struct frame, event);

	if (event->fire != arrive || !flow_is_known(frame, event->node.time))
		return NULL;
	return frame;
}

static void deliver_batch(struct host *host)
{
	int64_t horizon = batch_horizon(host);
	struct heap_node *node;
	struct frame *frame;

	while (batch.count < BATCH_MAX && (node = heap_first(&host->events)) &&
	       node->time < horizon &&
	       (frame = batchable(container_of(node, struct event, node)))) {
		heap_remove(&host->events, node);
		host_advance(host, node->time);
		batch.in[batch.count++] = frame;
		deliver(frame);
	}
}

static void arrive(struct event *event, struct host *host)
{
	struct frame *frame = container_of(event, struct frame, event);

	deliver(frame);
	if (host_is_instant(host) && !engine.live && batch.count < BATCH_MAX) {
		if (host->singly)
			host->singly--;
		batch.in[batch.count++] = frame;
		if (batchable(event))
			deliver_batch(host);
	} else {
		frame_free(frame);
	}
	task_drain();
	link_read_host(host);
}

void deliver_at(struct frame *frame, int64_t arrival)
{
	frame->event.fire = arrive;
	host_add_event(receiver_of(frame)->host, &frame->event, arrival);
}

/* ---- what a switch forwards -------------------------------------------- */

/* Which frame of the batch it is; -1: none. Equal ones leave in turn. */
static int find_in_batch(const struct frame *frame)
{
	struct port *port = frame->from;
	int start = port->batch == batch.number ? port->batch_next : 0;

	for (int n = 0; n < batch.count; n++) {
		int i = (start + n) % batch.count;

		if (batch.in[i]->size != frame->size ||
		    memcmp(batch.in[i]->data, frame->data, frame->size) != 0)
			continue;
		port->batch = batch.number;
		port->batch_next = i + 1;
		return i;
	}
	return -1;
}

int64_t departure_time(struct host *host, const struct frame *frame)
{
	int i = find_in_batch(frame);

	if (i >= 0)
		flow_note(batch.in[i]);
	if (batch.count <= 1)
		return rounds_stamp(host);
	if (i >= 0)
		return batch.in[i]->event.node.time;
	host->singly = BATCH_BACKOFF;
	return host_now(host);
}

bool departure_is_held(void)
{
	return batch.count > 1;
}

void departure_hold(struct frame *frame)
{
	struct frame *after = NULL, *other;

	STAILQ_FOREACH(other, &batch.out, entry)
		if (other->sent <= frame->sent)
			after = other;
	if (after)
		STAILQ_INSERT_AFTER(&batch.out, after, frame, entry);
	else
		STAILQ_INSERT_HEAD(&batch.out, frame, entry);
}

void link_flush(void)
{
	struct frame *frame;

	while ((frame = STAILQ_FIRST(&batch.out))) {
		STAILQ_REMOVE_HEAD(&batch.out, entry);
		frame_send(frame);
	}
	while (batch.count)
		frame_free(batch.in[--batch.count]);
	batch.number++;
}
