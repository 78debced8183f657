/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/* OOM policies on a kernel that does not know them: see oom_policy.c. */
#ifndef __LIBBPF_OOM_POLICY_H
#define __LIBBPF_OOM_POLICY_H

#include <linux/bpf.h>

int oom_policy_bpf(enum bpf_cmd cmd, union bpf_attr *attr, unsigned int size);

#endif /* __LIBBPF_OOM_POLICY_H */
