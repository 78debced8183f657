// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trees of the bench; bench_shape.h says what each function is for.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench_shape.h"

int shape_parse(struct shape *shape, const char *text)
{
	char *end;

	shape->fanout = strtol(text, &end, 10);
	for (shape->depth = 1; *end == 'x'; shape->depth++)
		if (strtol(end + 1, &end, 10) != shape->fanout)
			return -1;
	return *end || shape->fanout <= 0 ? -1 : 0;
}

int shape_count(const struct shape *shape, int level)
{
	int count = 1;

	while (level--)
		count *= shape->fanout;
	return count;
}

void shape_path(const struct shape *shape, int level, int n, char *path, size_t size)
{
	int used = 0;

	while (level--)
		used += snprintf(path + used, size - used, "%d%s",
				 n / shape_count(shape, level) % shape->fanout,
				 level ? "/" : "");
}
