// SPDX-License-Identifier: MIT
/*
 * Frames that arrive. To most hosts each is an event of its own.
 *
 * A switch that answers in zero virtual time is woken once for many frames:
 * all that arrive before anything else can happen to it. What it forwards
 * unchanged is recognized and leaves when it came, as if it had been woken for
 * each. A switch that changes frames, or makes its own, gets them one by one.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "link.h"

#define BATCH_MAX 64
#define BATCH_BACKOFF 1000

static struct {
	struct frame *in[BATCH_MAX];
	int count;
	STAILQ_HEAD(, frame) out; /* by time of departure */
} batch = { .out = STAILQ_HEAD_INITIALIZER(batch.out) };

static void deliver(struct frame *frame)
{
	struct kronos_link_stats *stats = &direction_of(frame)->stats;
	const struct port *to = receiver_of(frame);

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

		if (other != host && host_is_instant(other) &&
		    host_next(other) < horizon)
			horizon = host_next(other);
	}
	return horizon;
}

static void arrive(struct event *event, struct host *host);

static void deliver_batch(struct host *host)
{
	int64_t horizon = batch_horizon(host);
	struct heap_node *node;
	struct event *event;

	while (batch.count < BATCH_MAX && (node = heap_first(&host->events)) &&
	       node->time < horizon) {
		event = container_of(node, struct event, node);
		if (event->fire != arrive)
			break;
		heap_remove(&host->events, node);
		host_advance(host, node->time);
		batch.in[batch.count] = container_of(event, struct frame, event);
		deliver(batch.in[batch.count++]);
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

int64_t departure_time(struct host *host, const struct frame *frame)
{
	if (batch.count > 1) {
		for (int i = 0; i < batch.count; i++)
			if (batch.in[i]->size == frame->size &&
			    !memcmp(batch.in[i]->data, frame->data, frame->size))
				return batch.in[i]->event.node.time;
		host->singly = BATCH_BACKOFF;
	}
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
}
