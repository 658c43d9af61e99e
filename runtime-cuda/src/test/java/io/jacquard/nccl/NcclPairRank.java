package io.jacquard.nccl;

import io.jacquard.group.GroupContract;
import io.jacquard.group.Watch;
import io.jacquard.launch.Launch;
import io.jacquard.ranks.Ranks;
import java.util.Comparator;
import java.util.List;

/// `main` of one of two ranks: all cases of the contract for two, one after the other. Rank 0 prints the name of each
/// case that has passed.
final class NcclPairRank {
    private NcclPairRank() {}

    /// That after which the group is of no use comes last. Two operands have one order.
    static List<GroupContract.Case> cases() {
        return GroupContract.cases().stream()
                .filter(c -> c.ranks() == 2)
                .sorted(Comparator.comparing(c -> c.name().startsWith("different")))
                .toList();
    }

    public static void main(String[] args) {
        Ranks.run(Launch.here(), "cuda", 1, Watch.DEFAULT, group -> {
            for (GroupContract.Case c : cases()) {
                c.work().accept(group);
                if (group.rank() == 0) {
                    System.out.println("passed: " + c.name());
                }
            }
        });
    }
}
