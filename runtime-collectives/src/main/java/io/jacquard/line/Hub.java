package io.jacquard.line;

import java.util.List;
import org.jspecify.annotations.Nullable;

/// One place where all ranks of a run leave what they have to say to each other. Ranks are numbers of the whole run.
public interface Hub extends AutoCloseable {
    /// What lies here for a rank.
    record Parcel(int from, byte[] letter) {}

    /// Whether to go on waiting: throws if not. Asked some times a second.
    interface Patience {
        void check();
    }

    /// Brings `mine`, waits until all `places` of the meeting are taken, and returns what they brought, one after
    /// the other. All bring as many bytes.
    byte[] gather(String meeting, int place, int places, byte[] mine, Patience patience);

    /// Why a meeting is not complete, in words.
    String absent(String meeting);

    /// Leaves a letter for rank `to`. Does not wait for it.
    void post(int from, int to, byte[] letter);

    /// Takes all letters for a rank. Waits a moment for one.
    List<Parcel> collect(int rank) throws InterruptedException;

    /// Whether all letters for a rank were collected, as far as this can be seen from here.
    boolean isCollected(int rank);

    /// What has cut this process off; null while nothing has.
    @Nullable
    String problem();

    @Override
    void close();
}
