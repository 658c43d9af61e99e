package io.jacquard.ranks;

import io.jacquard.launch.Launch;
import io.jacquard.launch.Launch.Address;
import io.jacquard.line.Hub;
import io.jacquard.line.HubServer;
import io.jacquard.line.RemoteHub;
import io.jacquard.line.Switchboard;
import java.time.Duration;
import java.util.Map;
import java.util.StringJoiner;

/// Where ranks that do not know each other meet.
final class Rendezvous {
    private static final String COMM_ID = "NCCL_COMM_ID";

    private Rendezvous() {}

    /// Whether MPI has started the processes, so that it can carry what they say.
    static boolean isByMpi(Launch launch, Map<String, String> environment) {
        return switch (launch.launcher()) {
            case OPEN_MPI, MPICH -> true;
            case SLURM -> environment.containsKey("PMIX_RANK") || environment.containsKey("PMI_RANK");
            default -> false;
        };
    }

    /// The hub of the launch: in memory if this is its only process, else at rank 0's.
    static Hub hub(Launch launch, Map<String, String> environment, Duration timeout) {
        if (launch.size() == 1) {
            return new Switchboard();
        }
        Address at = address(launch, environment);
        String token = token(environment);
        return launch.rank() == 0 ? HubServer.open(at, token) : new RemoteHub(at, token, timeout);
    }

    /// The port after that of the launcher, which may have something of its own there, as NCCL has at its own
    /// address.
    static Address address(Launch launch, Map<String, String> environment) {
        Address root = launch.root();
        String id = environment.getOrDefault(COMM_ID, "");
        if (root == null && !id.isEmpty()) {
            root = parse(id);
        }
        if (root == null) {
            throw new IllegalArgumentException(
                    "ranks: " + launch + ", and nothing says where rank 0 is: set MASTER_ADDR"
                            + " and MASTER_PORT, or " + COMM_ID + ", or start the ranks with"
                            + " torchrun, mpirun or srun");
        }
        return new Address(root.host(), root.port() + 1);
    }

    private static Address parse(String id) {
        int colon = id.lastIndexOf(':');
        try {
            return new Address(id.substring(0, Math.max(0, colon)), Integer.parseInt(id.substring(colon + 1)));
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException(
                    "ranks: " + COMM_ID + "=" + id + " is no address; expected HOST:PORT", e);
        }
    }

    /// What tells this job, and this try of it, from others that meet at the same address.
    static String token(Map<String, String> environment) {
        StringJoiner token = new StringJoiner(".");
        for (String name : new String[] {
            "JACQUARD_JOB", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "SLURM_JOB_ID", "SLURM_STEP_ID"
        }) {
            String value = environment.getOrDefault(name, "");
            if (!value.isEmpty()) {
                token.add(value);
            }
        }
        return token.length() == 0 ? "job" : token.toString();
    }
}
