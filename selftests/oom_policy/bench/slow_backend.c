// SPDX-License-Identifier: GPL-2.0-only
/*
 * A FUSE server that answers writes late; slow_backend.h says what each function is
 * for.
 *
 * Its files are opened for direct I/O with parallel writes. Such a file can be mapped
 * only when no such write is under way, and the kernel waits for that in mmap().
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/fuse.h>

#include "cgroups.h"
#include "helpers.h"
#include "slow_backend.h"

#define MAX_HELD	100
#define FIRST_NODE	2	/* the node of file 0; 1 is the directory */
#define FOREVER		3600	/* s */
#define FILE_SIZE	MEGABYTE
#define PAGE		4096
#define BUFFER		(FUSE_MIN_READ_BUFFER + PAGE)

struct server {
	int fd;
	__u32 *held;
	struct {
		__u64 unique;
		__u32 size;
	} writes[MAX_HELD];
};

static void reply(const struct server *server, __u64 unique, int err, const void *data,
		  size_t size)
{
	struct fuse_out_header out = {
		.len = sizeof(out) + (err ? 0 : size), .error = -err, .unique = unique,
	};
	struct iovec iov[] = {
		{ .iov_base = &out, .iov_len = sizeof(out) },
		{ .iov_base = (void *)data, .iov_len = err ? 0 : size },
	};

	if (writev(server->fd, iov, 2) < 0 && errno != ENOENT)
		diag("answering a request of the file system: %m");
}

static void reply_init(const struct server *server, __u64 unique)
{
	const struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
		.flags = FUSE_INIT_EXT, .flags2 = FUSE_DIRECT_IO_ALLOW_MMAP >> 32,
		.max_write = PAGE,
	};

	reply(server, unique, 0, &out, sizeof(out));
}

static struct fuse_attr attr_of(__u64 node)
{
	return (struct fuse_attr) {
		.ino = node, .nlink = 1, .blksize = PAGE,
		.mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0600,
		.size = node == FUSE_ROOT_ID ? 0 : FILE_SIZE,
	};
}

static void reply_lookup(const struct server *server, __u64 unique, const char *name)
{
	struct fuse_entry_out out = {
		.nodeid = FIRST_NODE + atoi(name), .entry_valid = FOREVER, .attr_valid = FOREVER,
	};

	out.attr = attr_of(out.nodeid);
	reply(server, unique, name[0] < '0' || name[0] > '9' ? ENOENT : 0, &out, sizeof(out));
}

static void reply_getattr(const struct server *server, __u64 unique, __u64 node)
{
	const struct fuse_attr_out out = { .attr_valid = FOREVER, .attr = attr_of(node) };

	reply(server, unique, 0, &out, sizeof(out));
}

static void reply_open(const struct server *server, __u64 unique)
{
	const struct fuse_open_out out = {
		.open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES,
	};

	reply(server, unique, 0, &out, sizeof(out));
}

static void hold_write(struct server *server, __u64 unique, const struct fuse_write_in *in)
{
	const __u32 n = *server->held;

	if (n == MAX_HELD) {
		reply(server, unique, ENOSPC, NULL, 0);
		return;
	}
	server->writes[n].unique = unique;
	server->writes[n].size = in->size;
	__atomic_store_n(server->held, n + 1, __ATOMIC_RELEASE);
}

static void answer_writes(struct server *server)
{
	struct fuse_write_out out = {};
	__u32 n;

	for (n = 0; n < *server->held; n++) {
		out.size = server->writes[n].size;
		reply(server, server->writes[n].unique, 0, &out, sizeof(out));
	}
	__atomic_store_n(server->held, 0, __ATOMIC_RELEASE);
}

static void serve_request(struct server *server, const void *request)
{
	const struct fuse_in_header *in = request;
	const void *arg = in + 1;

	switch (in->opcode) {
	case FUSE_INIT:
		reply_init(server, in->unique);
		break;
	case FUSE_LOOKUP:
		reply_lookup(server, in->unique, arg);
		break;
	case FUSE_GETATTR:
		reply_getattr(server, in->unique, in->nodeid);
		break;
	case FUSE_OPEN:
		reply_open(server, in->unique);
		break;
	case FUSE_WRITE:
		hold_write(server, in->unique, arg);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		reply(server, in->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		reply(server, in->unique, EOPNOTSUPP, NULL, 0);
	}
}

/* Until the file system is unmounted, or the control pipe is closed. */
static int serve(struct server *server, int control)
{
	static __u64 request[BUFFER / sizeof(__u64)];
	struct pollfd fds[] = {
		{ .fd = server->fd, .events = POLLIN },
		{ .fd = control, .events = POLLIN },
	};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (set_oom_score_adj(getpid(), -1000))
		return 1;
	while (poll(fds, 2, -1) > 0) {
		if (fds[1].revents) {
			if (read(control, request, 1) != 1)
				return 0;
			answer_writes(server);
		}
		if (fds[0].revents & POLLERR)
			return 0;
		if (fds[0].revents && read(server->fd, request, sizeof(request)) > 0)
			serve_request(server, request);
	}
	return 1;
}

int slow_backend_start(struct slow_backend *backend, const char *dir)
{
	struct server server = {};
	char options[128];
	int control[2];

	server.fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	server.held = mmap(NULL, sizeof(*server.held), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (server.fd < 0 || server.held == MAP_FAILED || pipe2(control, O_CLOEXEC)) {
		diag("no server for a file system: %m");
		return -1;
	}
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0",
		 server.fd);
	mkdir(dir, 0700);
	if (mount("slow", dir, "fuse", 0, options)) {
		diag("mounting a file system of ours at %s: %m", dir);
		return -1;
	}
	backend->dir = dir;
	backend->held = server.held;
	backend->control = control[1];
	backend->server = fork();
	if (!backend->server) {
		close(control[1]);
		_exit(serve(&server, control[0]));
	}
	close(control[0]);
	close(server.fd);
	return backend->server < 0 ? -1 : 0;
}

void slow_backend_answer(const struct slow_backend *backend)
{
	if (write(backend->control, "", 1) != 1)
		diag("the server of the file system is gone");
}

void slow_backend_stop(struct slow_backend *backend)
{
	umount2(backend->dir, MNT_DETACH);
	close(backend->control);
	waitpid(backend->server, NULL, 0);
}

static int open_file(const struct slow_backend *backend, int file)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/%d", backend->dir, file);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		diag("opening %s: %m", path);
	return fd;
}

static int write_page(const struct slow_backend *backend, int file)
{
	static char page[PAGE];
	const int fd = open_file(backend, file);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return fd < 0 || write(fd, page, PAGE) != PAGE;
}

pid_t slow_backend_write(const struct slow_backend *backend, int file)
{
	const __u32 before = __atomic_load_n(backend->held, __ATOMIC_ACQUIRE);
	const pid_t pid = fork();

	if (!pid)
		_exit(write_page(backend, file));
	if (pid > 0 && wait_until(__atomic_load_n(backend->held, __ATOMIC_ACQUIRE) > before))
		return pid;
	diag("nobody writes to file %d", file);
	return -1;
}

int slow_backend_map(const struct slow_backend *backend, int file)
{
	const int fd = open_file(backend, file);

	if (fd < 0)
		return -1;
	return mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0;
}
