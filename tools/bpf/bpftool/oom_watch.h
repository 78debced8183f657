/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What "monitor", "shadow" and "log" share: waiting for events and for a signal that ends
 * it, and what an event is told with.
 */
#ifndef __BPFTOOL_OOM_WATCH_H
#define __BPFTOOL_OOM_WATCH_H

#include <stdbool.h>
#include <time.h>
#include <linux/types.h>
#include <bpf/libbpf.h>

/* @over: a signal has come. */
struct oom_watch {
	int signals;
	struct ring_buffer *records;	/* NULL: there are none to wait for */
	bool over;
};

int oom_watch_begin(struct oom_watch *watch);
int oom_watch_start(struct oom_watch *watch, struct bpf_object_skeleton *skel,
		    const struct bpf_map *records, ring_buffer_sample_fn on_record, void *arg,
		    const char *who);
int oom_watch_wait(struct oom_watch *watch, int timeout_ms);
void oom_watch_end(struct oom_watch *watch);

__s64 oom_clock_ns(clockid_t clock);
void oom_event_time(clockid_t clock, __u64 ns, char *text, size_t size);
void oom_tell_lost(__u64 nr, const char *what);
const char *oom_reason(__u32 reason);
int oom_parse_count(int argc, char **argv, __u32 *count);

#endif /* __BPFTOOL_OOM_WATCH_H */
