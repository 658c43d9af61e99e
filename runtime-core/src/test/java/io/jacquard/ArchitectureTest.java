package io.jacquard;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchRule;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/// Who may know whom: `parallel -> nn, optim, data, io -> ops -> group -> tensor`; backends see only `tensor` and its
/// SPI.
final class ArchitectureTest {
    private static final JavaClasses MAIN = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("io.jacquard");

    private static final String[] DRIVERS = {
        "io.jacquard.cpu..", "io.jacquard.cuda.driver..", "io.jacquard.nccl..", "io.jacquard.mpi.."
    };

    private static final ArchRule DIRECTION = layeredArchitecture()
            .consideringOnlyDependenciesInLayers()
            .withOptionalLayers(true)
            .layer("tensor")
            .definedBy("io.jacquard.tensor..")
            .layer("group")
            .definedBy("io.jacquard.group..")
            .layer("ops")
            .definedBy("io.jacquard.ops..")
            .layer("model")
            .definedBy("io.jacquard.nn..", "io.jacquard.optim..", "io.jacquard.data..", "io.jacquard.io..")
            .layer("parallel")
            .definedBy("io.jacquard.parallel..")
            .layer("backend")
            .definedBy("io.jacquard.cpu..")
            .whereLayer("tensor")
            .mayNotAccessAnyLayer()
            .whereLayer("group")
            .mayOnlyAccessLayers("tensor")
            .whereLayer("ops")
            .mayOnlyAccessLayers("group", "tensor")
            .whereLayer("model")
            .mayOnlyAccessLayers("ops", "group", "tensor")
            .whereLayer("parallel")
            .mayOnlyAccessLayers("model", "ops", "group", "tensor")
            .whereLayer("backend")
            .mayOnlyAccessLayers("tensor")
            .whereLayer("backend")
            .mayNotBeAccessedByAnyLayer();

    private static final ArchRule NO_CYCLES =
            slices().matching("io.jacquard.(*)..").should().beFreeOfCycles().allowEmptyShould(true);

    private static final ArchRule HOST_MEMORY_ONLY = noClasses()
            .that()
            .resideInAPackage("io.jacquard.data..")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("io.jacquard.tensor..", "io.jacquard.ops..")
            .as("data hands out host memory and knows no tensors")
            .allowEmptyShould(true);

    private static final ArchRule FOREIGN_TYPES_STAY_IN_DRIVERS = noClasses()
            .that()
            .resideOutsideOfPackages(DRIVERS)
            .should()
            .dependOnClassesThat(foreign())
            .allowEmptyShould(true);

    private static final ArchRule JACKSON_ONLY_FOR_FILES = noClasses()
            .that()
            .resideOutsideOfPackages("io.jacquard.io..", "io.jacquard.data..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("tools.jackson..")
            .allowEmptyShould(true);

    private static final ArchRule NO_CHECKPOINT_PACKAGE = noClasses()
            .should()
            .resideInAnyPackage("..checkpoint..", "..checkpoints..", "..checkpointing..")
            .because("activation checkpointing and saved models are different things: ops.Recompute and io");

    private static final ArchRule ONLY_JDK_EXCEPTIONS = classes()
            .that()
            .areAssignableTo(Throwable.class)
            .and()
            .arePublic()
            .should()
            .haveNameMatching("io\\.jacquard\\.tensor\\.Device(OutOfMemory)?Exception")
            .allowEmptyShould(true);

    @TestFactory
    Stream<DynamicTest> rules() {
        return Stream.of(
                        DIRECTION,
                        NO_CYCLES,
                        HOST_MEMORY_ONLY,
                        FOREIGN_TYPES_STAY_IN_DRIVERS,
                        JACKSON_ONLY_FOR_FILES,
                        NO_CHECKPOINT_PACKAGE,
                        ONLY_JDK_EXCEPTIONS)
                .map(rule -> DynamicTest.dynamicTest(rule.getDescription(), () -> rule.check(MAIN)));
    }

    private static DescribedPredicate<JavaClass> foreign() {
        return DescribedPredicate.describe(
                "make foreign calls (Linker, SymbolLookup, FunctionDescriptor, JavaCPP)",
                type -> type.getPackageName().startsWith("org.bytedeco")
                        || type.getName()
                                .matches("java\\.lang\\.foreign\\.(Linker|SymbolLookup|FunctionDescriptor)(\\$.*)?"));
    }
}
