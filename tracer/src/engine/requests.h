/* SPDX-License-Identifier: MIT */
/* What tracers and the orchestrator ask for. */
#ifndef KRONOS_REQUESTS_H
#define KRONOS_REQUESTS_H

/* The first request, which starts everything else. */
void requests_initialize(void);
/* Waits until something happens, and does what there is to do. */
void requests_serve(void);
/* Seizes the processes that ask for it. */
void engine_accept_tracers(void);

#endif /* KRONOS_REQUESTS_H */
