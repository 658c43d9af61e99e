package io.jacquard.cuda;

import io.jacquard.tensor.DeviceException;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.spi.ContractCase;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/// `ContractRunner CAPABILITY SEED`: runs the contract on an emulated device, each run of a case in a schedule of its
/// own, and answers with a line for each case and one at the end: name, tab, and what failed or nothing.
final class ContractRunner {
    static final String ANSWER = "contract ";
    static final String END = "end";

    private final int capability;
    private final long seed;
    private Session session;
    private Schedule schedule = Schedule.PLAIN;

    private ContractRunner(int capability, long seed) {
        this.capability = capability;
        this.seed = seed;
        this.session = EmulatedDevice.open(capability);
    }

    public static void main(String[] arguments) {
        ContractRunner runner = new ContractRunner(Integer.parseInt(arguments[0]), Long.parseLong(arguments[1]));
        // the kernels' own output may go anywhere, answers must not be held back
        PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        long used = runner.session.usedBytes();
        for (ContractCase c : ContractCase.chosen(ContractCase.wanted())) {
            answers.println(answer(c.method() + " " + c.name(), runner.failure(c)));
            if (answers.checkError()) {
                return; // nobody listens any more
            }
        }
        answers.println(answer(END, runner.end(used)));
    }

    static String answer(String name, String failure) {
        return ANSWER + name + "\t"
                + failure.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r");
    }

    private String failure(ContractCase c) {
        try {
            c.run(session, run -> {
                schedule = Schedule.ofRun(run, seed);
                schedule.apply();
            });
            return "";
        } catch (RuntimeException | AssertionError e) {
            e.printStackTrace();
            if (e instanceof DeviceException) {
                // a failed launch may leave the device unusable: the cases after it get a fresh one
                session.close();
                session = EmulatedDevice.open(capability);
            }
            return e.getMessage() + "\nwith " + schedule + "; again by -Djacquard.emulator.seed=" + seed
                    + " -Djacquard.contract=" + c.method();
        }
    }

    private String end(long usedAtStart) {
        long used = session.usedBytes();
        session.close();
        return used == usedAtStart ? "" : used + " bytes in use after all cases, not " + usedAtStart;
    }
}
