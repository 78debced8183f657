/* SPDX-License-Identifier: GPL-2.0-only */
/* Running out of memory: by request, on the whole machine, and in a memcg. */
#ifndef SELFTESTS_OOM_POLICY_SHORTAGE_H
#define SELFTESTS_OOM_POLICY_SHORTAGE_H

#include <sys/types.h>
#include <linux/types.h>

int raise_oom_sysrq(void);

/* A child that takes page after page until *@sated is non-zero. */
pid_t hog_start(const __u32 *sated);

/*
 * A shortage: a reserve of memory, and a hog. Ending it gives the reserve back,
 * so that nobody needs a victim's memory any more.
 */
struct shortage {
	pid_t hog;
	void *reserve;
};

int shortage_begin(struct shortage *shortage, const __u32 *sated);
int shortage_end(struct shortage *shortage);

/*
 * A memcg out of memory until the end: a protected child lowers the limit of
 * @path below the usage; or it goes to @hog below @path and takes all that the
 * limit leaves. Whoever wants a known number of victims holds the tasks.
 */
struct memcg_shortage {
	const char *path;
	const char *hog;
	pid_t pid;
};

int memcg_shortage_begin(struct memcg_shortage *shortage, const char *path,
			 const char *hog);
int memcg_shortage_end(struct memcg_shortage *shortage);

#endif /* SELFTESTS_OOM_POLICY_SHORTAGE_H */
