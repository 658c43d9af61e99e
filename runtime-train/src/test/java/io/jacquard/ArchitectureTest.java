package io.jacquard;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchRule;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/// `cli -> train -> parallel -> core`, over every module on the class path; the core's own rules are in its own test.
final class ArchitectureTest {
    private static final JavaClasses MAIN = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("io.jacquard");

    private static final ArchRule DIRECTION = layeredArchitecture()
            .consideringOnlyDependenciesInLayers()
            .withOptionalLayers(true)
            .layer("cli")
            .definedBy("io.jacquard.cli..")
            .layer("train")
            .definedBy("io.jacquard.train..")
            .layer("parallel")
            .definedBy("io.jacquard.parallel..")
            .layer("core")
            .definedBy(
                    "io.jacquard.nn..",
                    "io.jacquard.optim..",
                    "io.jacquard.data..",
                    "io.jacquard.io..",
                    "io.jacquard.ops..",
                    "io.jacquard.group..",
                    "io.jacquard.tensor..")
            .whereLayer("cli")
            .mayNotBeAccessedByAnyLayer()
            .whereLayer("train")
            .mayOnlyBeAccessedByLayers("cli")
            .whereLayer("parallel")
            .mayOnlyBeAccessedByLayers("train", "cli")
            .whereLayer("core")
            .mayNotAccessAnyLayer();

    private static final ArchRule BACKENDS_ARE_FOUND_NOT_NAMED = noClasses()
            .that()
            .resideInAnyPackage("io.jacquard.train..", "io.jacquard.cli..", "io.jacquard.parallel..")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("io.jacquard.cpu..", "io.jacquard.cuda..")
            .because("a Session finds its backend with ServiceLoader")
            .allowEmptyShould(true);

    private static final ArchRule FOREIGN_TYPES_STAY_IN_DRIVERS = noClasses()
            .that()
            .resideInAnyPackage("io.jacquard.train..", "io.jacquard.cli..", "io.jacquard.parallel..")
            .should()
            .dependOnClassesThat(foreign())
            .allowEmptyShould(true);

    private static final ArchRule NO_CHECKPOINT_PACKAGE = noClasses()
            .should()
            .resideInAnyPackage("..checkpoint..", "..checkpoints..", "..checkpointing..")
            .because("activation checkpointing and saved models are different things: ops.Recompute and io");

    private static final ArchRule ONLY_JDK_EXCEPTIONS = noClasses()
            .that()
            .resideInAnyPackage("io.jacquard.train..", "io.jacquard.cli..", "io.jacquard.parallel..")
            .and()
            .arePublic()
            .should()
            .beAssignableTo(Throwable.class)
            .allowEmptyShould(true);

    @TestFactory
    Stream<DynamicTest> rules() {
        return Stream.of(
                        DIRECTION,
                        BACKENDS_ARE_FOUND_NOT_NAMED,
                        FOREIGN_TYPES_STAY_IN_DRIVERS,
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
