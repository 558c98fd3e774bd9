/* SPDX-License-Identifier: MIT */
/* Virtual links, for the other parts of the engine (link.h has the rest). */
#ifndef KRONOS_LINKS_H
#define KRONOS_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kronos_abi.h"

struct host;
struct port;
struct tcp_space;

/* Before other workers start. */
void frames_init(void);
/* Memory for a frame of this size, wherever it is kept. */
void frames_take(size_t size);
void frames_give(size_t size);
void link_init(uint64_t seed);
int link_add(const struct kronos_link_config *config, char *error, size_t size);
/* What is on its way still arrives, if its receiver's end is there. */
int link_remove(uint32_t link);
int link_set(uint32_t link, uint32_t direction, const struct kronos_link_params *params,
	     char *error, size_t size);
int link_stats(uint32_t link, uint32_t direction, struct kronos_link_stats *stats);
/* To a file whose descriptor it takes over; < 0 ends the capture. */
int link_capture(uint32_t link, uint32_t end, int fd);
/* No frame with an earlier stamp will come. */
void link_captures_write(int64_t time);
/* Lets everything that is known be in the files. */
void link_captures_flush(void);
/* At the freeze: every run with the same seed goes on from here in the same way. */
void link_restart_random(void);

/* By the watchdog: reads what the port's TAP has, with the time of departure. */
void link_read_stamped(struct port *port);
/* Takes what the host has sent: from its TAPs, or from the watchdog. */
void link_read_host(struct host *host);
/* The same for all hosts. Returns true if there was any. */
bool link_read_all(void);
/* Whether the watchdog has read frames that nobody has taken yet. */
bool link_inbox(void);
/* The host has done what its frames asked for: what it has sent goes out. */
void link_flush(void);
/* A frame from another process arrives. */
void link_receive(uint32_t link, uint32_t end, int64_t arrival, const void *data,
		  size_t size);
bool link_exists(uint32_t link);
/* How many there are, and have been. */
uint32_t links_added(void);

/* Each worker's own; the engine's namespace is watched. */
void carrier_init(void);
/* From inside a namespace: whether its interfaces are up is watched from now on. */
void carrier_watch(struct tcp_space *space);
void carrier_forget(const struct tcp_space *space);
/* Interfaces have gone down or up. */
void carrier_update(void);

#endif /* KRONOS_LINKS_H */
