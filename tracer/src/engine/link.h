/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the virtual links share; nobody else includes it.
 *
 *   link.c     links and their ends: made, changed, removed; a frame's way
 *   frame.c    frames' memory
 *   queue.c    the server with the link's rate, its queue, RED and ECN
 *   netem.c    loss, duplication, corruption, reordering, delay and jitter
 *   random.c   seeded generators and distributions
 *   packet.c   what the engine looks at inside a frame
 *   tap.c      frames that hosts send: read and stamped
 *   deliver.c  frames that arrive at hosts
 *   capture.c  pcap files
 *   carrier.c  what one end learns of the other's being down
 */
#ifndef KRONOS_LINK_H
#define KRONOS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uthash.h>

#include "kronos_abi.h"
#include "links.h"
#include "timers.h"

#define FRAME_MAX 65600

struct capture;
struct link;

struct port {
	struct link *link;
	struct host *host;
	int end; /* 0 or 1 */
	char name[16];
	int fd;	 /* -1: removed */
	int up;
	struct capture *capture; /* NULL: none */
	uint64_t batch;	 /* number of the last one that has left by it */
	int batch_next;	 /* where in it the next is looked for */
	struct port *namesake; /* in another namespace, or removed */
	UT_hash_handle hh;     /* by name */
};

struct frame {
	struct event event;
	STAILQ_ENTRY(frame) entry; /* of those that wait to be sent */
	struct port *from;
	int64_t sent;
	size_t size;
	uint8_t data[];
};

/* ---- random numbers (random.c) ----------------------------------------- */

/* What a direction draws numbers for; each has a generator of its own. */
enum stream {
	STREAM_LOSS,
	STREAM_DUPLICATE,
	STREAM_CORRUPT,
	STREAM_REORDER,
	STREAM_JITTER,
	STREAM_RED,
	STREAM_COUNT,
};

struct random {
	uint64_t state;
	double last; /* what a correlated number depends on */
};

void random_seed(struct random *random, uint64_t seed, uint64_t stream);
uint64_t random_bits(struct random *random);
double random_unit(struct random *random); /* (0, 1) */
/* As netem's get_crandom(): a part of it is the last one. */
double random_correlated(struct random *random, double correlation);
/* Such a number as a distribution with mean 0 and standard deviation 1, as netem's. */
double random_shape(enum kronos_distribution distribution, double unit);

/* ---- one direction of a link ------------------------------------------- */

struct departure {
	int64_t time;
	size_t size;
};

/* Random early detection, with the names of the paper and of the kernel. */
struct red {
	double average;	    /* bytes */
	int count;	    /* frames since the last mark; -1: below the minimum */
	double uniform;	    /* the random number that the next mark depends on */
	int64_t idle_since; /* the queue is empty; 0: it is not */
};

struct queue {
	struct departure *ring; /* of frames that wait or are being sent */
	size_t first, count, capacity;
	size_t bytes;
	int64_t busy_until; /* the last frame has left then */
	struct red red;
};

struct direction {
	struct kronos_link_params params;
	struct kronos_link_stats stats;
	struct random random[STREAM_COUNT];
	struct queue queue;
	bool bad;	  /* the Gilbert-Elliott model's state */
	uint32_t in_turn; /* frames since the last reordered one */
	int64_t last_arrival;
};

struct link {
	uint32_t id;
	bool removed;
	struct port port[2];
	struct direction direction[2]; /* [0]: from port 0 to port 1 */
};

static inline struct direction *direction_of(const struct frame *frame)
{
	return &frame->from->link->direction[frame->from->end];
}

static inline struct port *receiver_of(const struct frame *frame)
{
	return &frame->from->link->port[!frame->from->end];
}

/* ---- a frame's way ----------------------------------------------------- */

struct frame *frame_new(struct port *from, const void *data, size_t size);
void frame_free(struct frame *frame);
/* Whether there is no memory left for what is sent; said once. */
bool frames_are_too_many(const struct port *port);
/* A frame that has left its host at frame->sent goes through the model. */
void frame_send(struct frame *frame);
/* The same, of one that the host's kernel knows nothing of. */
void frame_go(struct frame *frame);

/* Forgets the frames that have left by then. */
void queue_pass(struct queue *queue, int64_t now);
/* When the frame has been sent; HEAP_NEVER if there is no room for it. */
int64_t queue_send(struct direction *direction, struct frame *frame);
void queue_restart(struct queue *queue);

/* How many of the frame travel: 0 if it is lost, 2 if it is duplicated. */
int netem_copies(struct direction *direction);
/* Whether a duplicate, which is not duplicated again, is lost. */
bool netem_loses(struct direction *direction);
void netem_corrupt(struct direction *direction, struct frame *frame);
/* When a frame that has left its queue at `departs` arrives. */
int64_t netem_arrival(struct direction *direction, int64_t departs);

bool packet_is_tcp(const struct frame *frame);
/* Whom a frame asks for by ARP, or by IPv6's neighbour discovery. */
struct neighbour {
	uint8_t family;
	uint8_t size; /* of the address */
	uint8_t address[16];
};
bool packet_asks(const struct frame *frame, struct neighbour *neighbour);
/* A number for all that a switch may decide by: addresses, protocol, ports. */
uint64_t packet_flow(const struct frame *frame);
/* Congestion experienced; false if its sender does not understand that. */
bool packet_mark_ce(struct frame *frame);

/* When the frame that a host has just sent has left it. */
int64_t departure_time(struct host *host, const struct frame *frame);
/* Puts it among those that leave when the host has done what it was asked for. */
void departure_hold(struct frame *frame);
bool departure_is_held(void);

/* The frame arrives then. */
void deliver_at(struct frame *frame, int64_t arrival);

/* The port with this name in this namespace, or NULL. */
struct port *port_find(const struct tcp_space *space, const char *name);

void tap_watch(struct port *port);
void tap_forget(struct port *port);

/* To a pcap file, whose descriptor it takes over; 0 or a negative errno. */
int capture_start(struct port *port, int fd);
void capture_stop(struct port *port);
/* The frame leaves the port, or arrives at it. */
void capture_frame(const struct port *port, const struct frame *frame, int64_t time);

#endif /* KRONOS_LINK_H */
