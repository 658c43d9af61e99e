/// The command line: one class per command, nothing but options, calls and printing.
package io.jacquard.cli;
