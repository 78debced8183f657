// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * "record": the recorder of decisions, skeleton/oom_record.bpf.c, which goes on by itself
 * as long as its links are pinned.
 *
 * The kernel keeps counters only: what it did it has in its log, and a history that
 * selects nobody would be there on machines where nobody reads it. Programs on its
 * tracepoints see as much, are not there unless they are wanted, and can learn to keep
 * more without another kernel.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "json_writer.h"
#include "main.h"
#include "oom.h"
#include "oom_record.h"

#define DECISIONS	OOM_RECORD_DIR "/decisions"
#define STATE		OOM_RECORD_DIR "/state"

/**
 * oom_recorder_open() - open what the recorder has written
 * @recorder: oom_recorder_close() ends it
 * @quiet: say nothing if there is no recorder
 *
 * Return: 0; -1 with the reason told, or not, and nothing to close.
 */
int oom_recorder_open(struct oom_recorder *recorder, bool quiet)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	int err;

	recorder->state = -1;
	recorder->decisions = bpf_obj_get(DECISIONS);
	if (recorder->decisions >= 0)
		recorder->state = bpf_obj_get(STATE);
	err = errno;
	if (recorder->state >= 0 &&
	    !bpf_map_get_info_by_fd(recorder->decisions, &info, &len) &&
	    info.value_size == sizeof(struct oom_decision))
		return 0;
	if (quiet)
		;
	else if (recorder->state >= 0)
		oom_err("the recorder is another bpftool's: end it with 'oom record stop'");
	else if (err == ENOENT)
		oom_err("nothing is recorded: begin with 'oom record start'");
	else
		oom_err("cannot open the records in " OOM_RECORD_DIR ": %s", strerror(err));
	oom_recorder_close(recorder);
	return -1;
}

/**
 * oom_recorder_close() - the counterpart of oom_recorder_open()
 * @recorder: may be closed already
 */
void oom_recorder_close(struct oom_recorder *recorder)
{
	if (recorder->decisions >= 0)
		close(recorder->decisions);
	if (recorder->state >= 0)
		close(recorder->state);
	recorder->decisions = -1;
	recorder->state = -1;
}

/**
 * oom_recorder_state() - what the recorder says of itself
 * @recorder: open
 * @state: becomes that
 *
 * Return: 0, or -1 with the reason told.
 */
int oom_recorder_state(const struct oom_recorder *recorder, struct oom_record_state *state)
{
	const __u32 zero = 0;
	int err = bpf_map_lookup_elem(recorder->state, &zero, state);

	if (err)
		oom_err("cannot read " STATE ": %s", strerror(-err));
	return err ? -1 : 0;
}

/**
 * oom_recorder_read() - one decision
 * @recorder: open
 * @seq: its number
 * @d: becomes that
 *
 * Return: false if it is not there any more.
 */
bool oom_recorder_read(const struct oom_recorder *recorder, __u64 seq, struct oom_decision *d)
{
	const __u32 slot = seq % OOM_RECORDED;

	return !bpf_map_lookup_elem(recorder->decisions, &slot, d) && d->seq == seq;
}

#ifdef BPFTOOL_WITHOUT_SKELETONS

void oom_recorder_exported(const struct oom_recorder *recorder, __u64 seq)
{
}

int oom_do_record(int argc, char **argv)
{
	oom_err("this bpftool was built without the BPF skeletons that record needs: build it with clang");
	return -1;
}

#else /* BPFTOOL_WITHOUT_SKELETONS */

#include <sys/mman.h>

#include "oom_record.skel.h"

/**
 * oom_recorder_exported() - note how far the journal has got
 * @recorder: open
 * @seq: of the last decision that is in it
 */
void oom_recorder_exported(const struct oom_recorder *recorder, __u64 seq)
{
	const size_t size = getpagesize();
	struct oom_record_state *state;

	/* Not by an update of the map, which would take back what is counted meanwhile. */
	state = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, recorder->state, 0);
	if (state == MAP_FAILED)
		return;
	state->exported = seq;
	munmap(state, size);
}

/* Says nothing; all that is there goes, and with the links the programs. */
static int remove_pins(void)
{
	struct dirent *entry;
	DIR *dir;
	int err = 0;

	dir = opendir(OOM_RECORD_DIR);
	if (!dir)
		return -1;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' && unlinkat(dirfd(dir), entry->d_name, 0))
			err = -1;
	closedir(dir);
	return rmdir(OOM_RECORD_DIR) || err ? -1 : 0;
}

static int pin_all(struct oom_record_bpf *skel)
{
	const struct bpf_object_skeleton *s = skel->skeleton;
	char path[128];
	int i;

	if (bpf_map__pin(skel->maps.decisions, DECISIONS) || bpf_map__pin(skel->maps.bss, STATE))
		return -1;
	for (i = 0; i < s->prog_cnt; i++) {
		snprintf(path, sizeof(path), OOM_RECORD_DIR "/%s", s->progs[i].name);
		if (bpf_link__pin(*s->progs[i].link, path))
			return -1;
	}
	return 0;
}

static int start_programs(struct oom_record_bpf *skel)
{
	int err;

	skel->data->page_size = getpagesize();
	set_max_rlimit();
	err = oom_record_bpf__load(skel);
	if (err) {
		oom_explain_load("the programs of the recorder", -err, NULL);
		return -1;
	}
	if (mount_bpffs_for_file(OOM_RECORD_DIR))
		return -1;
	if (mkdir(OOM_RECORD_DIR, 0700)) {
		oom_err("cannot make " OOM_RECORD_DIR ": %s", strerror(errno));
		return -1;
	}
	err = oom_record_bpf__attach(skel);
	if (!err)
		err = pin_all(skel);
	if (err) {
		oom_err("cannot start the recorder: %s", strerror(errno));
		remove_pins();
	}
	return err ? -1 : 0;
}

static void tell(const char *plain, bool recording)
{
	if (json_output) {
		jsonw_start_object(json_wtr);
		jsonw_bool_field(json_wtr, "recording", recording);
		jsonw_end_object(json_wtr);
	} else {
		printf("%s\n", plain);
	}
}

static int do_start(void)
{
	struct oom_record_bpf *skel;
	libbpf_print_fn_t print;
	int err = -1;

	if (!access(OOM_RECORD_DIR, F_OK)) {
		oom_err("the recorder is running already: its pins are in " OOM_RECORD_DIR);
		return -1;
	}
	print = oom_quiet_libbpf();
	skel = oom_record_bpf__open();
	if (skel)
		err = start_programs(skel);
	else
		oom_explain_load("the programs of the recorder", errno, NULL);
	oom_record_bpf__destroy(skel);
	libbpf_set_print(print);
	if (!err)
		tell("recording, pinned in " OOM_RECORD_DIR, true);
	return err;
}

static int do_stop(void)
{
	if (access(OOM_RECORD_DIR, F_OK)) {
		oom_err("nothing is recorded");
		return -1;
	}
	if (remove_pins()) {
		oom_err("cannot remove the pins in " OOM_RECORD_DIR ": %s", strerror(errno));
		return -1;
	}
	tell("stopped, and what was recorded is gone", false);
	return 0;
}

int oom_do_record(int argc, char **argv)
{
	if (argc == 1 && !strcmp(*argv, "start"))
		return do_start();
	if (argc == 1 && !strcmp(*argv, "stop"))
		return do_stop();
	oom_err("record wants start or stop");
	return -1;
}

#endif /* BPFTOOL_WITHOUT_SKELETONS */
