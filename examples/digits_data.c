/* SPDX-License-Identifier: Apache-2.0 */
#include "digits_data.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { PIXEL_MAX = 16 };

static void fail(const char *path, size_t line, const char *what)
{
    if (line > 0)
        fprintf(stderr, "digits: %s, line %zu: %s\n", path, line, what);
    else
        fprintf(stderr, "digits: %s: %s\n", path, what);
    exit(1);
}

/* Reads "v,v,…,v" into pixels and label; returns what is wrong with it, or NULL. */
static const char *parse(const char *text, float pixels[PIXELS], unsigned char *label)
{
    for (int column = 0; column <= PIXELS; column++) {
        const int limit = column < PIXELS ? PIXEL_MAX : CLASSES - 1;
        char *end;
        const long value = strtol(text, &end, 10);

        if (end == text || *text < '0' || *text > '9')
            return column == 0 ? "a number is expected" : "65 numbers are expected";
        if (value > limit)
            return column < PIXELS ? "a pixel is above 16" : "a label is above 9";
        if (column < PIXELS)
            pixels[column] = (float)value / PIXEL_MAX;
        else
            *label = (unsigned char)value;
        if (column < PIXELS && *end != ',')
            return "65 numbers with commas between are expected";
        text = end + 1;
        if (column == PIXELS && *end != '\n' && *end != '\0')
            return "more than 65 numbers";
    }
    return NULL;
}

struct digits digits_read(const char *path, size_t least)
{
    struct digits d = {.pixels = malloc(DIGITS_MAX * sizeof *d.pixels),
                       .label = malloc(DIGITS_MAX)};
    gzFile file = gzopen(path, "rb");
    char text[512];
    int error;

    if (file == NULL)
        fail(path, 0, errno != 0 ? strerror(errno) : "out of memory");
    if (d.pixels == NULL || d.label == NULL)
        fail(path, 0, "out of memory");
    while (gzgets(file, text, sizeof text) != NULL) {
        if (d.count == DIGITS_MAX)
            fail(path, d.count + 1, "more digits than this example takes");
        const char *wrong = parse(text, d.pixels[d.count], &d.label[d.count]);
        d.count++;
        if (wrong != NULL)
            fail(path, d.count, wrong);
    }
    const char *message = gzerror(file, &error);
    if (error != Z_OK && error != Z_STREAM_END)
        fail(path, d.count + 1, error == Z_ERRNO ? strerror(errno) : message);
    if (d.count < least)
        fail(path, d.count + 1, "the file ends with too few digits");
    gzclose(file);
    return d;
}

void digits_free(struct digits *d)
{
    free(d->pixels);
    free(d->label);
}
