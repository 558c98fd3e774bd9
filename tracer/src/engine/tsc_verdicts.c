// SPDX-License-Identifier: MIT
/*
 * To look into a large program takes 10 ms, so what was found is kept: in memory, and
 * in a file to which every engine adds. Without that file each looks by itself.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "engine.h"
#include "tsc_verdicts.h"

#define CACHE_DIRECTORY "/var/cache/kronos"
/* To be renamed when programs are looked at in another way. */
#define CACHE CACHE_DIRECTORY "/tsc-1"
#define CACHE_MAX (1 << 20)
#define CACHED_MIN (1 << 20) /* smaller programs are looked at faster than found */

struct record {
	struct file_key key;
	uint64_t reads_tsc;
};

struct verdict {
	struct record record;
	UT_hash_handle hh;
};

static struct verdict *verdicts;
static off_t known; /* so much of the file */

struct file_key file_key(const struct stat *file)
{
	return (struct file_key){
		.device = file->st_dev,
		.inode = file->st_ino,
		.seconds = file->st_ctim.tv_sec,
		.nanoseconds = file->st_ctim.tv_nsec,
		.size = file->st_size,
	};
}

static struct verdict *find(const struct file_key *key)
{
	struct verdict *verdict;

	HASH_FIND(hh, verdicts, key, sizeof(*key), verdict);
	return verdict;
}

static void remember(const struct record *record)
{
	struct verdict *verdict;

	if (find(&record->key))
		return;
	verdict = xcalloc(sizeof(*verdict));
	verdict->record = *record;
	HASH_ADD(hh, verdicts, record.key, sizeof(record->key), verdict);
}

/* What engines have added since. */
static void read_cache(void)
{
	struct record records[64];
	ssize_t size;
	int fd = open(CACHE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	do {
		size = pread(fd, records, sizeof(records), known);
		for (size_t i = 0; (ssize_t)((i + 1) * sizeof(records[0])) <= size; i++) {
			remember(&records[i]);
			known += (off_t)sizeof(records[0]);
		}
	} while (size == sizeof(records));
	close(fd);
}

bool verdict_find(const struct stat *file, bool *reads_tsc)
{
	struct file_key key = file_key(file);
	struct verdict *verdict = find(&key);

	if (!verdict && file->st_size >= CACHED_MIN) {
		read_cache();
		verdict = find(&key);
	}
	if (verdict)
		*reads_tsc = verdict->record.reads_tsc;
	return verdict;
}

/* One write each: records of several engines do not mix. */
void verdict_add(const struct stat *file, bool reads_tsc)
{
	const struct record record = { .key = file_key(file), .reads_tsc = reads_tsc };
	struct stat cache;
	int fd;

	remember(&record);
	if (file->st_size < CACHED_MIN)
		return;
	mkdir(CACHE_DIRECTORY, 0755);
	fd = open(CACHE, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return;
	/* Full, or one that is not whole: the next engine begins a new one. */
	if (fstat(fd, &cache) || cache.st_size > CACHE_MAX ||
	    write(fd, &record, sizeof(record)) != sizeof(record))
		unlink(CACHE);
	close(fd);
}
