/* SPDX-License-Identifier: MIT */
/* Connections between switches and controller, with a delay. */
#ifndef KRONOS_RELAY_H
#define KRONOS_RELAY_H

#include <stdbool.h>
#include <stddef.h>

#include "kronos_abi.h"

/* Takes the listener over. */
int relay_add(const struct kronos_relay_config *config, int listener, char *error,
	      size_t size);
/* Takes what hosts have written; returns true if anything has happened. */
bool relay_read(void);

#endif /* KRONOS_RELAY_H */
