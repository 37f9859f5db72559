// A filter: the field `iban` has the check digits that it must have (ISO 13616). Without an IBAN a record is dropped; one that is
// none, or a mistyped one, goes to the dead letters.

#include <stdlib.h>
#include <string.h>

#include "filter_plugin.h"

#define IBAN_CHARACTERS_MIN 15
#define IBAN_CHARACTERS_MAX 34

void exports_tidegate_plugin_plugin_describe(exports_tidegate_plugin_plugin_identity_t *identity) {
    filter_plugin_string_dup(&identity->name, "valid-iban");
    filter_plugin_string_dup(&identity->version, "0.1.0");
    filter_plugin_string_dup(&identity->settings_schema, "");
}

// What is handed out is freed by the bindings, what comes in by us.
bool exports_tidegate_plugin_plugin_configure(filter_plugin_string_t *settings,
                                              exports_tidegate_plugin_plugin_ports_t *ports,
                                              filter_plugin_string_t *refused) {
    bool empty = settings->len == 0 || (settings->len == 2 && memcmp(settings->ptr, "{}", 2) == 0);
    filter_plugin_string_free(settings);
    if (!empty) {
        filter_plugin_string_dup(refused, "this plugin has no settings");
        return false;
    }
    tidegate_plugin_data_field_t *field = malloc(sizeof *field);
    filter_plugin_string_dup(&field->path, "iban");
    field->kind = TIDEGATE_PLUGIN_DATA_KIND_TEXT;
    field->required = false;
    *ports = (exports_tidegate_plugin_plugin_ports_t){.reads = {field, 1}, .writes = {NULL, 0}};
    return true;
}

// The characters without spaces, upper case; 0 where they cannot be an IBAN.
static size_t compact(const uint8_t *text, size_t len, uint8_t *iban) {
    size_t count = 0;
    for (size_t at = 0; at < len; at++) {
        uint8_t c = text[at];
        if (c == ' ') continue;
        if (c >= 'a' && c <= 'z') c -= 'a' - 'A';
        if (count == IBAN_CHARACTERS_MAX || !((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'))) return 0;
        iban[count++] = c;
    }
    return count < IBAN_CHARACTERS_MIN ? 0 : count;
}

// The first four characters go to the end, letters count 10 to 35, and the number is 1 modulo 97.
static const char *problem(const uint8_t *text, size_t len) {
    uint8_t iban[IBAN_CHARACTERS_MAX];
    size_t count = compact(text, len, iban);
    if (count == 0) return "this is no IBAN: 15 to 34 letters and digits";
    uint32_t rest = 0;
    for (size_t at = 0; at < count; at++) {
        uint8_t c = iban[(at + 4) % count];
        rest = c <= '9' ? rest * 10 + (c - '0') : rest * 100 + (c - 'A' + 10);
        rest %= 97;
    }
    return rest == 1 ? NULL : "the check digits of the IBAN are wrong";
}

void exports_tidegate_plugin_filter_filter(exports_tidegate_plugin_filter_batch_t *batch,
                                           exports_tidegate_plugin_filter_verdicts_t *verdicts) {
    const tidegate_plugin_data_column_t *column = &batch->columns.ptr[0];
    const tidegate_plugin_data_slices_t *texts = &column->values.val.slices;
    uint8_t *keep = calloc(batch->rows + 1, 1);
    exports_tidegate_plugin_filter_rejection_t *rejected = malloc((batch->rows + 1) * sizeof *rejected);
    size_t rejections = 0;
    for (uint32_t row = 0; row < batch->rows; row++) {
        if (column->present.len != 0 && column->present.ptr[row] == 0) continue;
        uint32_t start = texts->offsets.ptr[row];
        const char *reason = problem(texts->bytes.ptr + start, texts->offsets.ptr[row + 1] - start);
        keep[row] = reason == NULL;
        if (reason != NULL) {
            rejected[rejections].row = row;
            filter_plugin_string_dup(&rejected[rejections++].reason, reason);
        }
    }
    if (rejections == 0) { // of an empty list the bindings free nothing
        free(rejected);
        rejected = NULL;
    }
    *verdicts = (exports_tidegate_plugin_filter_verdicts_t){{keep, batch->rows}, {rejected, rejections}};
    exports_tidegate_plugin_filter_batch_free(batch);
}
