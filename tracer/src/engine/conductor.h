/* SPDX-License-Identifier: MIT */
/* What comes next in a progress, and who takes part in it. */
#ifndef KRONOS_CONDUCTOR_H
#define KRONOS_CONDUCTOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pace.h"
#include "workers.h"

/* So often one looks whether a disk that is waited for has answered. */
#define DISK_LOOK (100 * NSEC_PER_MSEC)

enum phase {
	PHASE_WINDOW, /* workers run their hosts until the window's end */
	PHASE_LOOK,   /* they look whether somebody else has woken their tasks */
	PHASE_TCP,    /* they ask for the timers of their hosts' TCP */
	PHASE_WAIT,   /* for something from outside, or for real time to pass */
	PHASE_OVER,
};

/* What workers share. Everything but the atomic members is under the lock. */
struct conductor {
	pthread_mutex_t lock;
	_Atomic enum phase phase;
	_Atomic int64_t now; /* start of the window */
	int64_t end;
	int64_t timestep;
	int64_t rounds, done, skipped;
	_Atomic uint32_t window; /* its number */
	_Atomic uint32_t running; /* workers that take part and have not finished */
	_Atomic bool interrupted;
	_Atomic bool stall_told; /* some worker has said who is waited for */
	bool looked, tcp_asked; /* since the last window */
	_Atomic bool paced;  /* PHASE_WAIT: time goes on at real time's pace */
	uint64_t paced_tsc;  /* since then */
	int64_t paced_max;   /* at most so far, in ns */
	int64_t paced_carry; /* of a window that has begun to pass */
	struct pace pace;
	uint64_t opened_tsc; /* the window */
	uint64_t slowed_tsc; /* no faster than real time since then; 0: it may be */
	int64_t slowed_now;
	struct {
		_Atomic uint32_t turn; /* number of the last window it is part of */
		_Atomic int64_t incoming; /* earliest arrival from other workers */
		int64_t next;		  /* when its hosts can act */
		bool tcp_seen, tcp_pending, disk_waits;
		int wake;
	} worker[WORKERS_MAX];
};

extern struct conductor *conductor;

/* Before the other workers are started: makes it. */
void conductor_init(void);
void conductor_wake_others(void);
/* How much virtual time PHASE_WAIT has let pass. */
int64_t conductor_paced_time(void);

/* Under the lock: */

/* What the others are to know of this worker. */
void conductor_publish(void);
/* PHASE_WAIT is over: passes the time that it has let pass, at most what it may. */
void conductor_end_wait(void);
/*
 * Chooses what comes next, when nobody is in a window. True: a wait, which
 * this worker is to end when its time has passed.
 */
bool conduct(int until_fd);

#endif /* KRONOS_CONDUCTOR_H */
