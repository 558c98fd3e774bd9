/* SPDX-License-Identifier: MIT */
/* What the orchestrator asks for. */
#ifndef KRONOS_REQUESTS_H
#define KRONOS_REQUESTS_H

/* The first request, which starts everything else. */
void requests_initialize(void);
/* Waits until something happens, and does what there is to do. */
void requests_serve(void);

#endif /* KRONOS_REQUESTS_H */
