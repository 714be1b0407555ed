/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares a job out among tasks. Each row of the job is cut into parts of at most TILE_ELEMENTS
 * elements. A short row is one part. The parts of all rows are the units, and each task runs
 * successive units. The task calls the kernel once for successive whole rows, and once for
 * successive parts of one row. (The `unit` of a job is something else: what one bit decides.)
 *
 * - Parts begin at multiples of 8 elements of their row, so no two tasks write to one byte of the
 *   mask. If the job is a single row and its offset is a multiple of 8, parts also begin at tiles,
 *   so no tile is made twice.
 * - A job that generates bits and stores them has one row in each group, so each row has its own
 *   bytes of the mask.
 * - Rows of softmax are not cut into parts.
 */
#include "parallel.h"

struct shares {
    const struct bitdrop_job *job;
    bitdrop_kernel *kernel;
    size_t first_part; /* the most elements of the first part of a row. Others: TILE_ELEMENTS */
    size_t parts;      /* of each row */
    size_t tasks;
};

/* The column at which a part of a row begins. */
static size_t column_of(const struct shares *s, size_t part)
{
    return part == 0 ? 0 : smaller(s->job->cols, s->first_part + (part - 1) * TILE_ELEMENTS);
}

static void move_operand(struct bitdrop_operand *o, size_t row, size_t col)
{
    if (o->at != NULL)
        o->at += row * o->row_bytes + col * o->col_bytes;
}

/* Runs the kernel on columns col to end - 1 of `rows` rows from `row` on. */
static void run_columns(const struct shares *s, size_t row, size_t rows, size_t col, size_t end)
{
    struct bitdrop_job job = *s->job;
    const size_t group = (job.phase + row) / job.repeat; /* becomes group 0 */

    job.rows = rows;
    job.cols = end - col;
    job.phase = (job.phase + row) % job.repeat;
    job.first_row += row;
    for (int i = 0; i < BITDROP_MAX_INPUTS; i++)
        move_operand(&job.in[i], row, col);
    move_operand(&job.out, row, col);
    if (job.marks != NULL)
        job.marks += row * job.mask_stride + col / 8;
    if (job.unit == UNIT_ROW) {
        job.offset += group;
        job.keep_bit += group;
    } else {
        job.offset += group * job.pitch + col;
        if (job.mask != NULL)
            job.mask += group * job.mask_stride + col / 8;
        if (job.keep != NULL)
            job.keep += group * job.mask_stride + col / 8;
    }
    s->kernel(&job);
}

static void run_task(void *argument, size_t index)
{
    const struct shares *s = argument;
    const size_t units = s->job->rows * s->parts;
    const size_t end = bitdrop_first_unit(units, s->tasks, index + 1);

    for (size_t unit = bitdrop_first_unit(units, s->tasks, index); unit < end;) {
        const size_t row = unit / s->parts, part = unit % s->parts;
        const size_t rows = part == 0 ? (end - unit) / s->parts : 0; /* that are whole */

        if (rows > 0) {
            run_columns(s, row, rows, 0, s->job->cols);
            unit += rows * s->parts;
        } else {
            const size_t count = smaller(end - unit, s->parts - part);

            run_columns(s, row, 1, column_of(s, part), column_of(s, part + count));
            unit += count;
        }
    }
}

void bitdrop_share_out(const struct bitdrop_job *job, bitdrop_kernel *kernel,
                       const bitdrop_parallel *parallel)
{
    struct shares s = {
        .job = job, .kernel = kernel, .first_part = TILE_ELEMENTS, .parts = 1, .tasks = 1};

    if (job->rows == 1)
        s.first_part -= (size_t)(job->offset % TILE_ELEMENTS) / 8 * 8;
    if (job->cols > s.first_part && job->softmax == NULL)
        s.parts += (job->cols - s.first_part + TILE_ELEMENTS - 1) / TILE_ELEMENTS;
    if (parallel != NULL) /* rows * cols may exceed SIZE_MAX if the job is a mask alone */
        s.tasks = smaller(parallel->tasks, job->cols > SIZE_MAX / job->rows
                                               ? SIZE_MAX
                                               : job->rows * job->cols / BITDROP_TASK_ELEMENTS);
    if (job->softmax != NULL)
        s.tasks = smaller(s.tasks, job->rows);
    if (s.tasks > 1)
        parallel->run(parallel->context, s.tasks, run_task, &s);
    else
        kernel(job);
}
