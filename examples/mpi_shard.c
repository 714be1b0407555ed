/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dropout on a matrix that is divided between MPI ranks: by rows, as in data parallel training, and
 * by columns, as in tensor parallel training. Each rank computes its part alone. Rank 0 checks that
 * the parts are the same as those of the whole matrix, bit for bit.
 *
 *     mpirun -n 4 ./mpi_shard
 */
#include <bitdrop/bitdrop.h>
#include <mpi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 96, COLS = 1000 }; /* the batch and the features, of all ranks */

static const bitdrop_config whole_config = {.p = 0.1, .seed = 42, .stream = 3};

static float element(size_t row, size_t col) { return (float)(row + 1) + (float)col / (float)COLS; }

static void must(bitdrop_status status)
{
    if (status == BITDROP_OK)
        return;
    fprintf(stderr, "bitdrop: %s\n", bitdrop_status_string(status));
    MPI_Abort(MPI_COMM_WORLD, 1);
}

/* Computes the part [row, row + shape.rows) x [col, col + shape.cols) of the matrix, to dense y. */
static void forward_part(size_t row, size_t col, bitdrop_2d shape, float *y)
{
    bitdrop_config cfg = whole_config;
    float *x = malloc(shape.rows * shape.cols * sizeof *x);

    if (x == NULL) {
        MPI_Abort(MPI_COMM_WORLD, 1);
        return;
    }
    for (size_t r = 0; r < shape.rows; r++)
        for (size_t c = 0; c < shape.cols; c++)
            x[r * shape.cols + c] = element(row + r, col + c);
    cfg.offset += col; /* the part's first column */
    shape.first_row = row;
    shape.pitch = COLS; /* columns of the whole matrix */
    must(bitdrop_recompute_2d(&cfg, BITDROP_F32, &shape, x, y));
    free(x);
}

/* Compares the parts that rank 0 gathered, one after the other, with the whole matrix. */
static bool is_whole(const float *parts, int ranks, bool by_rows, const float *whole)
{
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < COLS; c++) {
            const size_t cols = COLS / (size_t)ranks;
            const size_t at = by_rows ? r * COLS + c : (c / cols * ROWS + r) * cols + c % cols;

            if (memcmp(&parts[at], &whole[r * COLS + c], sizeof *whole) != 0) {
                fprintf(stderr, "row %zu, column %zu differs\n", r, c);
                return false;
            }
        }
    return true;
}

int main(int argc, char **argv)
{
    static float whole[ROWS * COLS], part[ROWS * COLS], parts[ROWS * COLS];
    int rank = 0, ranks = 0, wrong = 0;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (ROWS % ranks != 0 || COLS % ranks != 0) {
        if (rank == 0)
            fprintf(stderr, "mpi_shard: %d ranks do not divide %d rows and %d columns\n", ranks,
                    ROWS, COLS);
        MPI_Finalize();
        return 2;
    }

    if (rank == 0)
        forward_part(0, 0, (bitdrop_2d){.rows = ROWS, .cols = COLS}, whole);
    for (int by_rows = 1; by_rows >= 0; by_rows--) {
        const size_t rows = by_rows ? (size_t)(ROWS / ranks) : ROWS;
        const size_t cols = by_rows ? COLS : (size_t)(COLS / ranks);
        const size_t first = by_rows ? rows * (size_t)rank : cols * (size_t)rank;
        const int count = ROWS * COLS / ranks;

        forward_part(by_rows ? first : 0, by_rows ? 0 : first,
                     (bitdrop_2d){.rows = rows, .cols = cols}, part);
        MPI_Gather(part, count, MPI_FLOAT, parts, count, MPI_FLOAT, 0, MPI_COMM_WORLD);
        if (rank == 0) {
            const bool same = is_whole(parts, ranks, by_rows, whole);

            printf("%d ranks, %s: %s\n", ranks,
                   by_rows ? "rows (data parallel)" : "columns (tensor parallel)",
                   same ? "the same bytes as the whole matrix" : "OTHER BYTES");
            wrong |= !same;
        }
    }
    MPI_Bcast(&wrong, 1, MPI_INT, 0, MPI_COMM_WORLD);
    MPI_Finalize();
    return wrong;
}
