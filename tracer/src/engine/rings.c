// SPDX-License-Identifier: MIT
/*
 * Rings of packet sockets (PACKET_RX_RING, as in tcpdump), which the kernel fills
 * with packets and real times. Before a task of their process runs, the stamps of
 * new packets are replaced by virtual ones: see stamps.c.
 *
 * Version 3 of the rings is refused: its blocks are handed over by a timer in real
 * time. Programs fall back to version 2.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/user.h>

#include <linux/if_packet.h>

#include "engine.h"
#include "inject.h"
#include "stamps.h"
#include "task.h"
#include "timed.h"

struct packet_ring {
	LIST_ENTRY(packet_ring) entry;
	int fd;
	ino_t socket;
	uint64_t address; /* in the process; 0: not mapped yet */
	int version;
	struct tpacket_req size;
	uint32_t next;	  /* frame that the kernel fills next */
	/* What each frame's stamp was when it was last looked at. */
	struct frame_stamp {
		uint32_t seconds, fraction;
	} *seen;
};

static ino_t socket_of(const struct process *process, int fd)
{
	struct stat status;
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", process->pid, fd);
	return stat(path, &status) || !S_ISSOCK(status.st_mode) ? 0 : status.st_ino;
}

static void ring_free(struct packet_ring *ring)
{
	LIST_REMOVE(ring, entry);
	free(ring->seen);
	free(ring);
}

void rings_forget(struct process *process)
{
	while (!LIST_EMPTY(&process->rings))
		ring_free(LIST_FIRST(&process->rings));
}

/* The ring of a descriptor, if it is the same socket still. */
static struct packet_ring *ring_get(struct process *process, int fd)
{
	struct packet_ring *ring;

	LIST_FOREACH(ring, &process->rings, entry)
		if (ring->fd == fd) {
			if (ring->socket == socket_of(process, fd))
				return ring;
			ring_free(ring);
			return NULL;
		}
	return NULL;
}

static struct packet_ring *ring_new(struct process *process, int fd)
{
	struct packet_ring *ring = xcalloc(sizeof(*ring));

	ring->fd = fd;
	ring->socket = socket_of(process, fd);
	LIST_INSERT_HEAD(&process->rings, ring, entry);
	return ring;
}

/* ---- system calls ------------------------------------------------------ */

static void leave_set_version(struct task *task, struct user_regs_struct *regs)
{
	struct packet_ring *ring = ring_get(task->process, (int)regs->rdi);
	int version;

	if (regs->rax || task_read(task, regs->r10, &version, sizeof(version)))
		return;
	if (!ring)
		ring = ring_new(task->process, (int)regs->rdi);
	ring->version = version;
}

static void leave_set_ring(struct task *task, struct user_regs_struct *regs)
{
	struct packet_ring *ring = ring_get(task->process, (int)regs->rdi);
	struct tpacket_req size;

	if (regs->rax || task_read(task, regs->r10, &size, sizeof(size)))
		return;
	if (!ring)
		ring = ring_new(task->process, (int)regs->rdi);
	ring->address = 0;
	ring->next = 0;
	ring->size = size;
	free(ring->seen);
	ring->seen = xcalloc((size.tp_frame_nr + 1) * sizeof(*ring->seen));
}

static void leave_mmap(struct task *task, struct user_regs_struct *regs)
{
	struct packet_ring *ring = ring_get(task->process, (int)regs->r8);

	if (!ring || !ring->seen || (int64_t)regs->rax < 0)
		return;
	ring->address = regs->rax;
	stamps_watch(task->host);
}

static void at_exit(struct task *task,
		    void (*leave)(struct task *task, struct user_regs_struct *regs))
{
	task->leave = leave;
	task->exit = EXIT_RESULT;
}

static bool is_version_3(const struct task *task, uint64_t address)
{
	int version;

	return !task_read(task, address, &version, sizeof(version)) &&
	       version == TPACKET_V3;
}

void rings_setsockopt(struct task *task, struct user_regs_struct *regs)
{
	if (regs->rdx == PACKET_RX_RING)
		at_exit(task, leave_set_ring);
	else if (is_version_3(task, regs->r10))
		call_skip(task, regs, -EINVAL);
	else
		at_exit(task, leave_set_version);
}

/* Is asked which versions there are. */
void rings_getsockopt(struct task *task, struct user_regs_struct *regs)
{
	if (is_version_3(task, regs->r10))
		call_skip(task, regs, -EINVAL);
}

void rings_mmap(struct task *task, struct user_regs_struct *regs)
{
	(void)regs;
	if (!LIST_EMPTY(&task->process->rings))
		at_exit(task, leave_mmap);
}

/* ---- stamps ------------------------------------------------------------ */

/* A frame's header, of which version 1 has another. */
union header {
	struct tpacket_hdr v1;
	struct tpacket2_hdr v2;
};

static uint64_t frame_address(const struct packet_ring *ring)
{
	uint32_t per_block = ring->size.tp_block_size / ring->size.tp_frame_size;

	return ring->address +
	       (uint64_t)(ring->next / per_block) * ring->size.tp_block_size +
	       (uint64_t)(ring->next % per_block) * ring->size.tp_frame_size;
}

/* Returns false if the frame has not been filled since it was last looked at. */
static bool stamp_frame(const struct task *task, struct packet_ring *ring)
{
	bool v1 = ring->version == TPACKET_V1;
	struct frame_stamp *seen = &ring->seen[ring->next];
	uint64_t address = frame_address(ring);
	int64_t unit = v1 ? NSEC_PER_USEC : 1, ns;
	struct frame_stamp stamp;
	union header header;
	bool filled;

	if (task_read(task, address, &header, sizeof(header)))
		return false;
	if (v1) {
		filled = header.v1.tp_status & TP_STATUS_USER;
		stamp = (struct frame_stamp){ header.v1.tp_sec, header.v1.tp_usec };
		address += offsetof(struct tpacket_hdr, tp_sec);
	} else {
		filled = header.v2.tp_status & TP_STATUS_USER;
		stamp = (struct frame_stamp){ header.v2.tp_sec, header.v2.tp_nsec };
		address += offsetof(struct tpacket2_hdr, tp_sec);
	}
	if (stamp.seconds == seen->seconds && stamp.fraction == seen->fraction)
		return false;
	if (filled) { /* else it has been read already */
		ns = stamps_virtual(task->host,
				    stamp.seconds * NSEC_PER_SEC +
					    stamp.fraction * unit,
				    unit);
		stamp.seconds = (uint32_t)(ns / NSEC_PER_SEC);
		stamp.fraction = (uint32_t)(ns % NSEC_PER_SEC / unit);
		task_write(task, address, &stamp, sizeof(stamp));
	}
	*seen = stamp;
	return true;
}

void rings_stamp(struct task *task)
{
	struct packet_ring *ring, *next;

	for (ring = LIST_FIRST(&task->process->rings); ring; ring = next) {
		next = LIST_NEXT(ring, entry);
		if (!ring->address || !ring_get(task->process, ring->fd))
			continue;
		for (uint32_t i = 0; i < ring->size.tp_frame_nr; i++) {
			if (!stamp_frame(task, ring))
				break;
			ring->next = (ring->next + 1) % ring->size.tp_frame_nr;
		}
	}
}
