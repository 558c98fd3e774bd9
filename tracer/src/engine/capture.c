// SPDX-License-Identifier: MIT
/*
 * Captures: pcap files with nanosecond stamps of virtual time, one for each
 * port that is asked for. A frame that the port sends is stamped when it has
 * left its host, also if the link then drops it; one that it receives when it
 * arrives. Frames become known a window at a time and are written by stamp.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "engine.h"
#include "link.h"

#define PCAP_MAGIC_NS 0xa1b23c4d
#define PCAP_ETHERNET 1

struct pcap_header {
	uint32_t magic;
	uint16_t major, minor;
	int32_t zone;
	uint32_t accuracy, snaplen, link_type;
};

struct pcap_record {
	uint32_t seconds, nanoseconds;
	uint32_t captured, size;
};

struct record {
	TAILQ_ENTRY(record) entry;
	int64_t time;
	size_t size;
	uint8_t data[];
};

struct capture {
	LIST_ENTRY(capture) entry;
	TAILQ_HEAD(record_queue, record) records; /* by time */
	FILE *file;
};

static LIST_HEAD(, capture) captures = LIST_HEAD_INITIALIZER(captures);

int capture_start(struct port *port, int fd)
{
	const struct pcap_header header = {
		.magic = PCAP_MAGIC_NS,
		.major = 2,
		.minor = 4,
		.snaplen = FRAME_MAX,
		.link_type = PCAP_ETHERNET,
	};
	struct capture *capture = xcalloc(sizeof(*capture));

	capture->file = fdopen(fd, "w");
	if (!capture->file) {
		free(capture);
		return -errno;
	}
	TAILQ_INIT(&capture->records);
	fwrite(&header, sizeof(header), 1, capture->file);
	fflush(capture->file);
	LIST_INSERT_HEAD(&captures, capture, entry);
	port->capture = capture;
	return 0;
}

void capture_frame(const struct port *port, const struct frame *frame, int64_t time)
{
	struct record_queue *records = &port->capture->records;
	struct record *record = xrealloc(NULL, sizeof(*record) + frame->size);
	struct record *before = TAILQ_LAST(records, record_queue);

	record->time = time;
	record->size = frame->size;
	memcpy(record->data, frame->data, frame->size);
	while (before && before->time > time)
		before = TAILQ_PREV(before, record_queue, entry);
	if (before)
		TAILQ_INSERT_AFTER(records, before, record, entry);
	else
		TAILQ_INSERT_HEAD(records, record, entry);
}

static void write_record(FILE *file, const struct record *record)
{
	int64_t time = record->time + engine.realtime;
	const struct pcap_record header = {
		.seconds = (uint32_t)(time / NSEC_PER_SEC),
		.nanoseconds = (uint32_t)(time % NSEC_PER_SEC),
		.captured = (uint32_t)record->size,
		.size = (uint32_t)record->size,
	};

	fwrite(&header, sizeof(header), 1, file);
	fwrite(record->data, record->size, 1, file);
}

static void write_until(struct capture *capture, int64_t time)
{
	struct record *record;

	while ((record = TAILQ_FIRST(&capture->records)) && record->time <= time) {
		TAILQ_REMOVE(&capture->records, record, entry);
		write_record(capture->file, record);
		free(record);
	}
}

void capture_stop(struct port *port)
{
	struct capture *capture = port->capture;

	if (!capture)
		return;
	port->capture = NULL;
	write_until(capture, INT64_MAX);
	if (ferror(capture->file) | fclose(capture->file))
		engine_warn("the capture of %s is not complete: %s", port->name,
			    strerror(errno));
	LIST_REMOVE(capture, entry);
	free(capture);
}

void link_captures_write(int64_t time)
{
	struct capture *capture;

	LIST_FOREACH(capture, &captures, entry)
		write_until(capture, time);
}

void link_captures_flush(void)
{
	struct capture *capture;

	LIST_FOREACH(capture, &captures, entry) {
		write_until(capture, INT64_MAX);
		fflush(capture->file);
	}
}
