#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the cases share: lines of KTAP, tenants, shortages, and who died of them. A case
# is a file of commands that this is read before; its line "# tests: N" says how many
# results it reports. Nothing here waits for a time: "until_true" asks again until what
# it waits for is so, and gives up where that will never be.

# shellcheck disable=SC1091,SC2034 # the kernel's; where the package has its things
. /mnt/ktap_helpers.sh
lib=/usr/lib/oom_policy
said=/run/field.said
scope=/
cgroups=/sys/fs/cgroup

# check NAME COMMAND...: a result; what the command says is shown if it fails
check()
{
	local name=$1
	shift
	if "$@" >"$said" 2>&1; then
		ktap_test_pass "$name"
	else
		sed 's/^/# /' "$said"
		ktap_test_fail "$name"
	fi
}

note() { sed 's/^/# /'; }

# same WHAT EXPECTED CAME
same()
{
	[ "$2" = "$3" ] && return
	echo "$1: expected '$2', came '$3'"
	return 1
}

until_true()
{
	local end=$((SECONDS + 600))
	until "$@" >/dev/null 2>&1; do
		if [ "$SECONDS" -gt "$end" ]; then
			echo "it did not come to: $*"
			return 1
		fi
		sleep 0.2
	done
}

# as_typed COMMAND...: what a login shell starts may be killed, unlike a case
as_typed() { choom -n 0 -- "$@"; }

# page HEADING: runs the commands that the page has below that heading
page()
{
	awk -v heading="$1" '
		inside && /^(=+|-+)$/ && !first { exit }
		$0 == heading { inside = first = 1; next }
		inside && /^(=+|-+)$/ { first = 0; next }
		inside && /^    # / { print substr($0, 7); next }
		inside && /^    > / { print substr($0, 7) }' /mnt/page.rst >/run/field.page
	[ -s /run/field.page ] || {
		echo "the page has no commands below '$1'"
		return 1
	}
	as_typed bash -ex /run/field.page </dev/null
}

unit() { systemctl show --property="$2" --value "$1"; }
property_is() { [ "$(unit "$1" "$2")" = "$3" ]; }
cgroup_of() { unit "$1" ControlGroup; }
event() { sed -n "s/^$2 //p" "$cgroups$1/memory.events"; }

# tenant UNIT SLICE MEGABYTES [OPTION...]: a service that holds memory when this returns
tenant()
{
	local unit=$1 slice=$2 megabytes=$3
	shift 3
	systemd-run -q --unit="$unit" --slice="$slice" --service-type=notify "$@" \
		/mnt/hold "$megabytes"
}

# Who is started by the next two tells it here when it holds its memory.
mkfifo -m 600 /run/field.ready 2>/dev/null
exec 7<>/run/field.ready

# ready N: so many have told it
ready()
{
	local n
	for ((n = 0; n < $1; n++)); do
		read -r -t 600 _ <&7 || {
			echo "$n of $1 hold their memory"
			return 1
		}
	done
}

# in_cgroup DIR ADJ COMMAND...: runs it there with that oom_score_adj; its process is
# left in "started"
in_cgroup()
{
	local dir=$1 adj=$2
	shift 2
	# shellcheck disable=SC2016 # that shell's
	READY=/run/field.ready choom -n "$adj" -- \
		sh -c 'echo 0 >"$0/cgroup.procs" && exec "$@"' "$dir" "$@" &
	started=$!
}

# in_scope UNIT SLICE ADJ COMMAND...: the same in a transient scope
in_scope()
{
	local unit=$1 slice=$2 adj=$3
	shift 3
	READY=/run/field.ready choom -n "$adj" -- \
		systemd-run -q --scope --collect --unit="$unit" --slice="$slice" "$@" &
	started=$!
}

# For a runtime that starts its containers itself: does a cgroup hold that much by now?
holds() { [ "$(cat "$cgroups$1/memory.current")" -ge $(($2 << 20)) ]; }

# A root file system for containers, as a tar: "tenant", and what that needs
tenant_root()
{
	{
		printf '%s\n' /usr/bin/perl /bin/sh /bin/cat
		ldd /usr/bin/perl /bin/sh /bin/cat | grep -o '/[^ ]*' | grep -v ':$'
		find /usr/lib/*/perl-base -type f
	} | sort -u | tar -chf - -T - -C /mnt hold tenant 2>/dev/null
}

# The policy as the package configures it, and this test's own slice out of the way
policy()
{
	systemctl start oom-policy && bpftool oom priority set /system.slice 200 >/dev/null
}

# Units that have to be gone for the next ones of that name.
drop()
{
	systemctl stop "$@" 2>/dev/null
	systemctl reset-failed "$@" 2>/dev/null
	true
}

# The kernel's lines about kills since "forget_kills", as CGROUP COMM PID: of many, the
# first ones would not be there any more.
kills()
{
	dmesg | sed -n 's/.*oom-kill:.*task_memcg=\([^,]*\),task=\([^,]*\),pid=\([0-9]*\),.*/\1 \2 \3/p'
}

forget_kills() { dmesg --clear; }
has_killed() { [ -n "$(kills)" ]; }

# Whom a shortage would take
rehearsed() { bpftool -j oom select "${1-/}" | jq -r '.victim | "\(.cgroup) \(.comm) \(.pid)"'; }

# A shortage of the machine without a shortage: what the killer does is the same.
shortage_now()
{
	forget_kills
	echo f >/proc/sysrq-trigger
	until_true has_killed
}

# A real one: somebody in SLICE takes all that there is, until it is the victim itself.
shortage()
{
	systemd-run -q --wait --collect --unit=growth --slice="$1" /mnt/hold all
	true
}

# as_rehearsed COMMAND...: the first to die of it is whom the rehearsal before it named,
# for a shortage of the machine or of "scope". It is left in "victim": CGROUP COMM PID.
as_rehearsed()
{
	local whom
	whom=$(rehearsed "$scope")
	forget_kills
	echo "rehearsed: $whom"
	"$@"
	victim=$(kills | head -n 1)
	same killed "$whom" "$victim"
}

# goes_last PARENT PATTERN N: it has N children like that, and none of them dies before
# another one. Whom nobody can kill has no place in the order.
goes_last()
{
	bpftool -j oom rank "$1" | jq -e --arg like "$2" --argjson n "$3" '
		[.children[] | select(.cgroup | test($like))] as $last |
		([.children[] | select(.cgroup | test($like) | not) | .rank // 0] | max) as $others |
		($last | length) == $n and all($last[]; .rank == null or .rank > $others)' && return
	bpftool oom rank "$1"
	return 1
}

priority() { cat "$cgroups$1/memory.oom.priority"; }
links() { bpftool -j oom show | jq -c '[.policies[] | [.cgroup, .prog_name, .link_id]]'; }
