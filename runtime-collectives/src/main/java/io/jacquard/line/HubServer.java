package io.jacquard.line;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.jacquard.launch.Launch.Address;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.jspecify.annotations.Nullable;

/// A hub that other processes reach by HTTP: of rank 0's process. It believes whoever knows the job's token: like
/// NCCL's own connections it is for a network that one trusts.
public final class HubServer implements Hub {
    /// A letter, and more than a rank brings to any meeting.
    static final int MOST_BYTES = 4096;

    static final String MEETINGS = "meetings";
    static final String LETTERS = "letters";

    private static final int OK = 200;
    private static final int BAD = 400;
    private static final int NOT_FOUND = 404;
    private static final int GONE = 410;
    private static final int END_SECONDS = 1;

    static {
        // else a response waits 40 ms for the client's acknowledgement of its header
        if (System.getProperty("sun.net.httpserver.nodelay") == null) {
            System.setProperty("sun.net.httpserver.nodelay", "true");
        }
    }

    private final Switchboard board = new Switchboard();
    private final String token;
    private final HttpServer server;
    private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
    private volatile boolean closed;

    private HubServer(String token, HttpServer server) {
        this.token = URLEncoder.encode(token, StandardCharsets.UTF_8);
        this.server = server;
    }

    /// Listens at an address: at its port on all interfaces, or on the loopback if that is where it is. Port 0 is
    /// any that is free.
    ///
    /// @throws IllegalStateException if it cannot
    public static HubServer open(Address at, String token) {
        try {
            InetAddress host = InetAddress.getByName(at.host());
            InetSocketAddress where = host.isLoopbackAddress()
                    ? new InetSocketAddress(host, at.port())
                    : new InetSocketAddress(at.port());
            HubServer hub = new HubServer(token, HttpServer.create(where, 0));
            hub.server.createContext("/", hub::handle);
            hub.server.setExecutor(hub.executor);
            hub.server.start();
            return hub;
        } catch (IOException e) {
            throw new IllegalStateException(
                    "line: rank 0 cannot listen at " + at + ": " + e.getMessage()
                            + "; the port after MASTER_PORT must be free: set another MASTER_PORT for each job",
                    e);
        }
    }

    /// The port that it listens on.
    public int port() {
        return server.getAddress().getPort();
    }

    private void handle(HttpExchange exchange) throws IOException {
        try (exchange) {
            String[] path = exchange.getRequestURI().getRawPath().split("/", -1);
            byte[] body = exchange.getRequestBody().readNBytes(MOST_BYTES + 1);
            if (path.length < 4 || !path[1].equals("jacquard") || !path[2].equals(token)) {
                answer(exchange, NOT_FOUND, "this is not the hub of that job");
                return;
            }
            try {
                byte[] response = body.length > MOST_BYTES ? refused("too long") : respond(path, body);
                answer(exchange, OK, response);
            } catch (IllegalArgumentException e) {
                answer(exchange, BAD, String.valueOf(e.getMessage()));
            } catch (IllegalStateException e) {
                answer(exchange, GONE, String.valueOf(e.getMessage()));
            }
        }
    }

    private static byte[] refused(String why) {
        throw new IllegalArgumentException("line: a request that nobody of ours makes: " + why);
    }

    /// `/jacquard/TOKEN/meetings/NAME/PLACE/PLACES`, `/jacquard/TOKEN/letters/TO` and
    /// `/jacquard/TOKEN/letters/TO/FROM`.
    private byte[] respond(String[] path, byte[] body) {
        if (path[3].equals(MEETINGS) && path.length == 7) {
            int place = Integer.parseInt(path[5]);
            int places = Integer.parseInt(path[6]);
            return place < 0 || place >= places ? refused("place " + place) : meet(path[4], place, places, body);
        }
        if (path[3].equals(LETTERS) && path.length == 6) {
            board.post(Integer.parseInt(path[5]), Integer.parseInt(path[4]), body);
            return new byte[0];
        }
        return path[3].equals(LETTERS) && path.length == 5 ? letters(Integer.parseInt(path[4])) : refused(path[3]);
    }

    private byte[] meet(String name, int place, int places, byte[] body) {
        return board.gather(name, place, places, body, () -> {
            if (closed) {
                throw new IllegalStateException("line: rank 0 has left");
            }
        });
    }

    /// Each with its sender before it.
    private byte[] letters(int rank) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (DataOutputStream out = new DataOutputStream(bytes)) {
            for (Parcel p : board.collect(rank)) {
                out.writeInt(p.from());
                out.writeInt(p.letter().length);
                out.write(p.letter());
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return bytes.toByteArray();
    }

    private static void answer(HttpExchange exchange, int code, String text) throws IOException {
        answer(exchange, code, text.getBytes(StandardCharsets.UTF_8));
    }

    private static void answer(HttpExchange exchange, int code, byte[] body) throws IOException {
        exchange.sendResponseHeaders(code, body.length == 0 ? -1 : body.length);
        try (OutputStream out = exchange.getResponseBody()) {
            out.write(body);
        }
    }

    // ---- the hub, for ranks of this process

    @Override
    public byte[] gather(String meeting, int place, int places, byte[] mine, Patience patience) {
        return board.gather(meeting, place, places, mine, patience);
    }

    @Override
    public String absent(String meeting) {
        return board.absent(meeting);
    }

    @Override
    public void post(int from, int to, byte[] letter) {
        board.post(from, to, letter);
    }

    @Override
    public List<Parcel> collect(int rank) throws InterruptedException {
        return board.collect(rank);
    }

    @Override
    public boolean isCollected(int rank) {
        return board.isCollected(rank);
    }

    @Override
    public @Nullable String problem() {
        return null;
    }

    @Override
    public void close() {
        closed = true;
        server.stop(END_SECONDS);
        executor.shutdownNow();
    }
}
