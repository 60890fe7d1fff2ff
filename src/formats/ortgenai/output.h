/* SPDX-License-Identifier: Apache-2.0 */
/* A folder that appears complete or not at all. Work lies in OUT.part-KEY beside OUT, held by a lock file with the
 * pid of its process, and a journal names the finished parts; the next run with the same key continues it. */
#ifndef OL_FORMATS_ORTGENAI_OUTPUT_H
#define OL_FORMATS_ORTGENAI_OUTPUT_H

#include "base/executor.h"
#include "base/map.h"

typedef struct ol_output {
    char *out, *part;  /* folders */
    bool replace;      /* OUT may be replaced */
    int lock_fd, journal_fd;
    ol_map done;       /* names in the journal, and their notes (char *, may be NULL; both into journal_text) */
    char *journal_text;
} ol_output;

/* Refuses an OUT that exists and is not empty, unless force. fresh: discards unfinished work first. `need` bytes must be
 * free on the disk (less what the unfinished work already holds). `layout` says how the parts lie in the files: a
 * journal with another one, or of another boot of the machine (after a power failure written pages may be lost), is
 * discarded. The part folder exists and is locked afterwards. */
OLV_MUST_USE olv_status ol_output_begin(ol_output *o, const char *out, const char *key, bool force, bool fresh,
                                        uint64_t need, uint64_t layout, olv_error *err);
bool ol_output_is_done(const ol_output *o, const char *name);
/* Adds a name to the journal; what it names must be on the disk. */
OLV_MUST_USE olv_status ol_output_mark(ol_output *o, const char *name, olv_error *err);
/* The same with a note of one line (no tab) that ol_output_note gives back in a later run; NULL when there is none. */
OLV_MUST_USE olv_status ol_output_mark_note(ol_output *o, const char *name, const char *note, olv_error *err);
const char *ol_output_note(const ol_output *o, const char *name);
/* Writes a small file of the folder. */
OLV_MUST_USE olv_status ol_output_file(ol_output *o, const char *name, const void *data, size_t len, olv_error *err);
OLV_MUST_USE olv_status ol_output_copy(ol_output *o, const char *from_dir, const char *name, olv_error *err);
/* Removes journal and lock and renames the folder into place. */
OLV_MUST_USE olv_status ol_output_finish(ol_output *o, olv_error *err);
/* Always to be called; unfinished work stays. */
void ol_output_close(ol_output *o);

#endif
