/* SPDX-License-Identifier: Apache-2.0 */
/* Where fetched files lie: in the cache of the hub's own client (models--org--name with blobs, refs and snapshots), or in a
 * folder of the user's choice with notes beside the files. */
#ifndef OL_BUNDLE_HUB_PLACE_H
#define OL_BUNDLE_HUB_PLACE_H

#include "bundle/hub_listing.h"

typedef struct ol_hub_place {
    char repo[2600];     /* the model's folder in the cache; "" with a local folder */
    char locks[2600];    /* of its lock files */
    const char *local;   /* NULL: the cache */
    char snapshot[2800]; /* where the files appear */
} ol_hub_place;

/* cache_dir NULL: as the environment says. */
OLV_MUST_USE olv_status ol_hub_place_init(ol_hub_place *p, const char *id, const char *cache_dir, const char *local, olv_error *err);
/* The commit is known: names the snapshot folder, makes the folders, notes the revision in refs. */
OLV_MUST_USE olv_status ol_hub_place_commit(ol_hub_place *p, const char *commit, const char *revision, olv_error *err);

/* One file of it. */
typedef struct ol_hub_target {
    char final[4600];  /* blob, or the file itself in a local folder */
    char part[4700];   /* the unfinished file beside it */
    char lock[4700];
    char shown[4600];  /* where it appears */
} ol_hub_target;
OLV_MUST_USE olv_status ol_hub_target_init(ol_hub_target *t, const ol_hub_place *p, const char *path, const char *etag, olv_error *err);
/* Is it there, complete? (By its name: blobs are named by their content; notes say it for local folders.) */
bool ol_hub_target_there(const ol_hub_target *t, const ol_hub_place *p, const char *path, const char *commit, const char *etag, uint64_t size);
/* The part is complete and right: gives it its name, and makes it appear. */
OLV_MUST_USE olv_status ol_hub_target_finish(const ol_hub_target *t, const ol_hub_place *p, const char *path, const char *commit,
                                             const char *etag, olv_error *err);
/* Makes a blob that is there appear in the snapshot. */
OLV_MUST_USE olv_status ol_hub_target_link(const ol_hub_target *t, const ol_hub_place *p, const char *path, const char *etag, olv_error *err);

#endif
