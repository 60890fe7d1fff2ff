/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/core.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/str.h"
#include "device/device.h"
#include <stdio.h>

static olv_status tell_fixed(olv_core *c, olv_error *err) {
    ol_buf names = OL_BUF_INIT;
    for (size_t i = 0; olv_property_name(i); i++) ol_buf_printf(&names, "%s%s", i ? " " : "", olv_property_name(i));
    char *text = ol_buf_take(&names, NULL);
    if (!text) return ol_fail(err, OLV_NOMEM, "no memory for a core");
    olv_status s = ol_properties_tell(&c->properties, OL_PROPERTY_SUPPORTED_PROPERTIES, text, err);
    ol_free(text);
    size_t n;
    const ol_device *const *all = ol_device_all(&n);
    ol_buf devices = OL_BUF_INIT;
    for (size_t i = 0; i < n; i++) ol_buf_printf(&devices, "%s%s", i ? " " : "", all[i]->name);
    if (s == OLV_OK) s = ol_properties_tell(&c->properties, OL_PROPERTY_AVAILABLE_DEVICES, devices.data ? devices.data : "", err);
    if (s == OLV_OK && n) s = ol_properties_tell(&c->properties, OL_PROPERTY_FULL_DEVICE_NAME, all[0]->description, err);
    if (s == OLV_OK) s = ol_properties_tell(&c->properties, OL_PROPERTY_OPTIMIZATION_CAPABILITIES, "FP32 INT8 BIN EXPORT_IMPORT", err);
    ol_buf_deinit(&devices);
    return s;
}

olv_status olv_core_create(olv_core **out, olv_error *err) {
    olv_core *c = ol_calloc(1, sizeof *c);
    if (!c) return ol_fail(err, OLV_NOMEM, "no memory for a core");
    c->refs = 1;
    pthread_mutex_init(&c->lock, NULL);
    ol_custom_ops_init(&c->ops);
    olv_status s = tell_fixed(c, err);
    if (s == OLV_OK) s = ol_executor_create(0, &c->executor, err);
    if (s == OLV_OK) *out = c;
    else olv_core_destroy(c);
    return s;
}

olv_core *ol_core_retain(olv_core *c) {
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void olv_core_destroy(olv_core *c) {
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1) return;
    if (c->executor) ol_executor_destroy(c->executor);
    ol_properties_deinit(&c->properties);
    ol_custom_ops_deinit(&c->ops);
    pthread_mutex_destroy(&c->lock);
    ol_free(c);
}

olv_status olv_core_set_property(olv_core *c, const char *name, const char *value, olv_error *err) {
    pthread_mutex_lock(&c->lock);
    olv_status s = ol_properties_set(&c->properties, name, value, err);
    pthread_mutex_unlock(&c->lock);
    return s;
}

olv_status olv_core_get_property(olv_core *c, const char *name, const char **value, olv_error *err) {
    static _Thread_local char text[4096]; /* another thread may set the property anew */
    ol_property i;
    OL_TRY(ol_property_find(name, &i, err));
    pthread_mutex_lock(&c->lock);
    snprintf(text, sizeof text, "%s", ol_properties_get(&c->properties, i));
    pthread_mutex_unlock(&c->lock);
    *value = text;
    return OLV_OK;
}
