/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static olv_log_fn *sink;
static void *sink_ctx;

void olv_set_log(olv_log_fn *fn, void *ctx) {
    pthread_mutex_lock(&lock);
    sink = fn;
    sink_ctx = ctx;
    pthread_mutex_unlock(&lock);
}

void ol_log(olv_log_level level, const char *fmt, ...) {
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    pthread_mutex_lock(&lock);
    if (sink) sink(sink_ctx, level, line);
    pthread_mutex_unlock(&lock);
}
