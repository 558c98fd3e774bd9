/* How long computation takes whose instructions are counted; prints what can be compared. */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOPS 2000

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* Two instructions each time. */
static void loop(uint64_t times)
{
	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(times) : : "cc");
}

/* One instruction, whatever its size. */
static void repeat(uint64_t size)
{
	static char from[4096], to[4096];
	char *source = from, *target = to;

	__asm__ volatile("rep movsb"
			 : "+S"(source), "+D"(target), "+c"(size)
			 :
			 : "memory");
}

static int64_t time_of(void (*work)(uint64_t), uint64_t size)
{
	int64_t start = now();

	work(size);
	return now() - start;
}

static void *thread(void *arg)
{
	(void)arg;
	loop(LOOPS);
	return NULL;
}

static void threads(uint64_t count)
{
	pthread_t ids[8];

	for (uint64_t i = 0; i < count; i++)
		pthread_create(&ids[i], NULL, thread, NULL);
	for (uint64_t i = 0; i < count; i++)
		pthread_join(ids[i], NULL);
}

static void processes(uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		if (fork() == 0) {
			loop(LOOPS);
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
}

/* A byte to a child and back, by blocking reads. */
static void messages(uint64_t count)
{
	int there[2], back[2];
	char byte = 0;

	if (pipe(there) || pipe(back))
		return;
	if (fork() == 0) {
		while (count-- && read(there[0], &byte, 1) == 1)
			if (write(back[1], &byte, 1) != 1)
				break;
		_exit(0);
	}
	for (uint64_t i = 0; i < count; i++)
		if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
			break;
	wait(NULL);
}

static volatile int alarms;

static void on_alarm(int number)
{
	(void)number;
	alarms++;
}

static void alarmed(uint64_t times)
{
	const struct itimerval often = { { 0, 20 }, { 0, 20 } }, never = { 0 };

	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &often, NULL);
	loop(times);
	setitimer(ITIMER_REAL, &never, NULL);
}

static void sleeping(uint64_t usec)
{
	usleep((useconds_t)usec);
	loop(10);
}

int main(void)
{
	int64_t empty, base;

	time_of(loop, 1); /* binds the clock's symbol */
	empty = time_of(loop, 1);
	printf("loop %lld\n", (long long)(time_of(loop, 1 + LOOPS) - empty));
	base = time_of(repeat, 1);
	printf("repeat %lld\n", (long long)(time_of(repeat, 1000) - base));
	printf("threads %lld\n", (long long)time_of(threads, 2));
	printf("processes %lld\n", (long long)time_of(processes, 2));
	printf("messages %lld\n", (long long)time_of(messages, 3));
	printf("alarms %lld", (long long)time_of(alarmed, LOOPS));
	printf(" %d\n", alarms);
	printf("sleep %lld\n", (long long)time_of(sleeping, 5000));
	return 0;
}
