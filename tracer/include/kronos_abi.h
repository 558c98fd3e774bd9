/* SPDX-License-Identifier: MIT */
/*
 * What libkronos, the tracers and the engine say to each other. Private to
 * this tree: users include kronos.h. Messages are SOCK_SEQPACKET datagrams;
 * both ends come from one build, so that there are no versions to negotiate.
 */
#ifndef KRONOS_ABI_H
#define KRONOS_ABI_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "kronos.h"

#define KRONOS_RUN_DIR "/run/kronos"
#define KRONOS_SOCKET_ENV "KRONOS_SOCKET"
#define KRONOS_TRACER_ENV "KRONOS_TRACER_ID" /* of a tracer's commands */
#define KRONOS_CONTROL_FD 3	/* the engine's end of the control socket */
#define KRONOS_ERROR_MAX 256
#define KRONOS_COMMAND_MAX 1024
#define KRONOS_FILTER_MAX 512	/* instructions of a seccomp program */

enum kronos_op {
	KRONOS_OP_INITIALIZE = 1,
	KRONOS_OP_ADD_HOST,
	KRONOS_OP_KILL_HOST,
	KRONOS_OP_ADD_LINK, /* with two descriptors */
	KRONOS_OP_REMOVE_LINK,
	KRONOS_OP_SET_LINK,
	KRONOS_OP_CAPTURE, /* with a descriptor, or to end it */
	KRONOS_OP_LINK_STATS,
	KRONOS_OP_ADD_RELAY, /* with a descriptor */
	KRONOS_OP_ON_ABORT,
	KRONOS_OP_FREEZE,
	KRONOS_OP_THAW,
	KRONOS_OP_PROGRESS, /* with a descriptor if until_fd is set */
	KRONOS_OP_CLOCK,
	KRONOS_OP_TASK_CLOCK, /* the kernel engine's */
	KRONOS_OP_STATS,
	KRONOS_OP_HOST_STATS,
	KRONOS_OP_STOP,
	KRONOS_OP_FIND_HOST,
	KRONOS_OP_HOST_STATUS,
	KRONOS_OP_TASK,
	KRONOS_OP_WATCH_LINK, /* with a descriptor */
	KRONOS_OP_WATCH_FD,   /* with a descriptor */
	KRONOS_OP_UNWATCH_FD,
	KRONOS_OP_WATCH_TERMINAL, /* with a descriptor */
	KRONOS_OP_ADD_TRACER, /* among workers: a standalone tracer's host */
	KRONOS_OP_REMOVE_HOST,
};

/*
 * Where the engine of a co-simulation's timeline listens, for all those that do
 * not say otherwise. Returns -1 if there is no room.
 */
static inline int kronos_socket_of(int timeline, char *path, size_t size)
{
	const char *base = getenv(KRONOS_SOCKET_ENV);
	int length;

	if (!base)
		base = KRONOS_RUN_DIR "/engine.sock";
	length = timeline ? snprintf(path, size, "%s.%d", base, timeline) :
			    snprintf(path, size, "%s", base);
	return length < 0 || (size_t)length >= size ? -1 : 0;
}

static inline int kronos_speed_works(double speed)
{
	return (speed >= KRONOS_SPEED_MIN && speed <= KRONOS_SPEED_MAX) ||
	       (speed > 0 && __builtin_isinf(speed));
}

/* Orchestrator to engine. */
struct kronos_request {
	uint32_t op;
	uint32_t id;	    /* a host (0: the network's clock) or a link */
	uint32_t direction; /* of a link */
	uint32_t has_fd;
	int64_t arg[2];
	union {
		struct {
			uint32_t expected_tracers;
			uint32_t flags;
			uint64_t seed;
			int64_t epoch_ns;
			int32_t cpu;
			uint32_t cpus;
			char socket_path[108];
		} init;
		struct kronos_host_config host;
		struct kronos_link_config link;
		struct kronos_link_params params;
		struct kronos_relay_config relay;
		char command[KRONOS_COMMAND_MAX];
	};
};

/* Engine to orchestrator; text is the error, or what was asked for. */
struct kronos_reply {
	int64_t result;
	char text[KRONOS_ERROR_MAX];
	union {
		struct kronos_link_stats link_stats;
		struct kronos_stats stats;
		struct kronos_host_stats host_stats;
		struct kronos_host_status host_status;
		struct kronos_task task;
	};
};

/* Tracer to engine: make the sender a dilated process of this host. */
struct kronos_register {
	char host[KRONOS_NAME_MAX]; /* empty: a host of its own, as below */
	int32_t tracer_id;	    /* 0: the next free one */
	uint32_t standalone;	    /* counts as one of the expected tracers */
	uint32_t waits;		    /* no tracer: waits for the end of the experiment */
	uint32_t counter;	    /* enum kronos_counter, of a host of its own */
	double cpu_speed;
};

/* What a tracer does for a /proc/uptime in virtual time. */
enum kronos_uptime {
	KRONOS_UPTIME_LEAVE,   /* nothing */
	KRONOS_UPTIME_MOUNT,   /* mounts a file of its own over it */
	KRONOS_UPTIME_UNSHARE, /* the same, in a new mount namespace */
};

/* Engine to tracer: install the program, then exec. */
struct kronos_register_reply {
	int32_t result;
	int32_t tracer_id;
	char text[KRONOS_ERROR_MAX];
	uint32_t kernel_host; /* not 0: join this host of the kernel engine's ... */
	uint32_t kernel_hold; /* ... and wait there for a turn */
	uint32_t uptime; /* enum kronos_uptime */
	uint32_t filter_len;
	struct {
		uint16_t code;
		uint8_t jt, jf;
		uint32_t k;
	} filter[KRONOS_FILTER_MAX]; /* struct sock_filter */
};

#endif /* KRONOS_ABI_H */
