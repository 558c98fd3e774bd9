/* SPDX-License-Identifier: MIT */
/* A logical process: its clock, its events, its ready tasks. */
#ifndef KRONOS_HOST_H
#define KRONOS_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uthash.h>

#include "heap.h"
#include "kronos_abi.h"

struct event;
struct question;
struct stamp_map;
struct task;
struct tcp_space;
struct terminal;
struct timer;

TAILQ_HEAD(task_queue, task);
LIST_HEAD(task_list, task);

/*
 * A logical process: a Mininet host, the switches, or the SDN controller.
 * Clocks are values of its CLOCK_MONOTONIC, in ns.
 */
struct host {
	uint32_t id;
	char name[KRONOS_NAME_MAX];
	enum kronos_pace pace;
	enum kronos_counter counter;
	double cpu_speed;
	uint64_t mult;		/* virtual ns per TSC tick, 32.32; 0: free */
	uint64_t instruction_mult; /* virtual ns per instruction, 32.32; 0: not counted */
	uint32_t instruction_rest; /* of the last one, in 2^-32 ns */
	uint32_t cores;		/* virtual CPUs */

	int64_t clock;		/* may lag behind the window while idle */
	int64_t ahead;		/* it has used the time until then already */
	struct kronos_host_stats stats;
	int64_t burst;		/* real ns computed since the clock last moved */
	int64_t busy;		/* CPU time of its tasks, in virtual ns */
	struct heap events;
	LIST_HEAD(, timer) lagging; /* see timer.c */
	struct task_queue ready; /* stopped tasks that want to run: turns.c */
	int64_t received;	/* by whoever of them had received least */
	struct task_list tasks;
	struct task_list handovers; /* see handover.h */
	LIST_HEAD(, uptime_file) uptimes;
	unsigned int task_count;
	unsigned int parked;	/* of these, see park.h */
	struct heap_node key;	/* in engine.active, by host_next() */
	int tap_epoll;		/* its TAPs, if the worker reads them; or -1 */
	int64_t lookahead;	/* the least delay of the links to it */
	unsigned int singly;	/* frames to be delivered one by one: see link.c */
	struct stamp_map *stamps; /* NULL: nobody asks for stamps of packets */
	unsigned int disk_waits; /* tasks, see blocked.h */
	bool outlasted;		/* virtual time no longer stands for them */
	int64_t held, held_at;	/* real ns that it has stood, when last */
	bool tcp_seen;		/* TCP frames since its timers were last asked for */
	bool tcp_active;	/* and since timeouts were last looked for */
	bool tcp_local;		/* it has TCP connections to itself */
	struct tcp_space *tcp;	/* its network namespace, if it is its own */
	LIST_HEAD(, question) questions; /* for neighbours */
	bool relayed;		/* relays begin or end at it */
	struct terminal *terminal; /* that somebody types at, or NULL */
	bool socket_timeouts;	/* a task of it has given a socket one */
	bool has_ptys;		/* masters of pseudo-terminals */
	bool pty_unsettled;	/* it has run since they were last looked at */
	bool standalone;	/* a tracer's own: stands still until the freeze */
	bool warned_spin;
	uint32_t worker;	/* which serves it */
	bool remote;		/* that is not this one */
	UT_hash_handle hh;	/* by name */
};

struct host *host_add(const struct kronos_host_config *config);
struct host *host_get(uint32_t id);
struct host *host_find(const char *name);
/* Ends its tasks. Another host may have its name from then on. */
void host_remove(struct host *host);
/* Whose it is that comes first, of all of this worker's; NULL if there is none. */
struct host *host_first(void);
/* Virtual time of the next thing that the host can do; HEAP_NEVER if none. */
int64_t host_next(const struct host *host);
/*
 * Does what there is to do at host_next(): events, and the ready tasks until
 * they have blocked or the host's clock is `until`.
 */
void host_run(struct host *host, int64_t until);
/*
 * While everything stands still: gives an instant task a turn that somebody
 * outside has woken, such as ovs-vsctl. Returns false if there is none.
 */
bool host_answer(void);
/* To be called when its ready tasks or events have changed. */
void host_changed(struct host *host);
/* The host's clock, which is never behind the window. */
int64_t host_now(const struct host *host);
void host_advance(struct host *host, int64_t time);
void host_add_event(struct host *host, struct event *event, int64_t time);
void host_remove_event(struct host *host, struct event *event);
void host_kill(struct host *host);
void hosts_kill(void);
bool host_is_instant(const struct host *host);

#endif /* KRONOS_HOST_H */
