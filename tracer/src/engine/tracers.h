/* SPDX-License-Identifier: MIT */
/* Tracers that ask to be made dilated processes. */
#ifndef KRONOS_TRACERS_H
#define KRONOS_TRACERS_H

/* By each worker at its start: from then on whoever calls wakes it. */
void tracers_watch(void);
/* Serves those that have connected, in whichever worker their hosts are. */
void tracers_accept(void);

#endif /* KRONOS_TRACERS_H */
