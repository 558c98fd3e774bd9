/* SPDX-License-Identifier: MIT */
/* Tracers that ask to be made dilated processes. */
#ifndef KRONOS_TRACERS_H
#define KRONOS_TRACERS_H

/* Serves those that have connected, in whichever worker their hosts are. */
void tracers_accept(void);

#endif /* KRONOS_TRACERS_H */
