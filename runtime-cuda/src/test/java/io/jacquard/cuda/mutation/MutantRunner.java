package io.jacquard.cuda.mutation;

import io.jacquard.cuda.EmulatedDevice;
import io.jacquard.cuda.driver.Emulator;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.spi.ContractRun;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/// `MutantRunner CAPABILITY METHOD ...`: reads numbers of mutations, and for each runs the contract of the methods on
/// the library named by `-Djacquard.cuda.driver` and answers with one line: the first failure, or nothing more than the
/// number. To `-HIGHEST` it answers with the mutations up to that number which the kernels came past so far. A process
/// of its own, because a broken kernel may never end.
final class MutantRunner {
    static final String ANSWER = "mutant ";

    /// On one, loops over a grid take several turns at the sizes of tests. On four, the contract's own number, sums
    /// are split between blocks.
    private static final List<Integer> MULTIPROCESSORS = List.of(1, 4);

    private MutantRunner() {}

    public static void main(String[] arguments) throws IOException {
        Set<String> methods = Set.copyOf(Arrays.asList(arguments).subList(2, arguments.length));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            int number = Integer.parseInt(line);
            String answer = number < 0 ? reached(-number) : failure(number, arguments, methods);
            System.out.println(ANSWER + number + " " + answer.replaceAll("\\s+", " "));
        }
    }

    private static String reached(int highest) {
        return IntStream.rangeClosed(1, highest)
                .filter(Emulator::mutationReached)
                .mapToObj(Integer::toString)
                .collect(Collectors.joining(" "));
    }

    private static String failure(int number, String[] arguments, Set<String> methods) {
        Emulator.chooseMutation(number);
        return MULTIPROCESSORS.stream()
                .map(count -> failureOn(count, arguments, methods))
                .filter(failure -> !failure.isEmpty())
                .findFirst()
                .orElse("");
    }

    private static String failureOn(int multiprocessors, String[] arguments, Set<String> methods) {
        Emulator.configure("multiprocessors", Integer.toString(multiprocessors));
        Session session = EmulatedDevice.open(Integer.parseInt(arguments[0]));
        Optional<String> failure = ContractRun.firstFailure(session, methods, arguments[1]);
        try {
            session.close();
        } catch (RuntimeException e) {
            return failure.orElse("closing: " + e.getMessage());
        }
        return failure.orElse("");
    }
}
