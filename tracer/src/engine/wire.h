/* SPDX-License-Identifier: MIT */
/* Frames from one process of the engine to another. */
#ifndef KRONOS_WIRE_H
#define KRONOS_WIRE_H

#include <stddef.h>
#include <stdint.h>

void wire_init(void);
void wire_send(uint32_t worker, uint32_t link, uint32_t end, int64_t arrival,
	       const void *data, size_t size);
/* Takes what was sent before this window opened. */
void wire_receive(uint32_t window);
/* Tries again to send what there was no room for. */
void wire_flush(void);

#endif /* KRONOS_WIRE_H */
