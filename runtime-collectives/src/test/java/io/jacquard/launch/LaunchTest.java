package io.jacquard.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.jacquard.launch.Launch.Address;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Environments as the launchers make them.
final class LaunchTest {
    /// From `NAME=value` words.
    private static Map<String, String> environment(String... words) {
        Map<String, String> map = new LinkedHashMap<>();
        for (String line : words) {
            for (String word : line.strip().split("\\s+", -1)) {
                int equals = word.indexOf('=');
                map.put(word.substring(0, equals), word.substring(equals + 1));
            }
        }
        return map;
    }

    private static Launch launch(String... words) {
        return Launch.of(environment(words));
    }

    private static void is(Launcher launcher, int rank, int size, int localRank, int localSize, Launch got) {
        assertEquals(new Launch(launcher, rank, size, localRank, localSize, got.root(), got.variables()), got);
    }

    private static void fails(String message, String... words) {
        assertEquals(
                message,
                assertThrows(IllegalArgumentException.class, () -> launch(words))
                        .getMessage());
    }

    private static final String TORCHRUN =
            "RANK=5 LOCAL_RANK=1 GROUP_RANK=1 ROLE_RANK=5 WORLD_SIZE=8 LOCAL_WORLD_SIZE=4"
                    + " ROLE_WORLD_SIZE=8 MASTER_ADDR=10.0.0.1 MASTER_PORT=29400 TORCHELASTIC_RESTART_COUNT=0"
                    + " TORCHELASTIC_RUN_ID=none TORCHELASTIC_USE_AGENT_STORE=True OMP_NUM_THREADS=1";
    private static final String OPEN_MPI = "OMPI_COMM_WORLD_RANK=3 OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_LOCAL_RANK=1"
            + " OMPI_COMM_WORLD_LOCAL_SIZE=2 OMPI_COMM_WORLD_NODE_RANK=1 PMIX_RANK=3";
    private static final String MPICH =
            "PMI_RANK=2 PMI_SIZE=4 PMI_FD=8 MPI_LOCALRANKID=0 MPI_LOCALNRANKS=2 GFORTRAN_UNBUFFERED_PRECONNECTED=y";
    private static final String SLURM = "SLURM_JOB_ID=4711 SLURM_STEP_ID=0 SLURM_PROCID=3 SLURM_NTASKS=4"
            + " SLURM_STEP_NUM_TASKS=4 SLURM_STEP_NUM_NODES=2 SLURM_LOCALID=1 SLURM_NODEID=1"
            + " SLURM_TASKS_PER_NODE=2(x2) SLURM_STEP_TASKS_PER_NODE=2(x2) SLURM_STEP_NODELIST=n[04-05]";

    // ---- each launcher

    @Test
    void nobody() {
        assertEquals(Launch.SOLO, launch("HOME=/root PATH=/bin HOSTNAME=n04"));
        assertEquals("rank 0 of 1", Launch.SOLO.toString());
    }

    @Test
    void torchrun() {
        Launch got = launch(TORCHRUN);
        is(Launcher.TORCHRUN, 5, 8, 1, 4, got);
        assertEquals(new Address("10.0.0.1", 29400), got.root());
        assertEquals(
                "rank 5 of 8, says torchrun (RANK, WORLD_SIZE) (RANK=5, WORLD_SIZE=8, LOCAL_RANK=1,"
                        + " LOCAL_WORLD_SIZE=4)",
                got.toString());
    }

    @Test
    void rankAndWorldSizeByHand() {
        Launch got = launch("RANK=1 WORLD_SIZE=2");
        is(Launcher.TORCHRUN, 1, 2, 0, 1, got);
        assertNull(got.root());
        assertEquals(
                new Address("a", 29500),
                launch("RANK=1 WORLD_SIZE=2 MASTER_ADDR=a").root());
    }

    @Test
    void openMpi() {
        Launch got = launch(OPEN_MPI);
        is(Launcher.OPEN_MPI, 3, 4, 1, 2, got);
        assertNull(got.root());
    }

    @Test
    void mpich() {
        is(Launcher.MPICH, 2, 4, 0, 2, launch(MPICH));
    }

    @Test
    void srun() {
        Launch got = launch(SLURM);
        is(Launcher.SLURM, 3, 4, 1, 2, got);
        assertEquals(new Address("n04", 29500 + 711 + 1), got.root());
        assertEquals(
                new Address("head", 1234),
                launch(SLURM, "MASTER_ADDR=head MASTER_PORT=1234").root());
    }

    @Test
    void srunWithAnotherSizeThanItsJob() {
        is(Launcher.SLURM, 1, 2, 1, 2, launch(SLURM, "SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=2 SLURM_NODEID=0"));
    }

    @Test
    void theScriptOfSbatchIsNoRank() {
        assertEquals(
                Launch.SOLO,
                launch("SLURM_JOB_ID=4711 SLURM_PROCID=0 SLURM_NTASKS=4 SLURM_LOCALID=0 SLURM_NODEID=0"
                        + " SLURM_TASKS_PER_NODE=4 SLURM_JOB_NODELIST=n04"));
    }

    @Test
    void srunKnowsTheLocalRanksThatPmiDoesNot() {
        is(Launcher.MPICH, 3, 4, 1, 2, launch("PMI_RANK=3 PMI_SIZE=4 PMI_FD=8", SLURM));
    }

    @Test
    void indexedJob() {
        Launch got = launch("JOB_COMPLETION_INDEX=2 WORLD_SIZE=4 MASTER_ADDR=train-0.train MASTER_PORT=29500");
        is(Launcher.KUBERNETES, 2, 4, 0, 1, got);
        assertEquals(new Address("train-0.train", 29500), got.root());
    }

    @Test
    void indexedJobOfSeveralRanksPerPod() {
        is(
                Launcher.KUBERNETES,
                5,
                8,
                1,
                4,
                launch("JOB_COMPLETION_INDEX=1 WORLD_SIZE=8 LOCAL_WORLD_SIZE=4 LOCAL_RANK=1"));
    }

    @Test
    void indexedJobOfRunsThatHaveNothingToDoWithEachOther() {
        is(Launcher.KUBERNETES, 0, 1, 0, 1, launch("JOB_COMPLETION_INDEX=7 WORLD_SIZE=1"));
    }

    @Test
    void kubeflow() {
        String pet =
                "PET_NNODES=2 PET_NODE_RANK=1 PET_NPROC_PER_NODE=4 PET_MASTER_ADDR=job-0.job PET_MASTER_PORT=29500";
        Launch got = launch(pet, "LOCAL_RANK=3");
        is(Launcher.KUBEFLOW, 7, 8, 3, 4, got);
        assertEquals(new Address("job-0.job", 29500), got.root());
        is(Launcher.KUBEFLOW, 1, 2, 0, 1, launch(pet, "PET_NPROC_PER_NODE=1"));
        is(Launcher.TORCHRUN, 5, 8, 1, 4, launch(pet, TORCHRUN));
        is(Launcher.KUBERNETES, 1, 2, 0, 1, launch(pet, "PET_NPROC_PER_NODE=1 JOB_COMPLETION_INDEX=1 WORLD_SIZE=2"));
    }

    // ---- one inside the other

    @Test
    void torchrunOnEachMachineBySrun() {
        String each =
                "SLURM_STEP_ID=0 SLURM_NTASKS=2 SLURM_STEP_NUM_TASKS=2 SLURM_LOCALID=0 SLURM_TASKS_PER_NODE=1(x2)";
        is(Launcher.TORCHRUN, 5, 8, 1, 4, launch(each, "SLURM_PROCID=1 SLURM_NODEID=1", TORCHRUN));
        // its rendezvous may number the machines in another order
        is(Launcher.TORCHRUN, 5, 8, 1, 4, launch(each, "SLURM_PROCID=0 SLURM_NODEID=0", TORCHRUN));
    }

    @Test
    void mpirunInsideAnAllocation() {
        is(Launcher.OPEN_MPI, 3, 4, 1, 2, launch(OPEN_MPI, "SLURM_JOB_ID=1 SLURM_PROCID=0 SLURM_NTASKS=4"));
        // its daemons are steps: one on each machine but its own
        is(
                Launcher.OPEN_MPI,
                3,
                8,
                1,
                2,
                launch(
                        OPEN_MPI,
                        "OMPI_COMM_WORLD_SIZE=8 SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_NTASKS=8"
                                + " SLURM_STEP_NUM_TASKS=3 SLURM_STEP_NUM_NODES=3"));
    }

    @Test
    void oneOfOneSaysNothing() {
        is(Launcher.SLURM, 3, 4, 1, 2, launch(SLURM, "RANK=0 WORLD_SIZE=1"));
        is(Launcher.OPEN_MPI, 3, 4, 1, 2, launch(OPEN_MPI, "PMI_RANK=0 PMI_SIZE=1"));
        is(Launcher.TORCHRUN, 0, 1, 0, 1, launch("RANK=0 WORLD_SIZE=1"));
    }

    // ---- contradictions

    @Test
    void launchersThatDisagreeAreBothShown() {
        fails(
                "launch: contradiction: torchrun (RANK, WORLD_SIZE) says rank 0 of 4 (RANK=0, WORLD_SIZE=4), mpirun of"
                        + " Open MPI says rank 3 of 4 (OMPI_COMM_WORLD_RANK=3, OMPI_COMM_WORLD_SIZE=4,"
                        + " OMPI_COMM_WORLD_LOCAL_RANK=1, OMPI_COMM_WORLD_LOCAL_SIZE=2); unset the variables that are"
                        + " not meant",
                OPEN_MPI,
                "RANK=0 WORLD_SIZE=4");
        fails(
                "launch: contradiction: mpirun of Open MPI says rank 1 of 2 (OMPI_COMM_WORLD_RANK=1,"
                        + " OMPI_COMM_WORLD_SIZE=2, OMPI_COMM_WORLD_LOCAL_RANK=1, OMPI_COMM_WORLD_LOCAL_SIZE=2), srun"
                        + " says rank 3 of 4 (SLURM_PROCID=3, SLURM_STEP_NUM_TASKS=4, SLURM_STEP_ID=0,"
                        + " SLURM_LOCALID=1); unset the variables that are not meant",
                SLURM,
                "OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_RANK=1"
                        + " OMPI_COMM_WORLD_LOCAL_SIZE=2");
        fails(
                "launch: contradiction: the Indexed Job says rank 1 of 4 (JOB_COMPLETION_INDEX=1, WORLD_SIZE=4),"
                        + " Kubeflow (PET_*) says rank 1 of 2 (PET_NODE_RANK=1, PET_NNODES=2); unset the variables that"
                        + " are not meant",
                "JOB_COMPLETION_INDEX=1 WORLD_SIZE=4 PET_NODE_RANK=1 PET_NNODES=2");
    }

    @Test
    void valuesWithoutSenseAreNamed() {
        fails("launch: RANK=one is not a number", "RANK=one WORLD_SIZE=2");
        fails("launch: RANK=1 without WORLD_SIZE; set both or neither", "RANK=1");
        fails(
                "launch: torchrun (RANK, WORLD_SIZE) says rank 2 of 2 (RANK=2, WORLD_SIZE=2): there is no such rank",
                "RANK=2 WORLD_SIZE=2");
        fails(
                "launch: local rank 4 of 4 cannot be (RANK=4, WORLD_SIZE=8, LOCAL_RANK=4, LOCAL_WORLD_SIZE=4)",
                "RANK=4 WORLD_SIZE=8 LOCAL_RANK=4 LOCAL_WORLD_SIZE=4");
        fails("launch: OMPI_COMM_WORLD_SIZE is not set", "OMPI_COMM_WORLD_RANK=0");
        fails(
                "launch: SLURM_PROCID=1, SLURM_STEP_ID=0 without SLURM_STEP_NUM_TASKS or SLURM_NTASKS",
                "SLURM_PROCID=1 SLURM_STEP_ID=0");
        fails(
                "launch: JOB_COMPLETION_INDEX=3 without WORLD_SIZE: set it in the manifest to the number of ranks, or"
                        + " to 1 for runs that have nothing to do with each other",
                "JOB_COMPLETION_INDEX=3");
        fails(
                "launch: PET_NPROC_PER_NODE=4 without LOCAL_RANK: nobody started the processes of this machine; set it"
                        + " to 1, or start them with: torchrun --no-python",
                "PET_NNODES=2 PET_NODE_RANK=1 PET_NPROC_PER_NODE=4");
        fails("launch: PET_NNODES=1:2 is not a number", "PET_NNODES=1:2 PET_NODE_RANK=1");
        fails("launch: MASTER_PORT=http is not a number", "RANK=0 WORLD_SIZE=2 MASTER_ADDR=a MASTER_PORT=http");
    }

    // ---- Slurm's short forms

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            value = {
                "n04; n04",
                "n[04-05]; n04",
                "n[007,9-12],m3; n007",
                "m3,n[1-2]; m3",
                "rack[1-2]node[03-04]; rack1node03",
                "gpu-a[5]-ib,x; gpu-a5-ib"
            })
    void theFirstHostOfAList(String list, String first) {
        assertEquals(first, SlurmLists.firstHost(list));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            value = {"0; 4; 4", "1; 2(x2); 2", "2; 2(x2),1; 1", "3; 2(x3),4(x2); 4", "4; 8,2(x3),1; 1"})
    void theTasksOnANode(int node, String list, int tasks) {
        assertEquals(tasks, SlurmLists.tasksOn(node, list));
    }

    @Test
    void aNodeThatAListLacksIsNamed() {
        assertEquals(
                "launch: tasks per node 2(x2) have no node 2",
                assertThrows(IllegalArgumentException.class, () -> SlurmLists.tasksOn(2, "2(x2)"))
                        .getMessage());
    }
}
