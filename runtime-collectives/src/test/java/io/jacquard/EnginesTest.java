package io.jacquard;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

/// Who may know whom in this module.
final class EnginesTest {
    private static final JavaClasses MAIN = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("io.jacquard.launch", "io.jacquard.mpi", "io.jacquard.nccl");

    @Test
    void enginesSeeTensorsAndGroupsOnly() {
        noClasses()
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(
                        "io.jacquard.nn..",
                        "io.jacquard.ops..",
                        "io.jacquard.optim..",
                        "io.jacquard.data..",
                        "io.jacquard.io..",
                        "io.jacquard.parallel..",
                        "io.jacquard.cpu..",
                        "io.jacquard.cuda..")
                .check(MAIN);
    }

    @Test
    void whoLaunchedUsIsReadFromTheEnvironmentAlone() {
        noClasses()
                .that()
                .resideInAPackage("io.jacquard.launch..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(
                        "java.lang.foreign..", "io.jacquard.tensor..", "io.jacquard.group..", "io.jacquard.mpi..")
                .check(MAIN);
    }
}
