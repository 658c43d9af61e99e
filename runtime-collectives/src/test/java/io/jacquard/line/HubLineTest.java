package io.jacquard.line;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.group.Flight;
import io.jacquard.group.Operation;
import io.jacquard.group.Operation.Kind;
import io.jacquard.group.Watch;
import io.jacquard.launch.Launch.Address;
import io.jacquard.line.Activity.Source;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
final class HubLineTest {
    private static final Duration TIMEOUT = Duration.ofSeconds(1);
    private static final Watch WATCH = Watch.of(TIMEOUT);
    private static final String TOKEN = "job 4711/0"; // as odd as a user may set it

    private interface Work {
        void run(HubLine line);
    }

    private static HubServer server(int port) {
        return HubServer.open(new Address("127.0.0.1", port), TOKEN);
    }

    private static RemoteHub remote(int port, String token) {
        return new RemoteHub(new Address("127.0.0.1", port), token, TIMEOUT);
    }

    /// Runs `work` in one thread for each hub; what each threw, or an empty text.
    private static String[] run(List<? extends Hub> hubs, Work work) throws InterruptedException {
        String[] failures = new String[hubs.size()];
        Arrays.fill(failures, "");
        List<Thread> threads = new ArrayList<>();
        for (int r = 0; r < hubs.size(); r++) {
            int rank = r;
            threads.add(Thread.ofPlatform().start(() -> {
                try (HubLine line = HubLine.open(hubs.get(rank), rank, hubs.size(), WATCH, HubLine.START)) {
                    work.run(line);
                } catch (IllegalStateException e) {
                    failures[rank] = e.getMessage();
                }
            }));
        }
        for (Thread t : threads) {
            t.join();
        }
        return failures;
    }

    /// The same on threads of one JVM, and on ranks that meet by HTTP.
    private static void all(boolean http, int ranks, Work work) throws InterruptedException {
        List<Hub> hubs = new ArrayList<>();
        HubServer server = http ? server(0) : null;
        Hub board = server == null ? new Switchboard() : server;
        for (int r = 0; r < ranks; r++) {
            hubs.add(server == null || r == 0 ? board : remote(server.port(), TOKEN));
        }
        String[] none = new String[ranks];
        Arrays.fill(none, "");
        assertEquals(List.of(none), List.of(run(hubs, work)));
        hubs.reversed().forEach(Hub::close);
    }

    private static int[] gather(Line line, int mine) {
        try (Arena arena = Arena.ofConfined()) {
            int size = line.members().size();
            MemorySegment all = arena.allocate(JAVA_INT, size);
            line.gather(arena.allocateFrom(JAVA_INT, mine), all);
            return all.toArray(JAVA_INT);
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void ranksHearEachOther(boolean http) throws InterruptedException {
        all(http, 3, line -> {
            for (int i = 0; i < 20; i++) {
                assertEquals(List.of(i, i + 100, i + 200), list(gather(line, i + 100 * line.rank())));
            }
        });
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void partsHearEachOtherOnly(boolean http) throws InterruptedException {
        all(http, 4, line -> {
            Line part = line.part(line.rank() % 2 == 0 ? new int[] {0, 2} : new int[] {1, 3});
            assertEquals(line.rank() / 2, part.rank());
            assertEquals(
                    line.rank() % 2 == 0 ? "ranks 0, 2" : "ranks 1, 3",
                    part.members().words());
            assertEquals("", line.members().words());
            int first = line.rank() % 2;
            assertEquals(List.of(first, first + 2), list(gather(part, line.rank())));
            assertEquals(List.of(0, 1, 2, 3), list(gather(line, line.rank())));
            Line alone = part.part(new int[] {part.rank()});
            assertEquals(List.of(7), list(gather(alone, 7)));
        });
    }

    private static List<Integer> list(int[] values) {
        return Arrays.stream(values).boxed().toList();
    }

    // ---- when things go wrong

    private static void barrier(HubLine line) {
        RollCall roll = new RollCall(line);
        Flight flight = roll.begin(Operation.of(Kind.BARRIER));
        roll.meet(flight);
        roll.end(flight);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void ranksThatWaitForEachOtherAreFound(boolean http) throws InterruptedException {
        try (HubServer server = server(0);
                RemoteHub remote = remote(server.port(), TOKEN)) {
            Hub board = new Switchboard();
            String[] failures = run(http ? List.of(server, remote) : List.of(board, board), line -> {
                barrier(line);
                Flight flight = line.activity().recorder().track("").begin(Operation.of(Kind.SPLIT));
                line.activity().begin(flight);
                gather(line.rank() == 0 ? line : line.part(new int[] {0, 1}), 0); // not the same
            });
            String expected = "group: nothing has moved for 1 s: all ranks wait for each other";
            assertEquals(List.of(expected, expected), List.of(failures));
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void theFailureOfOneRankEndsTheOthers(boolean http) throws InterruptedException {
        try (HubServer server = server(0);
                RemoteHub remote = remote(server.port(), TOKEN)) {
            Hub board = new Switchboard();
            String[] failures = run(http ? List.of(server, remote) : List.of(board, board), line -> {
                if (line.rank() == 0) {
                    line.activity().fail("group: rank 0 failed: disk full", Source.FOUND);
                    throw new IllegalStateException("disk full");
                }
                barrier(line);
            });
            assertEquals(List.of("disk full", "group: rank 0 failed: disk full"), List.of(failures));
        }
    }

    @Test
    void aRankThatDoesNotAnswerIsNamed() throws InterruptedException {
        Switchboard board = new Switchboard();
        Thread silent = Thread.ofPlatform().start(() -> board.gather("start", 1, 2, Peers.mine(), () -> {}));
        String[] failure = new String[1];
        Thread other = Thread.ofPlatform().start(() -> {
            try (HubLine line = HubLine.open(board, 0, 2, WATCH, HubLine.START)) {
                barrier(line);
            } catch (IllegalStateException e) {
                failure[0] = e.getMessage();
            }
        });
        silent.join();
        other.join();
        assertEquals("group: nothing has moved for 1 s: rank 1 does not answer (stopped, or cut off)", failure[0]);
    }

    @Test
    void ranksThatDoNotComeAreNamed() {
        Duration start = Duration.ofMillis(300);
        assertEquals(
                "line: the ranks did not find each other within 0 s: rank 1, rank 3 did not come",
                assertThrows(IllegalStateException.class, () -> {
                            Switchboard board = new Switchboard();
                            Thread.ofPlatform()
                                    .daemon()
                                    .start(() -> board.gather("start", 2, 4, Peers.mine(), () -> {}));
                            while (!board.absent("start").equals("rank 0, rank 1, rank 3 did not come")) {
                                LockSupport.parkNanos(1_000_000);
                            }
                            HubLine.open(board, 0, 4, WATCH, start).close();
                        })
                        .getMessage());
        try (HubServer server = server(0);
                RemoteHub remote = remote(server.port(), TOKEN)) {
            assertEquals(
                    "line: the ranks did not find each other within 0 s: rank 0 at 127.0.0.1:" + server.port()
                            + " waits for other ranks",
                    assertThrows(
                                    IllegalStateException.class,
                                    () -> HubLine.open(remote, 1, 2, WATCH, start)
                                            .close())
                            .getMessage());
        }
    }

    @Test
    void rankZeroMayComeLate() throws Exception {
        int port;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort();
        }
        try (RemoteHub remote = remote(port, TOKEN)) {
            assertEquals(
                    "line: the ranks did not find each other within 2 s: rank 0 is not at 127.0.0.1:" + port
                            + " (ConnectException)",
                    assertThrows(
                                    IllegalStateException.class,
                                    () -> HubLine.open(remote, 1, 2, WATCH, Duration.ofSeconds(2))
                                            .close())
                            .getMessage());
        }
        Thread late = Thread.ofPlatform().start(() -> {
            LockSupport.parkNanos(500_000_000);
            try (HubServer server = server(port);
                    HubLine _ = HubLine.open(server, 0, 2, WATCH, HubLine.START)) {
                assertEquals(port, server.port());
            }
        });
        try (RemoteHub remote = remote(port, TOKEN)) {
            HubLine.open(remote, 1, 2, WATCH, HubLine.START).close();
        }
        late.join();
    }

    @Test
    void aRankOfAnotherJobIsTurnedAway() {
        try (HubServer server = server(0);
                RemoteHub remote = remote(server.port(), "another")) {
            assertEquals(
                    "group: rank 0 at 127.0.0.1:" + server.port()
                            + " does not answer, and all ranks talk through it: this is not the hub of that job",
                    assertThrows(
                                    IllegalStateException.class,
                                    () -> HubLine.open(remote, 1, 2, WATCH, HubLine.START)
                                            .close())
                            .getMessage());
        }
    }

    @Test
    void whenRankZeroHasGoneTheOthersEnd() throws InterruptedException {
        HubServer server = server(0);
        try (RemoteHub remote = remote(server.port(), TOKEN)) {
            String[] failures = run(List.of(server, remote), line -> {
                if (line.rank() == 0) {
                    server.close();
                    line.activity().fail("gone", Source.TOLD);
                    throw new IllegalStateException("gone");
                }
                barrier(line);
            });
            String told =
                    "group: rank 0 at 127.0.0.1:" + server.port() + " does not answer, and all ranks talk through it: ";
            assertTrue(failures[1].startsWith(told), failures[1]);
        }
    }

    @Test
    void aPortThatIsTakenIsNamed() {
        try (HubServer server = server(0)) {
            assertEquals(
                    "line: rank 0 cannot listen at 127.0.0.1:" + server.port()
                            + ": Address already in use; the port after MASTER_PORT must be free: set another"
                            + " MASTER_PORT for each job",
                    assertThrows(IllegalStateException.class, () -> server(server.port()))
                            .getMessage());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"meetings/a/3/3", "meetings/a/x/3", "letters", "meetings/a/0", "letters/0/-", "nothing/1"})
    void requestsOfStrangersAreRefused(String path) throws IOException, InterruptedException {
        try (HubServer server = server(0);
                HttpClient client = HttpClient.newHttpClient()) {
            String base = "http://127.0.0.1:" + server.port() + "/jacquard/job+4711%2F0/";
            assertEquals(400, status(client, base + path, 10), path);
            assertEquals(400, status(client, base + "letters/1/0", HubServer.MOST_BYTES + 1));
            assertEquals(404, status(client, "http://127.0.0.1:" + server.port() + "/" + path, 10));
        }
    }

    private static int status(HttpClient client, String url, int bytes) throws IOException, InterruptedException {
        return client.send(
                        HttpRequest.newBuilder(URI.create(url))
                                .POST(HttpRequest.BodyPublishers.ofByteArray(new byte[bytes]))
                                .build(),
                        HttpResponse.BodyHandlers.discarding())
                .statusCode();
    }
}
