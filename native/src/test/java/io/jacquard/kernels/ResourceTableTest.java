package io.jacquard.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

class ResourceTableTest {
    private static final String LOG = """
            ptxas info    : 0 bytes gmem
            ptxas info    : Compiling entry function 'norm_f32' for 'sm_90a'
            ptxas info    : Function properties for helper
                80 bytes stack frame, 7 bytes spill stores, 7 bytes spill loads
            ptxas info    : Function properties for norm_f32
                16 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
            ptxas info    : Used 168 registers, used 1 barriers, 48 bytes smem, 16 bytes cumulative stack size
            ptxas info    : Compile time = 4.1 ms
            ptxas info    : Compiling entry function 'gelu_f32' for 'sm_90a'
            ptxas info    : Function properties for gelu_f32
                0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
            ptxas info    : Used 32 registers, used 0 barriers
            """;
    private static final String CSV = """
            kernel,architecture,registers,spill_store_bytes,spill_load_bytes,stack_bytes,static_shared_bytes
            gelu_f32,sm_90a,32,0,0,0,0
            norm_f32,sm_90a,168,8,12,16,48
            """;
    private final ResourceTable table = ResourceTable.ofLogs(List.of(LOG));

    @Test
    void readsTheLogOfPtxas() {
        assertEquals(CSV, table.csv());
        assertEquals(table, ResourceTable.ofCsv(CSV));
    }

    @Test
    void differencesNameBothSides() {
        ResourceTable committed = ResourceTable.ofCsv("""
                header
                gone_f32,sm_80,1,0,0,0,0
                norm_f32,sm_90a,160,0,0,0,48
                """);
        assertEquals(
                List.of(
                        "gelu_f32 for sm_90a: not in the table; built with 32 registers, 0 + 0 bytes spilled,"
                                + " 0 bytes of stack, 0 bytes of static shared memory",
                        "norm_f32 for sm_90a: the table says 160 registers, 0 + 0 bytes spilled, 0 bytes of stack,"
                                + " 48 bytes of static shared memory; built with 168 registers, 8 + 12 bytes spilled,"
                                + " 16 bytes of stack, 48 bytes of static shared memory",
                        "gone_f32 for sm_80: in the table, no longer in the source"),
                committed.differences(table));
        assertEquals(List.of(), table.differences(table));
    }

    @Test
    void spillsNeedAReason() {
        assertEquals(
                List.of("norm_f32 sm_90a spills: 168 registers, 8 + 12 bytes spilled, 16 bytes of stack,"
                        + " 48 bytes of static shared memory"),
                ResourceTable.spillFindings(table.rows(), "# none\n\n"));
        assertEquals(List.of(), ResourceTable.spillFindings(table.rows(), "norm_f32 sm_90a: 3 % faster than fewer\n"));
        assertEquals(List.of(), ResourceTable.spillFindings(table.rows(), "norm_f32 *: outside the loop\n"));
    }

    @Test
    void reasonsForNothingAreFound() {
        assertEquals(
                List.of(
                        "native/spills.txt: no reason in 'norm_f32 sm_80:'",
                        "native/spills.txt: 'gelu_f32 *' does not spill"),
                ResourceTable.spillFindings(
                        table.rows(), "norm_f32 sm_80:\ngelu_f32 *: why not\nnorm_f32 *: outside the loop\n"));
    }
}
