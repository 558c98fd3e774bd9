/* SPDX-License-Identifier: MIT */
/* Descriptors that end a progress; frames for who watches a link. */
#ifndef KRONOS_WATCH_H
#define KRONOS_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A progress ends when it is readable. Returns its number; takes it over. */
int watch_fd(int fd);
void unwatch_fd(int64_t number);
bool watched_readable(int until_fd);
/* Frames of the link go to the socket as well. */
void watch_add(uint32_t link, int fd);
void watch_frame(uint32_t link, const void *data, size_t size);

#endif /* KRONOS_WATCH_H */
