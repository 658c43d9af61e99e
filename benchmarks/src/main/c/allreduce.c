/* MPI_Allreduce of floats in place, called from C: the peer of AllReduceRank. Arguments: repetitions, then bytes of
   each size. Rank 0 prints, for each size, the microseconds of every repetition: the slowest rank's. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    int rank;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    int repetitions = atoi(argv[1]);
    for (int a = 2; a < argc; a++) {
        long bytes = atol(argv[a]);
        int n = (int)(bytes / 4);
        int batch = bytes < 65536 ? 100 : 1;
        float *x = aligned_alloc(64, (bytes + 63) / 64 * 64);
        for (int i = 0; i < n; i++)
            x[i] = 1e-30f;
        if (rank == 0)
            printf("size %ld:", bytes);
        for (int r = -2; r < repetitions; r++) {
            MPI_Barrier(MPI_COMM_WORLD);
            double start = MPI_Wtime();
            for (int b = 0; b < batch; b++)
                MPI_Allreduce(MPI_IN_PLACE, x, n, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
            double micros = (MPI_Wtime() - start) * 1e6 / batch, slowest;
            MPI_Reduce(&micros, &slowest, 1, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
            if (rank == 0 && r >= 0)
                printf(" %.2f", slowest);
        }
        if (rank == 0) {
            printf("\n");
            fflush(stdout);
        }
        free(x);
    }
    MPI_Finalize();
    return 0;
}
