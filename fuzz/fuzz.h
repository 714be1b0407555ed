/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by all targets: how input bytes become a call, and the memory for its buffers. A target is
 * a file that defines fuzz_one(). libFuzzer or random.c chooses the input bytes.
 *
 * After the last input byte, zeros are read. An input of zeros is a plain legal call, so short
 * inputs are useful.
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

enum { FUZZ_TOO_LARGE = -1 }; /* not a bitdrop_status */

struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

/* Makes the call of an input. False if it made none, because it would need more memory. */
bool fuzz_one(struct fuzz_input *in);

/* A number below n, from the next input bytes. */
size_t fuzz_below(struct fuzz_input *in, size_t n);

/* True for one in n values of the next input bytes. 0 gives false, unless n is 1. */
bool fuzz_once_in(struct fuzz_input *in, size_t n);

/* Any number: near 0, near a power of 2, near 2^64 / n, or random. */
uint64_t fuzz_number(struct fuzz_input *in);

/* Sets an aligned number of 1 to 8 bytes somewhere in the object to fuzz_number(). */
void fuzz_change(struct fuzz_input *in, void *object, size_t size);

/* A legal config. If the offset is at the end, it leaves just `indices` indices, or one fewer. */
bitdrop_config fuzz_config(struct fuzz_input *in, uint64_t indices);

/* Changes a member, mostly to a wrong value. */
void fuzz_change_config(struct fuzz_input *in, bitdrop_config *cfg);

/* A bitdrop_parallel, which may be NULL, legal or wrong. `runs` counts its callback's calls. */
struct fuzz_parallel {
    bitdrop_parallel parallel;
    size_t order, runs;
};
const bitdrop_parallel *fuzz_parallel(struct fuzz_input *in, struct fuzz_parallel *p);
bool fuzz_parallel_is_right(const bitdrop_parallel *p);

/* The status by the rows of the table that all calls share: ERR_PROBABILITY and ERR_CONFIG. */
bitdrop_status fuzz_config_status(const bitdrop_config *cfg);

/* Prints the message and aborts. */
_Noreturn void fuzz_fail(const char *format, ...) __attribute__((format(CHECK_PRINTF, 1, 2)));

/* A buffer of a call: rows of bytes at three strides, in bytes. count and stride begin with the
 * outermost level. */
struct fuzz_buffer {
    bool used; /* the call may access it, if it is not NULL */
    bool written;
    size_t count[3], stride[3], bytes;
    size_t alignment;  /* a power of 2 */
    unsigned char *at; /* NULL, in the memory, or an address that faults */
};

/* A matrix with elements of `size` bytes. A size that overflows becomes SIZE_MAX. */
struct fuzz_buffer fuzz_matrix(size_t rows, size_t cols, size_t stride, size_t size);

/* The number of bytes from the first to the last, or SIZE_MAX if that overflows. */
size_t fuzz_extent(const struct fuzz_buffer *b);

/* Whether the buffer is used and not NULL. */
bool fuzz_present(const struct fuzz_buffer *b);

/* Whether the buffer ends within the address space; whether it lies within the memory. */
bool fuzz_fits(const struct fuzz_buffer *b);
bool fuzz_is_inside(const struct fuzz_buffer *b);

/* All buffers of a call lie in one memory, between two unmapped pages. */

/*
 * Chooses the places of the buffers: one after the other, with gaps and without, overlapping, in
 * the gaps of one another, or at NULL and other bad addresses. Fills the memory at random.
 */
void memory_place(struct fuzz_input *in, struct fuzz_buffer *b, size_t count);

/* The byte at p before each call. */
unsigned char *memory_before(const unsigned char *p);

/* Declares bytes, or all rows of b, as bytes of buffer i. */
void memory_own(size_t i, unsigned char *at, size_t bytes);
void memory_own_rows(size_t i, const struct fuzz_buffer *b);

/* Forgets all owners. */
void memory_disown(void);

/* Finds which buffers share a byte. Afterwards memory_shared says whether two of them do. */
void memory_find_shared(void);
bool memory_shared(size_t i, size_t j);

/*
 * Must be called before and after each call. memory_begin restores the memory, but bytes that
 * belong only to outputs differ between even and odd call_number. The call may access only bytes
 * that have an owner, and none if `error`, when it must fail: AddressSanitizer finds other
 * accesses. memory_end returns the first byte that changed although it must not, or NULL. If
 * `error`, no byte may change.
 */
void memory_begin(const struct fuzz_buffer *b, size_t count, unsigned call_number, bool error);
const unsigned char *memory_end(bool error);

/* Keeps a copy of the memory after a call. memory_kept is the copy's byte for p. */
void memory_keep(void);
const unsigned char *memory_kept(const unsigned char *p);

#endif
