// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * "set NAME=VALUE": the global variables of a program that is loaded from an object file.
 * They are numbers, truth values, words of an enum, or texts; what they are is in the
 * BTF of the file.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "main.h"
#include "oom.h"

struct global {
	const char *name;
	const struct btf *btf;
	const struct btf_type *type;
	void *at;
	__u32 size;
};

typedef bool (*global_fn)(const struct global *global, void *arg);

/* Until @fn says true; returns whether it has. */
static bool each_of_map(const struct btf *btf, struct bpf_map *map, global_fn fn, void *arg)
{
	const struct btf_var_secinfo *info;
	const struct btf_type *section, *var;
	struct global global;
	size_t size;
	char *data;
	__u32 i;

	data = bpf_map__initial_value(map, &size);
	section = btf__type_by_id(btf, bpf_map__btf_value_type_id(map));
	if (!data || !section || !btf_is_datasec(section))
		return false;
	info = btf_var_secinfos(section);
	for (i = 0; i < btf_vlen(section); i++, info++) {
		var = btf__type_by_id(btf, info->type);
		if (!var || !btf_is_var(var) || info->offset + info->size > size ||
		    btf_var(var)->linkage == BTF_VAR_GLOBAL_EXTERN)
			continue;
		global = (struct global) {
			.name = btf__name_by_offset(btf, var->name_off),
			.btf = btf,
			.type = btf__type_by_id(btf, btf__resolve_type(btf, var->type)),
			.at = data + info->offset,
			.size = info->size,
		};
		if (global.name && global.type && fn(&global, arg))
			return true;
	}
	return false;
}

static bool each_global(struct bpf_object *obj, global_fn fn, void *arg)
{
	const struct btf *btf = bpf_object__btf(obj);
	struct bpf_map *map;

	if (!btf)
		return false;
	bpf_object__for_each_map(map, obj)
		if (each_of_map(btf, map, fn, arg))
			return true;
	return false;
}

struct assignment {
	const char *name;
	const char *value;
	const char *file;
	int err;
};

/* A whole number that fits into so many bytes. */
static bool parse_number(const char *text, __u32 size, bool is_signed, __u64 *number)
{
	const int spare = 64 - 8 * (int)size;
	char *end;

	if (!*text || strchr(" \t\n\v\f\r+", *text) || (!is_signed && *text == '-'))
		return false;
	errno = 0;
	*number = is_signed ? (__u64)strtoll(text, &end, 0) : strtoull(text, &end, 0);
	if (*end || errno)
		return false;
	return *number == (is_signed ? (__u64)((__s64)(*number << spare) >> spare) :
			   *number << spare >> spare);
}

static void put_number(const struct global *global, __u64 number)
{
	const __u8 byte = number;
	const __u16 half = number;
	const __u32 word = number;

	switch (global->size) {
	case 1:
		memcpy(global->at, &byte, 1);
		break;
	case 2:
		memcpy(global->at, &half, 2);
		break;
	case 4:
		memcpy(global->at, &word, 4);
		break;
	default:
		memcpy(global->at, &number, 8);
	}
}

static int set_int(const struct global *global, const struct assignment *a)
{
	const __u8 encoding = btf_int_encoding(global->type);
	const bool is_signed = encoding & BTF_INT_SIGNED;
	__u64 number;

	if (global->size > sizeof(number)) {
		oom_err("%s of %s has more than 64 bits", a->name, a->file);
		return -1;
	}
	if (encoding & BTF_INT_BOOL) {
		number = !strcmp(a->value, "1") || !strcmp(a->value, "true");
		if (!number && strcmp(a->value, "0") && strcmp(a->value, "false")) {
			oom_err("%s of %s is true or false, not '%s'", a->name, a->file,
				a->value);
			return -1;
		}
	} else if (!parse_number(a->value, global->size, is_signed, &number)) {
		oom_err("%s of %s is a number of %u bits, %s, not '%s'", a->name, a->file,
			global->size * 8, is_signed ? "of either sign" : "0 or more", a->value);
		return -1;
	}
	put_number(global, number);
	return 0;
}

static bool find_word(const struct global *global, const char *word, __u64 *number)
{
	const struct btf_enum64 *wide = btf_enum64(global->type);
	const struct btf_enum *narrow = btf_enum(global->type);
	__u32 i;

	for (i = 0; i < btf_vlen(global->type); i++) {
		const bool is_wide = btf_is_enum64(global->type);
		const char *name = btf__name_by_offset(global->btf, is_wide ? wide[i].name_off :
						       narrow[i].name_off);

		if (!name || strcmp(name, word))
			continue;
		*number = is_wide ? btf_enum64_value(&wide[i]) : (__u64)(__s64)narrow[i].val;
		return true;
	}
	return false;
}

static int set_enum(const struct global *global, const struct assignment *a)
{
	__u64 number;

	if (!find_word(global, a->value, &number) &&
	    !parse_number(a->value, global->size, btf_kflag(global->type), &number)) {
		oom_err("%s of %s is a word of its enum or a number, not '%s'", a->name, a->file,
			a->value);
		return -1;
	}
	put_number(global, number);
	return 0;
}

static bool is_text(const struct global *global)
{
	const struct btf_type *of;

	if (!btf_is_array(global->type))
		return false;
	of = btf__type_by_id(global->btf,
			     btf__resolve_type(global->btf, btf_array(global->type)->type));
	return of && btf_is_int(of) && of->size == 1;
}

static int set_text(const struct global *global, const struct assignment *a)
{
	if (strlen(a->value) >= global->size) {
		oom_err("%s of %s has room for %u bytes, '%s' is longer", a->name, a->file,
			global->size - 1, a->value);
		return -1;
	}
	memset(global->at, 0, global->size);
	memcpy(global->at, a->value, strlen(a->value));
	return 0;
}

static bool try_global(const struct global *global, void *arg)
{
	struct assignment *a = arg;

	if (strcmp(global->name, a->name))
		return false;
	if (btf_is_int(global->type)) {
		a->err = set_int(global, a);
	} else if (btf_is_any_enum(global->type)) {
		a->err = set_enum(global, a);
	} else if (is_text(global)) {
		a->err = set_text(global, a);
	} else {
		oom_err("%s of %s is not a number, a truth value, an enum or a text", a->name,
			a->file);
		a->err = -1;
	}
	return true;
}

struct names {
	char text[256];
	size_t len;
};

static bool add_name(const struct global *global, void *arg)
{
	struct names *names = arg;

	names->len += snprintf(names->text + names->len, sizeof(names->text) - names->len, "%s%s",
			       names->len ? ", " : "", global->name);
	return names->len >= sizeof(names->text);
}

/**
 * oom_global_set() - set a global variable of an object that is not loaded yet
 * @obj: the object
 * @file: it comes from
 * @text: NAME=VALUE
 *
 * Return: 0, or -1 with the reason told.
 */
int oom_global_set(struct bpf_object *obj, const char *file, const char *text)
{
	const char *value = strchr(text, '=');
	struct assignment a = { .file = file };
	struct names names = {};
	char *name;

	name = value && value != text ? strndup(text, value - text) : NULL;
	if (!name) {
		oom_err("'set' wants NAME=VALUE, not '%s'", text);
		return -1;
	}
	a.name = name;
	a.value = value + 1;
	if (!each_global(obj, try_global, &a)) {
		each_global(obj, add_name, &names);
		oom_err("%s has no global variable %s%s%s", file, name,
			names.len ? "; it has " : "", names.text);
		a.err = -1;
	}
	free(name);
	return a.err;
}
