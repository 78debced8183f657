// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pods and their priorities, from a list as the API server or kubelet gives it:
 *
 *	kubectl get pods -A --field-selector spec.nodeName=NODE -o json
 *
 * A pod has the priority of the first line "class" or "label" of the configuration that
 * names its PriorityClass or one of its labels; else its spec.priority, which the API
 * server has taken from the PriorityClass, higher is safer there as well; else none.
 */
#include <string.h>
#include <jansson.h>

#include "oom_conf.h"

/* As kubelet names a pod's cgroup, for each of its cgroup drivers. */
static int add_pod(struct oom_conf *conf, const char *uid, const struct oom_value *value)
{
	struct oom_pod *pod = &conf->pods[conf->nr_pods];
	int n;

	if (conf->nr_pods + 2 > 2 * MAX_PODS)
		return conf_fail(conf, conf->pods_line, "%s has more than %d pods",
				 conf->pods_file, MAX_PODS);
	n = snprintf(pod[0].name, sizeof(pod[0].name), "pod%s", uid);
	if (!*uid || n >= (int)(sizeof(pod[1].name) - sizeof(".slice")) || strchr(uid, '/'))
		return conf_fail(conf, conf->pods_line, "%s has a pod whose UID is '%s'",
				 conf->pods_file, uid);
	pod[0].value = *value;
	pod[1] = pod[0];
	while (strchr(pod[1].name, '-'))
		*strchr(pod[1].name, '-') = '_';
	strcat(pod[1].name, ".slice");
	conf->nr_pods += 2;
	return 0;
}

static const struct oom_value *find_class(const struct oom_conf *conf, const char *class_name,
					  json_t *labels)
{
	const struct oom_class *class;
	const char *is;
	int i;

	for (i = 0; i < conf->nr_classes; i++) {
		class = &conf->classes[i];
		is = class->label ? json_string_value(json_object_get(labels, class->label)) :
				    class_name;
		if (is && !strcmp(is, class->name))
			return &class->value;
	}
	return NULL;
}

static int read_pod(struct oom_conf *conf, json_t *pod)
{
	struct oom_value value = {
		.state = BPF_OOM_PRIORITY_SET,
		.line = conf->pods_line,
	};
	const char *uid, *class_name = NULL;
	json_t *labels = NULL, *number = NULL;
	const struct oom_value *class;
	json_error_t error;

	if (json_unpack_ex(pod, &error, 0, "{s:{s:s,s?o},s:{s?s,s?o}}", "metadata", "uid", &uid,
			   "labels", &labels, "spec", "priorityClassName", &class_name,
			   "priority", &number))
		return conf_fail(conf, conf->pods_line, "%s has something that is no pod: %s",
				 conf->pods_file, error.text);
	class = find_class(conf, class_name, labels);
	if (class)
		return add_pod(conf, uid, class);
	if (!json_is_integer(number))
		return 0;
	value.priority = json_integer_value(number);
	return add_pod(conf, uid, &value);
}

int oom_pods_read(struct oom_conf *conf)
{
	json_t *list, *items, *pod;
	json_error_t error;
	int err = 0;
	size_t i;

	list = json_load_file(conf->pods_file, 0, &error);
	if (!list && error.line > 0)
		return conf_fail(conf, conf->pods_line, "%s, line %d: %s", conf->pods_file,
				 error.line, error.text);
	if (!list)
		return conf_fail(conf, conf->pods_line, "%s", error.text);
	items = json_object_get(list, "items");
	if (!json_is_array(items))
		err = conf_fail(conf, conf->pods_line, "%s is no list of pods: it has no items",
				conf->pods_file);
	json_array_foreach(items, i, pod)
		if (!err)
			err = read_pod(conf, pod);
	json_decref(list);
	return err;
}
