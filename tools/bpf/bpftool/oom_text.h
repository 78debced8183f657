/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Text that somebody else has chosen, like the name of a cgroup or of a process, on
 * its way to a terminal or into JSON. Inline is what json_writer.c needs, as the
 * bootstrap bpftool has no oom.
 */
#ifndef __BPFTOOL_OOM_TEXT_H
#define __BPFTOOL_OOM_TEXT_H

#include <stdbool.h>
#include <stdio.h>
#include <linux/types.h>

/* The bytes of the character that @text begins with, 0 if that is no UTF-8. */
static inline int oom_utf8(const char *text, __u32 *point)
{
	static const __u32 least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char c = *text;
	int len, i;

	len = c < 0x80 ? 1 : c < 0xc0 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf8 ? 4 : 0;
	*point = len < 2 ? c : c & (0x7f >> len);
	for (i = 1; i < len; i++) {
		c = text[i];
		if ((c & 0xc0) != 0x80)
			return 0;
		*point = *point << 6 | (c & 0x3f);
	}
	if (*point < least[len] || *point > 0x10ffff || (*point >= 0xd800 && *point <= 0xdfff))
		return 0;
	return len;
}

/* Commands to a terminal, ends of lines, and what turns the direction of writing. */
static inline bool oom_is_control(__u32 point)
{
	return point < 0x20 || (point >= 0x7f && point <= 0x9f) || point == 0x61c ||
	       point == 0x200e || point == 0x200f || (point >= 0x2028 && point <= 0x202e) ||
	       (point >= 0x2066 && point <= 0x2069);
}

/*
 * One character of a string of JSON, which has no bytes that are not UTF-8: they are
 * written as in the names of systemd's units. Gives the last byte that was used.
 */
static inline const char *oom_json_char(FILE *out, const char *text)
{
	__u32 point;
	int len;

	len = oom_utf8(text, &point);
	if (!len) {
		fprintf(out, "\\\\x%02x", (unsigned char)*text);
		return text;
	}
	if (oom_is_control(point))
		fprintf(out, "\\u%04x", point);
	else
		fwrite(text, 1, len, out);
	return text + len - 1;
}

void oom_mask_name(char *name);
int __printf(1, 2) oom_printf(const char *fmt, ...);
void __printf(1, 2) oom_err(const char *fmt, ...);
int oom_bad_arg(const char *word);
int oom_width(const char *text);
void oom_pad(int columns);
bool oom_colours(void);

#endif /* __BPFTOOL_OOM_TEXT_H */
