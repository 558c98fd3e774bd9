// SPDX-License-Identifier: MIT
/*
 * Virtual links. Each end is a TAP device in its host's namespace. A frame
 * that leaves one end at the sender's virtual time t waits for the frames
 * before it, is sent at the link's rate, and arrives after the delay:
 *
 *   arrival = t + waiting + 8 * bytes / bw + delay + jitter
 *
 * bytes is the Ethernet frame without preamble and checksum. Arrival is an
 * event of the receiving host.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "host.h"
#include "link.h"
#include "live.h"
#include "neighbours.h"
#include "tcp_timers.h"
#include "watch.h"
#include "wire.h"

static struct link **links;
static uint32_t link_count;
static struct port *named;
static uint64_t seed;

/* ---- a frame's way ----------------------------------------------------- */

static void note_tcp(struct host *host, const struct frame *frame)
{
	if (host->tcp && packet_is_tcp(frame))
		tcp_note(host);
}

/* It is on its way to its receiver, a host of this worker. */
static void frame_await(struct frame *frame, int64_t arrival)
{
	struct direction *direction = direction_of(frame);
	struct host *receiver = receiver_of(frame)->host;
	int64_t late = engine.live ? 0 : host_now(receiver) - arrival;

	if (late > 0) {
		direction->stats.late++;
		engine.stats.late_frames++;
		if (late > direction->stats.max_late_ns)
			direction->stats.max_late_ns = late;
	}
	note_tcp(receiver, frame);
	deliver_at(frame, arrival);
}

static void launch(struct frame *frame, int64_t arrival)
{
	const struct port *from = frame->from;
	const struct host *receiver = receiver_of(frame)->host;

	direction_of(frame)->stats.queued++;
	note_tcp(from->host, frame);
	if (!receiver->remote) {
		frame_await(frame, arrival);
		return;
	}
	wire_send(receiver->worker, from->link->id, (uint32_t)from->end, arrival,
		  frame->data, frame->size);
	frame_free(frame);
}

static void transmit(struct direction *direction, struct frame *frame)
{
	int64_t departs;

	netem_corrupt(direction, frame);
	departs = queue_send(direction, frame);
	if (departs == HEAP_NEVER) {
		frame_free(frame);
		return;
	}
	direction->stats.tx_frames++;
	direction->stats.tx_bytes += frame->size;
	launch(frame, netem_arrival(direction, departs));
}

static void duplicate(struct direction *direction, const struct frame *frame)
{
	struct frame *copy = frame_new(frame->from, frame->data, frame->size);

	copy->sent = frame->sent;
	direction->stats.duplicated++;
	if (netem_loses(direction)) {
		direction->stats.dropped_loss++;
		frame_free(copy);
	} else {
		transmit(direction, copy);
	}
}

void frame_send(struct frame *frame)
{
	if (neighbours_ask(frame->from->host, frame))
		frame_free(frame);
	else
		frame_go(frame);
}

void frame_go(struct frame *frame)
{
	struct direction *direction = direction_of(frame);
	int copies;

	watch_frame(frame->from->link->id, frame->data, frame->size);
	if (frame->from->capture)
		capture_frame(frame->from, frame, frame->sent);
	if (frame->from->link->removed || frames_are_too_many(frame->from)) {
		direction->stats.dropped_queue++;
		frame_free(frame);
		return;
	}
	copies = netem_copies(direction);
	if (copies == 0) {
		direction->stats.dropped_loss++;
		frame_free(frame);
		return;
	}
	if (copies == 2)
		duplicate(direction, frame);
	transmit(direction, frame);
}

void link_receive(uint32_t link, uint32_t end, int64_t arrival, const void *data,
		  size_t size)
{
	frame_await(frame_new(&links[link]->port[end], data, size), arrival);
}

/* ---- set-up ------------------------------------------------------------ */

void link_init(uint64_t experiment_seed)
{
	seed = experiment_seed;
}

static void direction_restart(struct link *link, int end)
{
	struct direction *direction = &link->direction[end];
	uint64_t stream = ((uint64_t)link->id * 2 + (uint64_t)end) * STREAM_COUNT;

	for (int i = 0; i < STREAM_COUNT; i++)
		random_seed(&direction->random[i], seed, stream + (uint64_t)i);
	queue_restart(&direction->queue);
	direction->bad = false;
	direction->in_turn = 0;
}

/* How many frames there were before depends on real time. */
void link_restart_random(void)
{
	for (uint32_t id = 0; id < link_count; id++)
		for (int end = 0; end < 2; end++)
			direction_restart(links[id], end);
}

static bool probabilities(const double *value, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!(value[i] >= 0 && value[i] <= 1))
			return false;
	return true;
}

static const char *bad_params(const struct kronos_link_params *params)
{
	if (!(params->bw_bps >= 1) && params->bw_bps != 0)
		return "bw must be at least 1 bit/s, or 0";
	if (params->delay_ns < 0 || params->delay_ns > KRONOS_DURATION_MAX)
		return "delay must not be negative, and at most ten years";
	if (params->jitter_ns < 0 || params->jitter_ns > KRONOS_DURATION_MAX)
		return "jitter must not be negative, and at most ten years";
	if (params->max_queue < 0 || params->max_queue_bytes < 0)
		return "max_queue_size must not be negative";
	if (!probabilities(&params->loss, 1))
		return "loss must be between 0 and 100 %";
	if (!probabilities(params->probabilities, KRONOS_PROBABILITIES))
		return "probabilities and correlations must be between 0 and 100 %";
	return NULL;
}

static void note_delay(struct host *receiver,
		       const struct kronos_link_params *params)
{
	int64_t delay = params->reorder > 0 ? 0 : params->delay_ns;

	if (delay < receiver->lookahead)
		receiver->lookahead = delay;
}

/* The first of a name, which is never removed, leads to the others: the last comes next. */
static void port_name(struct port *port, const char *name)
{
	struct port *first;

	memcpy(port->name, name, sizeof(port->name));
	port->name[sizeof(port->name) - 1] = '\0';
	HASH_FIND_STR(named, port->name, first);
	if (!first) {
		HASH_ADD_STR(named, name, port);
		return;
	}
	port->namesake = first->namesake;
	first->namesake = port;
}

static void port_init(struct link *link, int end, struct host *host, int fd,
		      const char *name)
{
	struct port *port = &link->port[end];

	*port = (struct port){ .link = link, .host = host, .end = end, .fd = fd };
	port_name(port, name);
	port->up = true;
	if (!host->remote)
		tap_watch(port);
}

int link_add(const struct kronos_link_config *config, char *error, size_t size)
{
	struct host *host[2];
	struct link *link;
	const char *bad;

	for (int end = 0; end < 2; end++) {
		host[end] = host_get(config->host[end]);
		bad = bad_params(&config->dir[end]);
		if (!host[end] || bad) {
			snprintf(error, size, "link %s-%s: %s", config->name[0],
				 config->name[1], bad ? bad : "unknown host");
			return -EINVAL;
		}
	}
	carrier_update(); /* what happened to its interfaces before is no change */
	link = xcalloc(sizeof(*link));
	link->id = link_count;
	for (int end = 0; end < 2; end++) {
		link->direction[end].params = config->dir[end];
		note_delay(host[!end], &config->dir[end]);
		direction_restart(link, end);
		port_init(link, end, host[end], config->tap_fd[end],
			  config->name[end]);
	}
	links = xrealloc(links, (link_count + 1) * sizeof(struct link *));
	links[link_count] = link;
	return (int)link_count++;
}

struct port *port_find(const struct tcp_space *space, const char *name)
{
	struct port *port;

	HASH_FIND_STR(named, name, port);
	for (; port; port = port->namesake)
		if (!port->link->removed && !port->host->remote && port->host->tcp == space)
			return port;
	return NULL;
}

static struct link *link_get(uint32_t id)
{
	return id < link_count && !links[id]->removed ? links[id] : NULL;
}

int link_set(uint32_t id, uint32_t direction, const struct kronos_link_params *params,
	     char *error, size_t size)
{
	struct link *link = link_get(id);
	const char *bad = !link || direction > 1 ? "there is no such link" :
						   bad_params(params);

	if (bad) {
		snprintf(error, size, "link %u: %s", id, bad);
		return -EINVAL;
	}
	link->direction[direction].params = *params;
	note_delay(link->port[!direction].host, params);
	return 0;
}

uint32_t links_added(void)
{
	return link_count;
}

bool link_exists(uint32_t id)
{
	return link_get(id);
}

int link_stats(uint32_t id, uint32_t direction, struct kronos_link_stats *stats)
{
	struct direction *counted;

	if (id >= link_count || direction > 1)
		return -EINVAL;
	counted = &links[id]->direction[direction];
	queue_pass(&counted->queue, engine.live ? live_now() : engine.now);
	*stats = counted->stats;
	stats->queue_frames = counted->queue.count;
	stats->queue_bytes = counted->queue.bytes;
	return 0;
}

int link_remove(uint32_t id)
{
	struct link *link = link_get(id);

	if (!link)
		return -EINVAL;
	link->removed = true;
	for (int end = 0; end < 2; end++) {
		capture_stop(&link->port[end]);
		tap_forget(&link->port[end]);
	}
	return 0;
}

int link_capture(uint32_t id, uint32_t end, int fd)
{
	struct link *link = link_get(id);

	if (!link || end > 1)
		return -EINVAL;
	capture_stop(&link->port[end]);
	if (fd < 0)
		return 0;
	if (link->port[end].host->remote) {
		close(fd);
		return 0;
	}
	return capture_start(&link->port[end], fd);
}
