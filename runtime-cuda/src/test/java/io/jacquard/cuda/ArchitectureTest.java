package io.jacquard.cuda;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

/// Who may know whom in this module.
final class ArchitectureTest {
    private static final JavaClasses MAIN = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("io.jacquard.cuda");

    @Test
    void foreignCallsStayInTheDriver() {
        noClasses()
                .that()
                .resideOutsideOfPackage("io.jacquard.cuda.driver..")
                .should()
                .dependOnClassesThat(DescribedPredicate.describe(
                        "are of java.lang.foreign (but host data in a MemorySegment) or JavaCPP",
                        (JavaClass type) -> type.getPackageName().startsWith("org.bytedeco")
                                || type.getPackageName().equals("java.lang.foreign")
                                        && !type.getSimpleName().equals("MemorySegment")))
                .check(MAIN);
    }

    @Test
    void theBackendSeesTensorsOnly() {
        noClasses()
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(
                        "io.jacquard.nn..",
                        "io.jacquard.ops..",
                        "io.jacquard.optim..",
                        "io.jacquard.data..",
                        "io.jacquard.io..",
                        "io.jacquard.cpu..")
                .check(MAIN);
    }

    @Test
    void theDriverKnowsNoKernels() {
        noClasses()
                .that()
                .resideInAPackage("io.jacquard.cuda.driver..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("io.jacquard.cuda")
                .check(MAIN);
    }
}
