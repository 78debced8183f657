/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file system whose server takes its time: files 0 to 99 of @dir can be opened,
 * mapped and written to, but a write returns only when it is told to. Meanwhile
 * whoever maps that file waits in the kernel, where no signal reaches it, with its
 * mmap_lock taken for writing.
 *
 * Functions returning int give 0 or -1 with the reason already on stderr.
 */
#ifndef SELFTESTS_OOM_POLICY_SLOW_BACKEND_H
#define SELFTESTS_OOM_POLICY_SLOW_BACKEND_H

#include <sys/types.h>
#include <linux/types.h>

struct slow_backend {
	const char *dir;
	pid_t server;
	int control;
	const __u32 *held;	/* writes that wait for an answer */
};

int slow_backend_start(struct slow_backend *backend, const char *dir);
void slow_backend_answer(const struct slow_backend *backend);
void slow_backend_stop(struct slow_backend *backend);

/* A child that writes to a file; it ends when it is answered. */
pid_t slow_backend_write(const struct slow_backend *backend, int file);
/* Does not return before the writes to the file are answered. */
int slow_backend_map(const struct slow_backend *backend, int file);

#endif /* SELFTESTS_OOM_POLICY_SLOW_BACKEND_H */
