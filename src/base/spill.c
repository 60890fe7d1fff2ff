/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spill.h"
#include "base/alloc.h"
#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static olv_status in_memory(ol_spill *s, size_t bytes, olv_error *err) {
    void *p = ol_alloc_aligned(bytes + 1);
    if (!p) return ol_fail(err, OLV_NOMEM, "no memory for %zu bytes of intermediate data", bytes);
    memset(p, 0, bytes + 1);
    *s = (ol_spill){p, bytes, false};
    return OLV_OK;
}

/* Space is reserved beforehand: a full disk is an error here and no signal later. */
static int nameless_file(size_t bytes, olv_error *err) {
    const char *dir = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/olivine-XXXXXX", dir && *dir ? dir : "/tmp");
    int fd = mkstemp(path);
    if (fd < 0) {
        ol_fail(err, OLV_IO, "%s: no file for intermediate data can be made: %s", path, strerror(errno));
        return -1;
    }
    unlink(path);
    int code = posix_fallocate(fd, 0, (off_t)bytes);
    if (!code) return fd;
    ol_fail(err, OLV_IO, "%s: no room for %zu bytes of intermediate data: %s", dir && *dir ? dir : "/tmp", bytes, strerror(code));
    close(fd);
    return -1;
}

olv_status ol_spill_init(ol_spill *s, size_t bytes, olv_error *err) {
    *s = (ol_spill){NULL, 0, false};
    if (bytes < OL_SPILL_LEAST) return in_memory(s, bytes, err);
    int fd = nameless_file(bytes, err);
    if (fd < 0) return OLV_IO;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (p == MAP_FAILED) return ol_fail(err, OLV_NOMEM, "%zu bytes of intermediate data cannot be mapped", bytes);
    *s = (ol_spill){p, bytes, true};
    return OLV_OK;
}

void ol_spill_deinit(ol_spill *s) {
    if (s->mapped) munmap(s->data, s->bytes);
    else ol_free_aligned(s->data);
    *s = (ol_spill){NULL, 0, false};
}
