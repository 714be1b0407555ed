/* SPDX-License-Identifier: Apache-2.0 */
#include "digits_data.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "must.h"

enum { PIXEL_MAX = 16 };

/* Prints what is wrong in a line; with line 0, what is wrong with the file. */
static void complain(const char *path, size_t line, const char *what)
{
    if (line > 0)
        fprintf(stderr, "digits: %s, line %zu: %s\n", path, line, what);
    else
        fprintf(stderr, "digits: %s: %s\n", path, what);
}

/* Reads "v,v,…,v" into pixels and label. Returns NULL, or what is wrong with the text. */
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
            pixels[column] = (float)value / (float)PIXEL_MAX;
        else
            *label = (unsigned char)value;
        if (column < PIXELS && *end != ',')
            return "65 numbers with commas between are expected";
        text = end + 1;
        if (column == PIXELS && *end != '\n' && *end != '\r' && *end != '\0')
            return "more than 65 numbers";
    }
    return NULL;
}

/* Reads all lines. Returns NULL, or what is wrong with line d->count. */
static const char *read_lines(gzFile file, struct digits *d, size_t least)
{
    char text[512]; /* a correct line has at most 196 characters */
    int error;

    while (gzgets(file, text, sizeof text) != NULL) {
        if (d->count++ == DIGITS_MAX)
            return "more digits than this example accepts";
        const char *wrong = parse(text, d->pixels[d->count - 1], &d->label[d->count - 1]);
        if (wrong != NULL)
            return wrong;
    }
    const char *message = gzerror(file, &error);
    if (error == Z_OK && d->count >= least)
        return NULL;
    d->count++;
    if (error == Z_OK)
        return "the file ends with too few digits";
    return error == Z_ERRNO ? strerror(errno) : message;
}

struct digits digits_read(const char *path, size_t least)
{
    struct digits d = {0};
    const char *wrong;

    errno = 0; /* zlib does not set it when memory runs out */
    gzFile file = gzopen(path, "rb");
    if (file == NULL) {
        complain(path, 0, errno != 0 ? strerror(errno) : "out of memory");
        exit(1);
    }
    d.pixels = malloc(DIGITS_MAX * sizeof *d.pixels);
    d.label = malloc(DIGITS_MAX);
    if (d.pixels == NULL || d.label == NULL)
        wrong = "out of memory";
    else
        wrong = read_lines(file, &d, least);
    if (wrong != NULL)
        complain(path, d.count, wrong); /* before gzclose, because the text may be zlib's */
    gzclose(file);
    if (wrong != NULL) {
        digits_free(&d);
        exit(1);
    }
    return d;
}

struct digits digits_copy(const struct digits *d)
{
    struct digits c = {d->count, allocate(d->count, sizeof *d->pixels), allocate(d->count, 1)};

    memcpy(c.pixels, d->pixels, d->count * sizeof *d->pixels);
    memcpy(c.label, d->label, d->count);
    return c;
}

void digits_free(struct digits *d)
{
    free(d->pixels);
    free(d->label);
}
