/* SPDX-License-Identifier: MIT */
#ifndef KRONOS_PACE_H
#define KRONOS_PACE_H

#include <stdint.h>

struct pace {
	int64_t real, passed; /* lately: real and virtual time */
	uint32_t slowness;    /* 1, 2, 4 ... */
};

/* So much real time was needed for so much virtual time. */
void pace_note(struct pace *pace, int64_t real, int64_t passed);

#endif /* KRONOS_PACE_H */
