/* SPDX-License-Identifier: Apache-2.0 */
#include "layout.h"

/* ceil(n/8), for every n. */
static size_t bytes_of_bits(size_t n) { return n / 8 + (n % 8 != 0); }

bitdrop_2d layout_filled(const bitdrop_2d *shape)
{
    bitdrop_2d s = *shape;

    if (s.pitch == 0)
        s.pitch = s.cols;
    if (s.x_stride == 0)
        s.x_stride = s.cols;
    if (s.y_stride == 0)
        s.y_stride = s.cols;
    if (s.z_stride == 0)
        s.z_stride = s.cols;
    if (s.mask_stride == 0)
        s.mask_stride = bytes_of_bits(s.cols);
    if (s.mask_repeat == 0)
        s.mask_repeat = 1;
    return s;
}

/* m of docs/reference.md. Most masks are not shared, and then the slow division is not needed. */
static uint64_t mask_row(const bitdrop_2d *s, uint64_t row)
{
    return s->mask_repeat == 1 ? row : row / s->mask_repeat;
}

size_t layout_group(const bitdrop_2d *s, size_t r)
{
    return (size_t)(mask_row(s, s->first_row + r) - mask_row(s, s->first_row));
}

uint64_t layout_indices(const bitdrop_2d *s)
{
    return s->rows == 0 || s->cols == 0 ? 0 : layout_index(s, 0, s->rows - 1, s->cols - 1) + 1;
}

uint64_t layout_index(const bitdrop_2d *s, uint64_t offset, size_t r, size_t c)
{
    if (s->unit == BITDROP_EACH_ROW)
        return offset + mask_row(s, s->first_row + r);
    return offset + mask_row(s, s->first_row + r) * s->pitch + c;
}

struct layout_mask layout_mask(const bitdrop_2d *s, bool marks)
{
    const size_t bytes = bytes_of_bits(s->cols);

    if (s->rows == 0 || s->cols == 0)
        return (struct layout_mask){0, 0, 0};
    if (marks)
        return (struct layout_mask){s->rows, bytes, s->mask_stride};
    const size_t groups = layout_group(s, s->rows - 1) + 1;

    if (s->unit == BITDROP_EACH_ROW)
        return (struct layout_mask){1, bytes_of_bits(groups), bytes_of_bits(groups)};
    return (struct layout_mask){groups, bytes, s->mask_stride};
}

size_t layout_bit(const bitdrop_2d *s, bool marks, size_t r, size_t c)
{
    if (marks)
        return 8 * r * s->mask_stride + c;
    if (s->unit == BITDROP_EACH_ROW)
        return layout_group(s, r);
    return 8 * layout_group(s, r) * s->mask_stride + c;
}
