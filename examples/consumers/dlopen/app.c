/* SPDX-License-Identifier: Apache-2.0 */

/* usage: app [library]. An engine that loads bitdrop as a plug-in, and can do without it. */
#include <bitdrop/bitdrop.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

typedef bitdrop_status forward_fn(const bitdrop_config *, bitdrop_dtype, size_t, const void *,
                                  void *, uint8_t *);
typedef bitdrop_status backward_fn(const bitdrop_config *, bitdrop_dtype, size_t, const void *,
                                   void *, const uint8_t *);
typedef const char *version_fn(void);

/* Declared again by these types: an error if the types differ from the header's prototypes. */
forward_fn bitdrop_forward;
backward_fn bitdrop_backward;
version_fn bitdrop_version;

static forward_fn *forward;
static backward_fn *backward;
static version_fn *version;

/* Sets the function pointer at `call`, by memcpy, because ISO C has no cast from void * to it. */
static int find(void *library, const char *name, void *call)
{
    void *symbol = dlsym(library, name);
    memcpy(call, &symbol, sizeof symbol);
    return symbol != NULL;
}

/* Returns NULL, or the reason why there is no bitdrop. */
static const char *load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library || !find(library, "bitdrop_version", &version) ||
        !find(library, "bitdrop_forward", &forward) ||
        !find(library, "bitdrop_backward", &backward))
        return dlerror();
    int major = -1, minor = -1;
    if (sscanf(version(), "%d.%d.", &major, &minor) != 2 || major != BITDROP_VERSION_MAJOR ||
        (major == 0 && minor != BITDROP_VERSION_MINOR))
        return "its structures may not be those of the header: the versions differ";
    return NULL;
}

int main(int argc, char **argv)
{
    const char *why = load(argc > 1 ? argv[1] : "libbitdrop.so.0.2"); /* the SONAME */
    if (why) {
        fprintf(stderr, "no bitdrop, dropout is the engine's own: %s\n", why);
        return 0; /* an engine would go on with its own dropout */
    }

    const bitdrop_config cfg = {.p = 0.5, .seed = 42};
    const float x[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    float y[8], dx[8];
    uint8_t mask[1];
    if (forward(&cfg, BITDROP_F32, 8, x, y, mask) != BITDROP_OK ||
        backward(&cfg, BITDROP_F32, 8, x, dx, mask) != BITDROP_OK) {
        fprintf(stderr, "bitdrop %s returned an error\n", version());
        return 1;
    }
    int wrong = mask[0] != 0x53; /* on every machine */
    for (int i = 0; i < 8; i++) {
        const float expected = mask[0] >> i & 1 ? 2 * x[i] : 0;
        wrong |= y[i] != expected || dx[i] != expected;
    }
    printf("bitdrop %s: %s\n", version(), wrong ? "wrong" : "right");
    return wrong;
}
