package io.jacquard.line;

import io.jacquard.launch.Launch.Address;
import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/// The hub of rank 0's process, by HTTP.
public final class RemoteHub implements Hub {
    private static final long LOOK_MILLIS = 50;
    private static final long RETRY_MILLIS = 200;

    /// How long the server keeps a question after letters when there are none.
    private static final Duration POLL = Duration.ofSeconds(2);

    private final Address at;
    private final String base;
    private final Duration patience;
    private final HttpClient client = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(10))
            .build();
    private CompletableFuture<?> posts = CompletableFuture.completedFuture(null);
    private volatile @Nullable String problem;
    private volatile boolean closed;
    private volatile String start = "";

    /// @param patience how long rank 0 may take to answer
    public RemoteHub(Address at, String token, Duration patience) {
        this.at = at;
        this.patience = patience;
        this.base = "http://" + at + "/jacquard/" + URLEncoder.encode(token, StandardCharsets.UTF_8) + "/";
    }

    private HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(URI.create(base + path));
    }

    private static HttpRequest.BodyPublisher body(byte[] bytes) {
        return HttpRequest.BodyPublishers.ofByteArray(bytes);
    }

    @Override
    public byte[] gather(String meeting, int place, int places, byte[] mine, Patience wait) {
        HttpRequest request = request(HubServer.MEETINGS + "/" + meeting + "/" + place + "/" + places)
                .POST(body(mine))
                .build();
        while (true) {
            try {
                return taken(await(client.sendAsync(request, BodyHandlers.ofByteArray()), wait));
            } catch (ConnectException e) { // nothing was sent: rank 0 may not be there yet
                start = "rank 0 is not at " + at + " (" + reason(e) + ")";
                pause(wait);
            } catch (IOException e) {
                broken(e);
                wait.check();
                throw new IllegalStateException(problem, e);
            }
        }
    }

    private static void pause(Patience wait) {
        try {
            Thread.sleep(RETRY_MILLIS);
        } catch (InterruptedException e) {
            throw interrupted(e);
        }
        wait.check();
    }

    private static HttpResponse<byte[]> await(CompletableFuture<HttpResponse<byte[]>> answer, Patience wait)
            throws IOException {
        while (true) {
            try {
                return answer.get(LOOK_MILLIS, TimeUnit.MILLISECONDS);
            } catch (TimeoutException e) {
                wait.check();
            } catch (InterruptedException e) {
                throw interrupted(e);
            } catch (ExecutionException e) {
                throw e.getCause() instanceof IOException io ? io : new IOException(e.getCause());
            }
        }
    }

    private static IllegalStateException interrupted(InterruptedException e) {
        Thread.currentThread().interrupt();
        return new IllegalStateException("group: a rank was interrupted while it waited for others", e);
    }

    private static byte[] taken(HttpResponse<byte[]> response) throws IOException {
        if (response.statusCode() != 200) {
            throw new IOException(new String(response.body(), StandardCharsets.UTF_8));
        }
        return response.body();
    }

    @Override
    public String absent(String meeting) {
        return start.isEmpty() ? "rank 0 at " + at + " waits for other ranks" : start;
    }

    /// One after the other: the last word must come last.
    @Override
    public synchronized void post(int from, int to, byte[] letter) {
        HttpRequest request = request(HubServer.LETTERS + "/" + to + "/" + from)
                .timeout(patience)
                .POST(body(letter))
                .build();
        posts = posts.thenCompose(_ -> client.sendAsync(request, BodyHandlers.discarding()))
                .whenComplete((_, failure) -> {
                    if (failure != null) {
                        broken(failure.getCause() == null ? failure : failure.getCause());
                    }
                });
    }

    @Override
    public List<Parcel> collect(int rank) throws InterruptedException {
        List<Parcel> parcels = new ArrayList<>();
        try {
            HttpRequest request = request(HubServer.LETTERS + "/" + rank)
                    .timeout(POLL.plus(patience))
                    .build();
            byte[] all = taken(client.send(request, BodyHandlers.ofByteArray()));
            DataInputStream in = new DataInputStream(new ByteArrayInputStream(all));
            while (in.available() > 0) {
                parcels.add(new Parcel(in.readInt(), in.readNBytes(in.readInt())));
            }
        } catch (IOException | UncheckedIOException e) {
            broken(e);
            Thread.sleep(RETRY_MILLIS);
        }
        return parcels;
    }

    private void broken(Throwable failure) {
        if (problem == null && !closed) {
            problem = "group: rank 0 at " + at + " does not answer, and all ranks talk through it: " + reason(failure);
        }
    }

    private static String reason(Throwable failure) {
        return failure.getMessage() == null ? failure.getClass().getSimpleName() : failure.getMessage();
    }

    /// They have left when they are with rank 0.
    @Override
    public synchronized boolean isCollected(int rank) {
        return posts.isDone();
    }

    @Override
    public @Nullable String problem() {
        return problem;
    }

    @Override
    public void close() {
        closed = true;
        client.shutdownNow();
        client.close();
    }
}
