/// What is read out of records of `bench`: [Comparison] of two of them.
///
/// Records are read as they lie in their files, older formats too; nothing here measures. How a record comes about is
/// the concern of `suite`.
package io.jacquard.benchmarks.report;
