/* SPDX-License-Identifier: GPL-2.0-only */
/* The data that is looked up. Whoever includes this says what SYMBOL() is. */
SYMBOL(bpf_cgroup_btf_id),
SYMBOL(bpf_cgrp_storage_delete_proto),
SYMBOL(bpf_cgrp_storage_get_proto),
SYMBOL(btf_tracing_ids),
SYMBOL(oom_killer_disabled),
SYMBOL(oom_lock),
SYMBOL(total_swap_pages),
