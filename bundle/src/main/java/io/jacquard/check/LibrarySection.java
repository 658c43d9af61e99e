package io.jacquard.check;

import io.jacquard.cuda.driver.CublasLt;
import java.io.IOException;

/// [LibraryContract] where cuBLASLt is installed: `LibrarySection CLASS...`.
final class LibrarySection {
    private LibrarySection() {}

    public static void main(String[] classes) throws IOException {
        String problem = CublasLt.problem();
        if (problem != null) {
            Findings.fact("absent", problem);
            Findings.expect(0);
            return;
        }
        Findings.fact("cublaslt", CublasLt.version());
        SuiteSection.main(classes);
    }
}
