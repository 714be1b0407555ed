/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the targets share: how bytes become a call, and the memory that its buffers lie in. A target
 * is a file that defines fuzz_one(). libFuzzer chooses the bytes, or random.c does.
 *
 * Bytes that are used up read as 0, and 0 everywhere is a plain call, so short inputs make sense.
 */
#ifndef BITDROP_FUZZ_FUZZ_H
#define BITDROP_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/check.h"
#include "tests/guard.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define FUZZ_ADDRESS_SANITIZER 1
#endif
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define FUZZ_SANITIZER 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define FUZZ_ADDRESS_SANITIZER 1
#define FUZZ_SANITIZER 1
#endif

enum { FUZZ_TOO_LARGE = -1 }; /* no bitdrop_status */

struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

/* False: no call is made of these bytes, because a right one would need more memory. */
bool fuzz_one(struct fuzz_input *in);

size_t fuzz_below(struct fuzz_input *in, size_t n);

/* True for one value in n of a byte, and not for 0. */
bool fuzz_once_in(struct fuzz_input *in, size_t n);

/* Any number: near 0, near a power of 2, near 2^64 / n, or random. */
uint64_t fuzz_number(struct fuzz_input *in);

/* Sets an aligned number of 1 to 8 bytes somewhere in the object to fuzz_number(). */
void fuzz_change(struct fuzz_input *in, void *object, size_t size);

/* Of a good call; the offset leaves room for so many indices, or it is one too large. */
bitdrop_config fuzz_config(struct fuzz_input *in, uint64_t indices);

/* Some member becomes wrong, or another right one. */
void fuzz_change_config(struct fuzz_input *in, bitdrop_config *cfg);

/* Sometimes right, sometimes wrong, mostly NULL. It counts its calls. */
struct fuzz_parallel {
    bitdrop_parallel parallel;
    size_t order, runs;
};
const bitdrop_parallel *fuzz_parallel(struct fuzz_input *in, struct fuzz_parallel *p);
bool fuzz_parallel_is_right(const bitdrop_parallel *p);

/* The rows of the status table that are the same for all calls: from PROBABILITY to CONFIG. */
bitdrop_status fuzz_config_status(const bitdrop_config *cfg);

/* Prints the message and aborts. */
_Noreturn void fuzz_fail(const char *format, ...) __attribute__((format(CHECK_PRINTF, 1, 2)));

/* A buffer of a call: rows of bytes at three strides in bytes, the largest of which may be first.
 */
struct fuzz_buffer {
    bool used; /* the call may look at it, if it is not NULL */
    bool written;
    size_t count[3], stride[3], bytes;
    size_t alignment;  /* a power of 2 */
    unsigned char *at; /* anywhere: NULL, in the memory, or at an address that faults */
};

/* A matrix; strides and cols in elements of `size` bytes. What does not fit becomes SIZE_MAX. */
struct fuzz_buffer fuzz_matrix(size_t rows, size_t cols, size_t stride, size_t size);

/* Bytes from the first to the last; SIZE_MAX: more than fit in the address space. */
size_t fuzz_extent(const struct fuzz_buffer *b);

/* Whether the call may look at it: it is used and not NULL. */
bool fuzz_present(const struct fuzz_buffer *b);

/* Whether it ends within the address space; and within the memory. */
bool fuzz_fits(const struct fuzz_buffer *b);
bool fuzz_is_inside(const struct fuzz_buffer *b);

/* One memory for all buffers of a call, between two unmapped pages. */

/*
 * Chooses where the buffers lie: one after the other, with gaps and without, across one another,
 * in the gaps of one another, or at NULL and other bad addresses. Fills the memory at random.
 */
void memory_place(struct fuzz_input *in, struct fuzz_buffer *b, size_t count);

/* What the memory holds before each call. */
unsigned char *memory_before(const unsigned char *p);

/* Bytes that belong to buffer i. None do until this says so. */
void memory_own(size_t i, unsigned char *at, size_t bytes);
void memory_own_rows(size_t i, const struct fuzz_buffer *b);

void memory_disown(void);

/* Whether two buffers share a byte, once this was asked of all of them. */
void memory_find_shared(void);
bool memory_shared(size_t i, size_t j);

/*
 * Around each call. Before: the memory is as it was, except that bytes which only outputs own
 * differ from call_number to call_number. The call may touch bytes that have an owner, and if an
 * error is expected none (AddressSanitizer finds it). After: NULL, or the first byte that changed
 * and may not, which is any if an error is expected.
 */
void memory_begin(const struct fuzz_buffer *b, size_t count, unsigned call_number, bool error);
const unsigned char *memory_end(bool error);

/* Keeps what the call left, and the same byte of what was kept. */
void memory_keep(void);
const unsigned char *memory_kept(const unsigned char *p);

#endif
