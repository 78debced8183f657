#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What bpftool's completion offers for "bpftool oom", one line per case: the words, the
# last of which is to be completed, and after the colon what is offered, in brackets.
# Of the package bash-completion and of what readline does it needs stand-ins only.
#
# completion.sh FILE: the completion of bpftool
set -u

top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
mkdir -p "$top/cgroup/prod/db" "$top/cgroup/my tenant/a*" "$top/cgroup/[x]" "$top/work"
touch "$top/work/policy.bpf.o" "$top/work/policy.bpf.c" "$top/work/note.txt"

# shellcheck disable=SC1090 # its path is given
. "$1"

compopt() { :; }

# shellcheck disable=SC2034 # for the completion
_init_completion()
{
	words=("${typed[@]}")
	cword=$((${#words[@]} - 1))
	cur=${words[cword]} prev=${words[cword - 1]}
}

_filedir()
{
	local found
	mapfile -t found < <(compgen -f -X "${1:+!*.$1}" -- "$cur")
	COMPREPLY+=("${found[@]}")
}

_bpftool_cgroup_root() { echo "$top/cgroup"; }
_bpftool_get_prog_ids() { COMPREPLY+=(7); }
_bpftool_get_prog_names() { COMPREPLY+=(tenant_prio); }
_bpftool_get_prog_tags() { COMPREPLY+=(0123456789abcdef); }

# offers DIRECTORY WORD...
offers()
{
	local typed COMPREPLY=()

	cd "$top/$1" || exit
	shift
	typed=(bpftool oom "$@")
	_bpftool
	printf '%s:' "$*" | sed "s,$top,TOP,g"
	if [ ${#COMPREPLY[@]} -gt 0 ]; then
		printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort |
			sed "s,$top,TOP,g; s/.*/ [&]/" | tr -d '\n'
	fi
	echo
}

offers work show ''
offers work show my
offers work show '"my'
offers work show 'my\ '
offers work show /my
offers work show '/my\ tenant/'
offers work rank "$top/cgroup/m"
offers cgroup/prod rank d
offers cgroup/prod rank ../m
offers cgroup/prod rank /m
offers work compare prod ''
offers work attach po
offers work attach n
offers work attach name ''
offers work attach tag ''
offers work select prod prog p
offers work select prod prog note
offers work replace prod po
offers work replace prod policy.bpf.o ma
