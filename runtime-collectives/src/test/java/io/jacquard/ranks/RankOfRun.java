package io.jacquard.ranks;

import io.jacquard.group.Watch;
import io.jacquard.launch.Launch;

/// `main` of each process: joins the others by the engine that is named, and says so.
final class RankOfRun {
    private RankOfRun() {}

    /// Arguments: ranks in this process; what to do, `end` or `fail` for the last rank to throw.
    public static void main(String[] args) {
        Launch launch = Launch.here();
        Ranks.run(launch, "cpu", Integer.parseInt(args[0]), Watch.DEFAULT, group -> {
            System.out.println(
                    "joined by " + group.getClass().getSimpleName() + ": " + group.rank() + " of " + group.size());
            if (args[1].equals("fail") && launch.rank() == launch.size() - 1) {
                throw new IllegalArgumentException("no more data");
            }
        });
        System.out.println("end");
    }
}
