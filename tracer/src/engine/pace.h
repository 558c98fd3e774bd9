/* SPDX-License-Identifier: MIT */
#ifndef KRONOS_PACE_H
#define KRONOS_PACE_H

#include "engine.h"

struct pace {
	int64_t real, passed; /* of windows, lately: real and virtual time */
	uint32_t slowness;    /* 1, 2, 4 ... */
};

/* A window has taken so much real time, for so much virtual time. */
void pace_note(struct pace *pace, int64_t real, int64_t passed);

#endif /* KRONOS_PACE_H */
