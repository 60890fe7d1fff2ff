/* SPDX-License-Identifier: Apache-2.0 */
/* Models that are named by a hub id and lie nowhere yet. */
#ifndef CLI_FETCH_H
#define CLI_FETCH_H

/* Fetches what a model needs when `model` is a hub id ("org/name") that is neither a path nor in the cache, unless --offline.
 * Exit code, 0: all is well, or nothing was to be done. */
int fetch_missing(const char *model);

#endif
