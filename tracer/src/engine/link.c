// SPDX-License-Identifier: MIT
/*
 * Virtual links. Each end is a TAP device in its host's namespace. A frame
 * that leaves one end at the sender's virtual time t waits for the frames
 * before it, is sent at the link's rate, and arrives after the delay:
 *
 *   arrival = t + waiting + 8 * bytes / bw + delay + jitter
 *
 * bytes is the Ethernet frame without preamble and checksum. Frames of one
 * direction are never reordered. Arrival is an event of the receiving host.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "engine.h"

#define FRAME_MAX 65600
#define ETH_TYPE 12
#define ETH_IPV4_PROTOCOL 23
#define ETH_IPV6_PROTOCOL 20
#define PROTOCOL_TCP 6

struct port {
	struct link *link;
	struct host *host;
	int end; /* 0 or 1 */
	int fd;
	char name[16];
};

struct departure {
	STAILQ_ENTRY(departure) entry;
	int64_t time;
};

struct direction {
	struct kronos_link_params params;
	struct kronos_link_stats stats;
	uint64_t random;	/* state of the generator */
	int64_t busy_until;	/* the last frame has left then */
	int64_t last_arrival;
	STAILQ_HEAD(, departure) departures; /* of frames still in the queue */
	int64_t in_queue;
};

struct link {
	uint32_t id;
	struct port port[2];
	struct direction direction[2]; /* [0]: from port 0 to port 1 */
};

struct frame {
	struct event event;
	STAILQ_ENTRY(frame) entry; /* of the inbox */
	struct port *from;
	int64_t sent;
	size_t size;
	uint8_t data[];
};

static struct link **links;
static uint32_t link_count;
static uint64_t seed;

/* What the watchdog has read and the worker has not yet taken. */
static STAILQ_HEAD(, frame) inbox = STAILQ_HEAD_INITIALIZER(inbox);


/* ---- random numbers (splitmix64) --------------------------------------- */

static uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static void random_seed(struct direction *direction, uint32_t link, int end)
{
	uint64_t stream = (uint64_t)link * 2 + (uint64_t)end;

	direction->random = seed ^ stream * 0xd1342543de82ef95;
}

void link_init(uint64_t experiment_seed)
{
	seed = experiment_seed;
}

/* How many frames there were before depends on real time. */
void link_restart_random(void)
{
	for (uint32_t id = 0; id < link_count; id++)
		for (int end = 0; end < 2; end++)
			random_seed(&links[id]->direction[end], id, end);
}

static double random_unit(uint64_t *state) /* [0, 1) */
{
	return (double)(random_next(state) >> 11) * 0x1p-53;
}

static double random_normal(uint64_t *state)
{
	double u = 1.0 - random_unit(state), v = random_unit(state);

	return sqrt(-2.0 * log(u)) * cos(2.0 * M_PI * v);
}

/* ---- the model --------------------------------------------------------- */

static void leave_queue(struct direction *direction, int64_t now)
{
	struct departure *first;

	while ((first = STAILQ_FIRST(&direction->departures)) &&
	       first->time <= now) {
		STAILQ_REMOVE_HEAD(&direction->departures, entry);
		direction->in_queue--;
		free(first);
	}
}

static void enter_queue(struct direction *direction, int64_t departs)
{
	struct departure *departure = xcalloc(sizeof(*departure));

	departure->time = departs;
	STAILQ_INSERT_TAIL(&direction->departures, departure, entry);
	direction->in_queue++;
}

/* The frame's arrival, or HEAP_NEVER if it is dropped. */
static int64_t transmit(struct direction *direction, int64_t now, size_t size)
{
	const struct kronos_link_params *params = &direction->params;
	int64_t departs = now, arrival;

	leave_queue(direction, now);
	if (params->loss > 0 && random_unit(&direction->random) < params->loss) {
		direction->stats.dropped_loss++;
		return HEAP_NEVER;
	}
	if (params->max_queue > 0 && direction->in_queue >= params->max_queue) {
		direction->stats.dropped_queue++;
		return HEAP_NEVER;
	}
	if (params->bw_bps > 0) {
		if (direction->busy_until > now)
			departs = direction->busy_until;
		departs += llround((double)size * 8e9 / params->bw_bps);
		direction->busy_until = departs;
		enter_queue(direction, departs);
	}
	direction->stats.tx_frames++;
	direction->stats.tx_bytes += size;
	arrival = departs + params->delay_ns;
	if (params->jitter_ns > 0) {
		arrival += llround(random_normal(&direction->random) *
				   (double)params->jitter_ns);
		if (arrival < departs)
			arrival = departs;
	}
	if (arrival < direction->last_arrival)
		arrival = direction->last_arrival;
	direction->last_arrival = arrival;
	return arrival;
}

static bool is_tcp(const struct frame *frame)
{
	uint16_t type;

	if (frame->size <= ETH_IPV4_PROTOCOL)
		return false;
	type = (uint16_t)(frame->data[ETH_TYPE] << 8 | frame->data[ETH_TYPE + 1]);
	return (type == 0x0800 && frame->data[ETH_IPV4_PROTOCOL] == PROTOCOL_TCP) ||
	       (type == 0x86dd && frame->data[ETH_IPV6_PROTOCOL] == PROTOCOL_TCP);
}

static void note_tcp(struct host *host, const struct frame *frame)
{
	if (is_tcp(frame) && host->diag)
		host->tcp_seen = engine.tcp_seen = true;
}

static struct frame *frame_new(struct port *from, const void *data, size_t size)
{
	struct frame *frame = xrealloc(NULL, sizeof(*frame) + size);

	memset(frame, 0, sizeof(*frame));
	frame->from = from;
	frame->size = size;
	memcpy(frame->data, data, size);
	return frame;
}

static void frame_arrive(struct event *event, struct host *host);

/* The frame is on its way to its receiver, a host of this worker. */
static void frame_await(struct frame *frame, int64_t arrival)
{
	struct port *from = frame->from;
	struct direction *direction = &from->link->direction[from->end];
	struct host *receiver = from->link->port[!from->end].host;
	int64_t late = engine.live ? 0 : host_now(receiver) - arrival;

	if (late > 0) {
		direction->stats.late++;
		engine.stats.late_frames++;
		if (late > direction->stats.max_late_ns)
			direction->stats.max_late_ns = late;
	}
	note_tcp(receiver, frame);
	frame->event.fire = frame_arrive;
	host_add_event(receiver, &frame->event, arrival);
}

static void frame_send(struct frame *frame)
{
	struct port *from = frame->from;
	struct direction *direction = &from->link->direction[from->end];
	struct host *receiver = from->link->port[!from->end].host;
	int64_t arrival = transmit(direction, frame->sent, frame->size);

	watch_frame(from->link->id, frame->data, frame->size);
	if (arrival == HEAP_NEVER) {
		free(frame);
		return;
	}
	note_tcp(from->host, frame);
	direction->stats.queued++;
	if (receiver->remote) {
		wire_send(receiver->worker, from->link->id, (uint32_t)from->end,
			  arrival, frame->data, frame->size);
		free(frame);
	} else {
		frame_await(frame, arrival);
	}
}

void link_receive(uint32_t link, uint32_t end, int64_t arrival, const void *data,
		  size_t size)
{
	struct frame *frame = frame_new(&links[link]->port[end], data, size);

	frame_await(frame, arrival);
}

/* ---- delivering -------------------------------------------------------- */

/*
 * A switch that answers in zero virtual time is woken once for many frames:
 * all that arrive before anything else can happen to it. What it forwards
 * unchanged is recognized and leaves when it came, as if it had been woken for
 * each. A switch that changes frames, or makes its own, gets them one by one.
 */
#define BATCH_MAX 64
#define BATCH_BACKOFF 1000

static struct {
	struct frame *in[BATCH_MAX];
	int count;
	STAILQ_HEAD(, frame) out; /* by time of departure */
} batch = { .out = STAILQ_HEAD_INITIALIZER(batch.out) };

static void deliver(struct frame *frame)
{
	struct port *from = frame->from;
	struct direction *direction = &from->link->direction[from->end];
	struct port *to = &from->link->port[!from->end];

	/* An interface that is down refuses it, as a wire with nobody there. */
	if (write(to->fd, frame->data, frame->size) == (ssize_t)frame->size) {
		direction->stats.rx_frames++;
		direction->stats.rx_bytes += frame->size;
		engine.stats.frames++;
	}
	direction->stats.queued--;
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

static void deliver_batch(struct host *host)
{
	int64_t horizon = batch_horizon(host);
	struct heap_node *node;
	struct event *event;

	while (batch.count < BATCH_MAX && (node = heap_first(&host->events)) &&
	       node->time < horizon) {
		event = container_of(node, struct event, node);
		if (event->fire != frame_arrive)
			break;
		heap_remove(&host->events, node);
		host_advance(host, node->time);
		batch.in[batch.count] = container_of(event, struct frame, event);
		deliver(batch.in[batch.count++]);
	}
}

static void frame_arrive(struct event *event, struct host *host)
{
	struct frame *frame = container_of(event, struct frame, event);

	deliver(frame);
	if (host_is_instant(host) && !engine.live && batch.count < BATCH_MAX) {
		if (host->singly)
			host->singly--;
		batch.in[batch.count++] = frame;
		deliver_batch(host);
	} else {
		free(frame);
	}
	task_drain();
	if (host->tap_epoll >= 0)
		link_read_host(host);
	else
		link_collect();
}

/* When the frame that a host has just sent has left it. */
static int64_t departure_time(struct host *host, const struct frame *frame)
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

static void frame_hold(struct frame *frame)
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
		free(batch.in[--batch.count]);
}

/* ---- reading ----------------------------------------------------------- */

static struct frame *frame_read(struct port *port, uint8_t *buffer)
{
	ssize_t size = read(port->fd, buffer, FRAME_MAX);

	return size > 0 ? frame_new(port, buffer, (size_t)size) : NULL;
}

bool link_inbox(void)
{
	return !STAILQ_EMPTY(&inbox);
}

void link_read_stamped(struct port *port)
{
	static uint8_t buffer[FRAME_MAX]; /* the watchdog's */
	uint64_t now = tsc_now();
	struct frame *frame;
	bool any = false;

	engine_lock();
	while ((frame = frame_read(port, buffer))) {
		frame->sent = engine.slice.host == port->host && !engine.live ?
				      slice_time(&engine.slice, now) :
				      rounds_stamp(port->host);
		STAILQ_INSERT_TAIL(&inbox, frame, entry);
		any = true;
	}
	slice_exclude(tsc_now() - now);
	engine_unlock();
	if (!any) /* the interface is gone */
		watchdog_forget(port->fd);
	else if (engine.worker_sleeps)
		eventfd_signal(engine.wake);
}

void link_collect(void)
{
	STAILQ_HEAD(, frame) taken = STAILQ_HEAD_INITIALIZER(taken);
	struct frame *frame;

	engine_lock();
	STAILQ_CONCAT(&taken, &inbox);
	engine_unlock();
	while ((frame = STAILQ_FIRST(&taken))) {
		STAILQ_REMOVE_HEAD(&taken, entry);
		frame_send(frame);
	}
}

void link_read_host(struct host *host)
{
	static uint8_t buffer[FRAME_MAX]; /* the worker's */
	struct epoll_event events[16];
	struct frame *frame;
	struct port *port;
	int count;

	do {
		count = epoll_wait(host->tap_epoll, events, 16, 0);
		for (int i = 0; i < count; i++) {
			port = events[i].data.ptr;
			frame = frame_read(port, buffer);
			if (!frame) { /* the interface is gone */
				epoll_ctl(host->tap_epoll, EPOLL_CTL_DEL, port->fd,
					  NULL);
				continue;
			}
			do {
				frame->sent = departure_time(host, frame);
				if (batch.count > 1)
					frame_hold(frame);
				else
					frame_send(frame);
			} while ((frame = frame_read(port, buffer)));
		}
	} while (count == 16);
}

bool link_read_all(void)
{
	struct epoll_event events[16];
	int count = epoll_wait(engine.tap_epoll, events, 16, 0);
	bool any = count > 0 || !STAILQ_EMPTY(&inbox);

	for (int i = 0; i < count; i++)
		link_read_host(events[i].data.ptr);
	link_collect();
	return any;
}

/* ---- set-up ------------------------------------------------------------ */

static const char *bad_params(const struct kronos_link_params *params)
{
	if (!(params->bw_bps >= 0))
		return "bw must not be negative";
	if (params->delay_ns < 0)
		return "delay must not be negative";
	if (params->jitter_ns < 0)
		return "jitter must not be negative";
	if (!(params->loss >= 0 && params->loss <= 1))
		return "loss must be between 0 and 100 %";
	if (params->max_queue < 0)
		return "max_queue_size must not be negative";
	return NULL;
}

static void note_delay(struct host *receiver,
		       const struct kronos_link_params *params)
{
	if (params->delay_ns < receiver->lookahead)
		receiver->lookahead = params->delay_ns;
}

static void port_init(struct link *link, int end, struct host *host, int fd,
		      const char *name)
{
	struct port *port = &link->port[end];

	*port = (struct port){ .link = link, .host = host, .end = end, .fd = fd };
	memcpy(port->name, name, sizeof(port->name));
	if (host->remote) {
		close(fd);
		return;
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (host->tap_epoll < 0)
		watchdog_watch_tap(fd, port);
	else
		epoll_ctl(host->tap_epoll, EPOLL_CTL_ADD, fd,
			  &(struct epoll_event){ .events = EPOLLIN,
						 .data.ptr = port });
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
	link = xcalloc(sizeof(*link));
	link->id = link_count;
	for (int end = 0; end < 2; end++) {
		struct direction *direction = &link->direction[end];

		direction->params = config->dir[end];
		note_delay(host[!end], &direction->params);
		random_seed(direction, link_count, end);
		STAILQ_INIT(&direction->departures);
		port_init(link, end, host[end], config->tap_fd[end],
			  config->name[end]);
	}
	links = xrealloc(links, (link_count + 1) * sizeof(struct link *));
	links[link_count] = link;
	return (int)link_count++;
}

int link_set(uint32_t id, uint32_t direction,
	     const struct kronos_link_params *params)
{
	if (id >= link_count || direction > 1 || bad_params(params))
		return -EINVAL;
	links[id]->direction[direction].params = *params;
	note_delay(links[id]->port[!direction].host, params);
	return 0;
}

bool link_exists(uint32_t id)
{
	return id < link_count;
}

int link_stats(uint32_t id, uint32_t direction, struct kronos_link_stats *stats)
{
	if (id >= link_count || direction > 1)
		return -EINVAL;
	*stats = links[id]->direction[direction].stats;
	return 0;
}
