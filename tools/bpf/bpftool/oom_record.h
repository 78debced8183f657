/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The recorded decisions of OOM policies, for those who tell of them.
 */
#ifndef __BPFTOOL_OOM_RECORD_H
#define __BPFTOOL_OOM_RECORD_H

#include "oom.h"
#include "skeleton/oom_record.h"

#define OOM_RECORD_DIR	OOM_BPF_FS "/oom_policy_record"

/* oom_record.c. Pinned maps; -1 unless open. */
struct oom_recorder {
	int decisions;
	int state;
};

int oom_recorder_open(struct oom_recorder *recorder, bool quiet);
void oom_recorder_close(struct oom_recorder *recorder);
int oom_recorder_state(const struct oom_recorder *recorder, struct oom_record_state *state);
void oom_recorder_exported(const struct oom_recorder *recorder, __u64 seq);
bool oom_recorder_read(const struct oom_recorder *recorder, __u64 seq, struct oom_decision *d);

/* oom_journal.c */
int oom_journal_send(const struct oom_decision *d);

/* oom_log.c */
char *oom_decision_path(const struct oom_decision *d, __u32 depth);
void oom_decision_time(const struct oom_decision *d, char *text, size_t size);
__u64 oom_decision_came_back(const struct oom_decision *d);
const char *oom_decision_reason(const struct oom_decision *d);

#endif /* __BPFTOOL_OOM_RECORD_H */
