/* SPDX-License-Identifier: MIT */
/* The latch's BPF program and the arrays in which it tells what tasks do. */
#ifndef KRONOS_LATCH_PROGRAM_H
#define KRONOS_LATCH_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SLOTS 65536 /* by the low bits of the task's id in the engine's namespace */
#define STATE_INTERRUPTIBLE 1
#define STATE_UNINTERRUPTIBLE 2
#define STATE_TRACED 8
#define STATE_WAKING 0x200 /* blocked, and woken before it has left the CPU */
#define STATE_BLOCKED (STATE_INTERRUPTIBLE | STATE_UNINTERRUPTIBLE | STATE_WAKING)
#define TRAP_BLOCKED (1u << 31)

struct latch_slot {
	uint32_t tid;
	uint32_t state; /* task->__state | TRAP_BLOCKED */
	uint32_t fired; /* the task whose latch has: others may share the slot */
	uint32_t quiet; /* do not fire where it blocks */
	int64_t deadline; /* 0: none */
	/* See handover.h. */
	uint32_t passer; /* its id if it may block in this call without the latch's firing, */
	int32_t call;
	uint64_t argument; /* with this first argument */
	uint32_t passed; /* so often it has */
	uint32_t free;	 /* its id if it has where it last blocked */
	int64_t ran;	 /* in ns, until it last did */
	uint32_t spare;	 /* it may once more, after a stop */
};

#define STOPS 256 /* the last ones, in a ring */
#define STOP_REGS 21 /* struct pt_regs, with which user_regs_struct begins */

/* A ptrace stop, as far as the engine wants to know it without asking for it. */
struct latch_stop {
	pid_t tid;
	int32_t code;	   /* wait status >> 8 */
	uint64_t message;  /* PTRACE_GETEVENTMSG */
	int32_t si_code;   /* of PTRACE_GETSIGINFO */
	uint32_t unused;
	uint64_t address;  /* of a call's timespec, 0: not known, */
	uint64_t value[2]; /* and what is there */
	uint64_t regs[STOP_REGS];
};

/* Of the calls that the filter stops: where in the registers an address is, or 0. */
#define STOP_CALLS 128

struct latch_stops {
	uint32_t count;
	uint32_t pass_count; /* tasks may pass as long as there are so many, or one more */
	int64_t switched;    /* when the last one did */
	uint8_t address_at[STOP_CALLS];
	struct latch_stop ring[STOPS]; /* by the low bits of their number */
	uint8_t beyond[256];	       /* the verifier knows no better bound */
};

/* Loads it and makes new arrays; < 0 if there can be none. */
int latch_program_init(void);
/* Its descriptor, < 0: there is none. */
extern int latch_program;
extern volatile struct latch_slot *latch_slots;
extern struct latch_stops *latch_stops;
void latch_program_close(void);

#endif /* KRONOS_LATCH_PROGRAM_H */
