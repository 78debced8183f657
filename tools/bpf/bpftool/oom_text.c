// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * How "bpftool oom" speaks: a tenant chooses the names of its cgroups and processes,
 * and must not get at the terminal of whoever looks at them, nor shift the columns.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "json_writer.h"
#include "main.h"
#include "oom.h"

#define MIN_ROWS	3	/* of a list, however small the terminal is */

/* @lines: it may have ends of lines, and tabs that begin one. */
static void mask(char *text, bool lines)
{
	char *to = text, before = '\0';
	__u32 point;
	int len;

	for (; *text; text += len) {
		len = oom_utf8(text, &point);
		if (lines && (*text == '\n' || (*text == '\t' && before == '\n'))) {
			*to++ = *text;
		} else if (!len || oom_is_control(point)) {
			*to++ = '?';
			len = len ?: 1;
		} else {
			memmove(to, text, len);
			to += len;
		}
		before = to[-1];
	}
	*to = '\0';
}

/**
 * oom_mask_name() - make a name fit for a terminal, and for one line
 * @name: what is no UTF-8 in it, or a control character, becomes a question mark
 */
void oom_mask_name(char *name)
{
	mask(name, false);
}

/**
 * oom_printf() - printf() for all that has names in it
 * @fmt: as of printf(); a tab in it begins a line
 *
 * Return: as of printf().
 */
int oom_printf(const char *fmt, ...)
{
	va_list args;
	char *text;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0)
		return n;
	mask(text, true);
	fputs(text, stdout);
	free(text);
	return n;
}

/**
 * oom_err() - p_err() for all that has names in it
 * @fmt: as of p_err(), which does not quote in JSON what has to be quoted
 */
void oom_err(const char *fmt, ...)
{
	va_list args;
	char *text;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0) {
		p_err("mem alloc failed");
		return;
	}
	if (json_output) {
		jsonw_start_object(json_wtr);
		jsonw_string_field(json_wtr, "error", text);
		jsonw_end_object(json_wtr);
	} else {
		mask(text, false);
		fprintf(stderr, "Error: %s\n", text);
	}
	free(text);
}

/**
 * oom_bad_arg() - say that a word is one too many
 * @word: of the command line
 *
 * Return: -1.
 */
int oom_bad_arg(const char *word)
{
	oom_err("what is '%s'?", word);
	return -1;
}

struct range {
	__u32 first;
	__u32 last;
};

/* As of wcwidth(), which knows nothing in the locale C; in ascending order. */
static const struct range no_columns[] = {
	{ 0x300, 0x36f },	{ 0x483, 0x489 },	{ 0x591, 0x5bd },
	{ 0x5bf, 0x5bf },	{ 0x5c1, 0x5c2 },	{ 0x5c4, 0x5c5 },
	{ 0x5c7, 0x5c7 },	{ 0x610, 0x61a },	{ 0x64b, 0x65f },
	{ 0x670, 0x670 },	{ 0x6d6, 0x6dc },	{ 0x6df, 0x6e4 },
	{ 0x6e7, 0x6e8 },	{ 0x6ea, 0x6ed },	{ 0x900, 0x902 },
	{ 0x93c, 0x93c },	{ 0x941, 0x948 },	{ 0x94d, 0x94d },
	{ 0xe31, 0xe31 },	{ 0xe34, 0xe3a },	{ 0xe47, 0xe4e },
	{ 0x1160, 0x11ff },	{ 0x1ab0, 0x1aff },	{ 0x1dc0, 0x1dff },
	{ 0x200b, 0x200d },	{ 0x2060, 0x2064 },	{ 0x20d0, 0x20f0 },
	{ 0x302a, 0x302d },	{ 0x3099, 0x309a },	{ 0xfe00, 0xfe0f },
	{ 0xfe20, 0xfe2f },	{ 0xfeff, 0xfeff },	{ 0xe0100, 0xe01ef },
};

static const struct range two_columns[] = {
	{ 0x1100, 0x115f },	{ 0x231a, 0x231b },	{ 0x2329, 0x232a },
	{ 0x23e9, 0x23ec },	{ 0x25fd, 0x25fe },	{ 0x2614, 0x2615 },
	{ 0x2648, 0x2653 },	{ 0x26a1, 0x26a1 },	{ 0x26bd, 0x26be },
	{ 0x2705, 0x2705 },	{ 0x2728, 0x2728 },	{ 0x274c, 0x274c },
	{ 0x2753, 0x2755 },	{ 0x2757, 0x2757 },	{ 0x2e80, 0x303e },
	{ 0x3041, 0x4dbf },	{ 0x4e00, 0xa4cf },	{ 0xa960, 0xa97c },
	{ 0xac00, 0xd7a3 },	{ 0xf900, 0xfaff },	{ 0xfe10, 0xfe19 },
	{ 0xfe30, 0xfe6b },	{ 0xff01, 0xff60 },	{ 0xffe0, 0xffe6 },
	{ 0x1f300, 0x1f64f },	{ 0x1f680, 0x1f6ff },	{ 0x1f900, 0x1f9ff },
	{ 0x20000, 0x3fffd },
};

static bool is_in(__u32 point, const struct range *ranges, size_t nr)
{
	size_t i;

	for (i = 0; i < nr && ranges[i].last < point; i++)
		;
	return i < nr && ranges[i].first <= point;
}

/**
 * oom_width() - the columns that a text takes when oom_printf() has written it
 * @text: one line
 *
 * Return: how many.
 */
int oom_width(const char *text)
{
	int columns = 0, len;
	__u32 point;

	for (; *text; text += len) {
		len = oom_utf8(text, &point);
		if (!len || oom_is_control(point)) {
			len = len ?: 1;
			columns++;
		} else if (!is_in(point, no_columns, ARRAY_SIZE(no_columns))) {
			columns += is_in(point, two_columns, ARRAY_SIZE(two_columns)) ? 2 : 1;
		}
	}
	return columns;
}

/**
 * oom_pad() - blanks up to the next column
 * @columns: how many, none if less than one
 */
void oom_pad(int columns)
{
	printf("%*s", columns > 0 ? columns : 0, "");
}

/**
 * oom_view_rows() - how many siblings of many are shown
 * @view: what was asked for
 * @levels: how many lists of them share the screen
 * @others: lines that are there in any case
 *
 * Return: as many as fit, on a terminal; elsewhere there is room for all.
 */
int oom_view_rows(const struct oom_view *view, int levels, int others)
{
	struct winsize size;
	int rows;

	if (view->top)
		return view->top < INT_MAX ? view->top : INT_MAX;
	if (view->all || json_output || !isatty(STDOUT_FILENO) ||
	    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_row)
		return INT_MAX;
	rows = (size.ws_row - others) / (levels ?: 1);
	return rows > MIN_ROWS ? rows : MIN_ROWS;
}

/**
 * oom_colours() - are there to be colours?
 *
 * Return: true on a terminal, unless it or its user wants none.
 */
bool oom_colours(void)
{
	const char *term = getenv("TERM"), *none = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && (!none || !*none) && term && *term &&
	       strcmp(term, "dumb");
}
