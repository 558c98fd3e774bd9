// SPDX-License-Identifier: MIT
/*
 * tracer: launches dilated processes. It registers itself with the engine,
 * which seizes it, and then becomes the command: the command keeps the
 * tracer's process id, parent, terminal and namespaces.
 *
 *   tracer -c "COMMAND" -r SPEED [-i ID]     one command, as in Kronos
 *   tracer -f FILE -r SPEED [-i ID]          one command a line
 *   tracer -t TIMELINE -c "COMMAND"          of a co-simulation
 *   tracer --host NAME -- COMMAND [ARG...]   a command of a host of the network
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "kronos_abi.h"
#include "kronos_module.h"
#include "uptime.h"

#define EXIT_USAGE 2
#define EXIT_ENGINE 125 /* no engine, or it refuses */
#define EXIT_CANNOT_EXECUTE 126
#define EXIT_NOT_FOUND 127

struct options {
	const char *socket, *command, *file;
	struct kronos_register join;
	int timeline;
	bool spinner;
	char **argv;
};

static const char usage[] =
	"usage: tracer -c COMMAND | -f FILE  [-r SPEED] [-n COUNTER] [-i ID]\n"
	"                                  [-t TIMELINE] [-s] [--socket PATH]\n"
	"       tracer --host NAME [--socket PATH] -- COMMAND [ARG...]\n"
	"\n"
	"Launches commands as dilated processes of a running experiment.\n"
	"\n"
	"  -c, --command COMMAND  a shell command\n"
	"  -f, --file FILE        a file with one shell command a line\n"
	"  -r, --speed SPEED      relative CPU speed: work per ns of virtual time\n"
	"                         (default: 1)\n"
	"  -n, --counter COUNTER  what work is: cputime, instructions, free or auto\n"
	"                         (default: auto)\n"
	"  -i, --id ID            id of this tracer, from 1 (default: the next free)\n"
	"  -t, --timeline NUMBER  timeline of a co-simulation, from 0 (default: 0)\n"
	"  -H, --host NAME        become a process of this host of the network\n"
	"  -s, --spinner          stay until the end, with a process that only waits\n"
	"      --socket PATH      the experiment (default: $KRONOS_SOCKET,\n"
	"                         or " KRONOS_RUN_DIR "/engine.sock)\n"
	"  -h, --help             this text\n"
	"  -V, --version          the version\n";

static _Noreturn void fail(int status, const char *what, const char *fix)
{
	fprintf(stderr, "tracer: %s; fix: %s\n", what, fix);
	exit(status);
}

static _Noreturn void bad_usage(const char *what)
{
	fail(EXIT_USAGE, what, "see tracer --help");
}

static double parse_speed(const char *text)
{
	char *end;
	double speed = strtod(text, &end);

	if (*end || end == text || !kronos_speed_works(speed))
		bad_usage("the relative CPU speed must be a number above 0, or inf");
	return speed;
}

static uint32_t parse_counter(const char *text)
{
	static const char *const names[] = {
		[KRONOS_COUNTER_AUTO] = "auto",
		[KRONOS_COUNTER_INSTRUCTIONS] = "instructions",
		[KRONOS_COUNTER_CPUTIME] = "cputime",
		[KRONOS_COUNTER_FREE] = "free",
	};

	for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(text, names[i]))
			return i;
	bad_usage("the counter must be cputime, instructions, free or auto");
}

static int parse_number(const char *text, int least, const char *wrong)
{
	char *end;
	long number = strtol(text, &end, 10);

	if (*end || end == text || number < least || number > 1000000)
		bad_usage(wrong);
	return (int)number;
}

static void parse(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {
		{ "command", required_argument, NULL, 'c' },
		{ "file", required_argument, NULL, 'f' },
		{ "speed", required_argument, NULL, 'r' },
		{ "counter", required_argument, NULL, 'n' },
		{ "id", required_argument, NULL, 'i' },
		{ "timeline", required_argument, NULL, 't' },
		{ "host", required_argument, NULL, 'H' },
		{ "spinner", no_argument, NULL, 's' },
		{ "socket", required_argument, NULL, 'S' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	const char *host = NULL;
	int option;

	options->join.cpu_speed = 1.0;
	while ((option = getopt_long(argc, argv, "+c:f:r:n:i:t:H:shV", longs, NULL)) !=
	       -1)
		switch (option) {
		case 'c':
			options->command = optarg;
			break;
		case 'f':
			options->file = optarg;
			break;
		case 'r':
			options->join.cpu_speed = parse_speed(optarg);
			break;
		case 'n':
			options->join.counter = parse_counter(optarg);
			break;
		case 'i':
			options->join.tracer_id = parse_number(optarg, 1, "a tracer's id is a number from 1");
			break;
		case 't':
			options->timeline = parse_number(optarg, 0, "a timeline is a number from 0");
			break;
		case 'H':
			host = optarg;
			break;
		case 's':
			options->spinner = true;
			break;
		case 'S':
			options->socket = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		case 'V':
			puts("tracer " KRONOS_VERSION);
			exit(0);
		default:
			exit(EXIT_USAGE);
		}
	options->argv = argv + optind;
	if (host) {
		if (strlen(host) >= sizeof(options->join.host))
			bad_usage("the host's name is too long");
		strcpy(options->join.host, host);
		if (!*options->argv || options->command || options->file)
			bad_usage("--host takes its command after --");
		return;
	}
	if (*options->argv || !options->command == !options->file)
		bad_usage("give one of -c, -f and --host, and a command");
	options->join.standalone = 1;
}

/* ---- the engine -------------------------------------------------------- */

static int engine_connect(const struct options *options)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const size_t size = sizeof(address.sun_path);
	char *path = address.sun_path, what[256];
	int fd;

	if (options->socket ?
		    snprintf(path, size, "%s", options->socket) >= (int)size :
		    kronos_socket_of(options->timeline, path, size))
		bad_usage("the socket's path is too long");
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		snprintf(what, sizeof(what), "no experiment at %s (%s)", path,
			 strerror(errno));
		fail(EXIT_ENGINE, what, "initialize one first, or give --socket");
	}
	return fd;
}

/* What it executes then, and all that this makes, stays with the host. */
static void join_kernel(const struct kronos_register_reply *reply)
{
	struct kronos_join join = {
		.size = sizeof(join),
		.host = reply->kernel_host,
		.flags = reply->kernel_hold ? KRONOS_JOIN_HOLD : 0,
	};
	int device = open(KRONOS_MODULE_DEVICE, O_RDWR | O_CLOEXEC);

	if (device < 0 || ioctl(device, KRONOS_IOC_JOIN, &join))
		fail(EXIT_ENGINE, "cannot join through " KRONOS_MODULE_DEVICE,
		     "run as root, or as a member of the group kronos");
	close(device);
	/* A clock that a host set would be the machine's. Who may not do this has no such right to lose. */
	prctl(PR_CAPBSET_DROP, CAP_SYS_TIME);
}

/* For getAssignedTracerID(). */
static void tell_id(int id)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", id);
	setenv(KRONOS_TRACER_ENV, text, 1);
}

/* The engine may have named the fix. */
static _Noreturn void refused(const char *why)
{
	if (!strstr(why, "; fix"))
		fail(EXIT_ENGINE, why, "see the experiment's hosts and ids");
	fprintf(stderr, "tracer: %s\n", why);
	exit(EXIT_ENGINE);
}

/* From the reply on this process is traced; its exec is where it first waits. */
static void join(const struct options *options)
{
	static struct kronos_register_reply reply;
	struct sock_fprog program;
	int fd = engine_connect(options);

	if (send(fd, &options->join, sizeof(options->join), MSG_NOSIGNAL) < 0 ||
	    recv(fd, &reply, sizeof(reply), 0) != sizeof(reply))
		fail(EXIT_ENGINE, "the engine has gone away", "start it again");
	close(fd);
	if (reply.result < 0)
		refused(reply.text);
	if (reply.tracer_id)
		tell_id(reply.tracer_id);
	if (reply.kernel_host) {
		join_kernel(&reply);
		return;
	}
	if (!uptime_mount(reply.uptime))
		fprintf(stderr, "tracer: /proc/uptime shows real time (%s); fix: run as root\n",
			strerror(errno));
	program.len = (unsigned short)reply.filter_len;
	program.filter = (struct sock_filter *)(void *)reply.filter;
	/* The filter keeps no secrets: speculation may stay as it is, and fast. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		    SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program))
		fail(EXIT_ENGINE, "cannot install the seccomp filter",
		     "run as root on a kernel with CONFIG_SECCOMP_FILTER");
}

static _Noreturn void run(char **argv)
{
	int error;

	execvp(argv[0], argv);
	error = errno;
	fprintf(stderr, "tracer: cannot run %s: %s\n", argv[0], strerror(error));
	_exit(error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_EXECUTE);
}

/* ---- the commands of a file -------------------------------------------- */

static _Noreturn void run_shell(const char *command, bool spinner)
{
	char *alone[] = { (char *)"/bin/sh", (char *)"-c", (char *)(uintptr_t)command,
			  NULL };
	char *beside[] = { (char *)"/bin/sh",
			   (char *)"-c",
			   (char *)"sleep infinity </dev/null & exec /bin/sh -c \"$1\"",
			   (char *)"sh",
			   (char *)(uintptr_t)command,
			   NULL };

	run(spinner ? beside : alone);
}

/* Children of a dilated process are dilated: this one becomes a small shell. */
static _Noreturn void run_file(const char *path, bool spinner)
{
	char *script = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&script, &size), *file = fopen(path, "re");
	char *line = NULL;
	size_t capacity = 0;
	int commands = 0;

	if (!file || !out)
		fail(EXIT_USAGE, "cannot read the file of commands",
		     "check its path");
	while (getline(&line, &capacity, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (!line[strspn(line, " \t")])
			continue;
		fprintf(out, "( %s\n) &\n", line);
		commands++;
	}
	fputs("wait\n", out);
	fclose(out);
	if (!commands)
		fail(EXIT_USAGE, "the file has no command in it",
		     "write one command a line");
	run_shell(script, spinner);
}

int main(int argc, char **argv)
{
	struct options options = { 0 };

	parse(argc, argv, &options);
	if (options.file && access(options.file, R_OK))
		fail(EXIT_USAGE, "cannot read the file of commands",
		     "check its path");
	join(&options);
	if (options.join.host[0])
		run(options.argv);
	if (options.command)
		run_shell(options.command, options.spinner);
	run_file(options.file, options.spinner);
}
