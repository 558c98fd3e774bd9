// SPDX-License-Identifier: MIT
/*
 * stress PROCESSES ROUNDS: many processes that sleep, and fork, in rounds of 10 us. Memory is short meanwhile, and
 * somebody tries to unload the module and to take a CPU away, which is refused. Time passes as it is asked to, nobody
 * is interrupted, and in the end all are gone.
 */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "experiment.h"

#define HOSTS 10
#define TIMESTEP (10 * USEC)
#define BATCH 1000
#define LEFT 32768 /* kB of memory */
#define STEP (4 << 20)
#define CPU "/sys/devices/system/cpu/cpu1/online"

static long *woken; /* how often each process was */
static long *tries; /* of the one who meddles */

/* Every 32nd process has children, one after the other. */
static void work(void *counter)
{
	long *count = counter;
	int number = (int)(count - woken);

	srandom((unsigned int)number);
	for (;;) {
		struct timespec wait = at((5 + random() % 20) * MSEC);

		CHECK(!nanosleep(&wait, NULL));
		++*count;
		if (number % 32)
			continue;
		if (!fork())
			_exit(0);
		CHECK(wait4(-1, NULL, 0, NULL) > 0);
	}
}

/* Not dilated: */

static void meddle(void *unused)
{
	int cpu = open(CPU, O_WRONLY);

	(void)unused;
	for (;; ++*tries) {
		CHECK(syscall(SYS_delete_module, "kronos", O_NONBLOCK) == -1 && errno == EWOULDBLOCK);
		if (cpu >= 0)
			CHECK(pwrite(cpu, "0", 1, 0) == -1 && errno == EBUSY);
		wait_real(MSEC);
	}
}

static long available(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[100];
	long kb = -1;

	CHECK(file);
	while (kb < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "MemAvailable: %ld", &kb);
	fclose(file);
	return kb;
}

static void take_memory(void *unused)
{
	(void)unused;
	while (available() > LEFT)
		CHECK(mmap(NULL, STEP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1,
			   0) != MAP_FAILED);
	for (;;)
		pause();
}

static pid_t beside(void (*function)(void *))
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid)
		function(NULL);
	return pid;
}

static void end(pid_t pid)
{
	int status;

	CHECK(!kill(pid, SIGKILL));
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status)); /* else it has found something wrong */
}

static void *shared(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED);
	return memory;
}

int main(int argc, char **argv)
{
	long processes = argc > 1 ? atol(argv[1]) : 1000, rounds = argc > 2 ? atol(argv[2]) : 100000;
	int64_t least = rounds * TIMESTEP / (25 * MSEC) / 2;
	struct kronos_host host = plain_host(10.0);
	int hosts[HOSTS];
	pid_t meddler, hog;

	woken = shared(sizeof(*woken) * (size_t)processes);
	tries = shared(sizeof(*tries));
	initialize(KRONOS_INIT_KILL, (unsigned int)processes);
	for (int i = 0; i < HOSTS; i++)
		hosts[i] = add_host(&host);
	for (long i = 0; i < processes; i++)
		spawn(hosts[i % HOSTS], work, &woken[i]);
	freeze();
	meddler = beside(meddle);
	hog = beside(take_memory);
	for (long done = 0; done < rounds; done += BATCH) {
		progress(TIMESTEP, BATCH);
		CHECK(virtual_time(0) == (done + BATCH) * TIMESTEP);
	}
	end(meddler);
	end(hog);
	printf("%ld tries to unload\n", *tries);
	CHECK(*tries > 0);
	CHECK(statistics().tasks >= (unsigned long)processes);
	for (long i = 0; i < processes; i++)
		CHECK(woken[i] >= least);
	stop();
	while (waitpid(-1, NULL, 0) > 0)
		;
	device = open(KRONOS_MODULE_DEVICE, O_RDWR | O_CLOEXEC);
	CHECK(device >= 0 && statistics().tasks == 0);
	return success();
}
