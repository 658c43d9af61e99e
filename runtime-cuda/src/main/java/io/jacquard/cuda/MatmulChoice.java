package io.jacquard.cuda;

import io.jacquard.cuda.driver.CublasLt;
import io.jacquard.cuda.driver.CublasLtProduct;
import io.jacquard.cuda.driver.CublasLtProduct.Algorithm;
import io.jacquard.cuda.driver.Gpu;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.DeviceException;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/// Matrix products by whichever is faster for a shape, cuBLASLt or our own kernels, measured when the shape first comes
/// and remembered on the disk: the choice, and so each bit of the result, is the same in the next run.
///
/// cuBLASLt takes the product with its bias. GELU stays ours: the contract wants the bits of `Kernels.gelu` of the
/// rounded sum, since a recomputed block runs the pair, and cuBLASLt takes its own GELU of the sum before it is
/// rounded. So does what cuBLASLt does not offer for our operands: a bias of another dtype or off its 16 bytes, GELU
/// after accumulation, an inner dimension of 0. The gradients of GELU and bias are operations of their own in
/// `Kernels`, for which `DGELU` and `BGRAD` have no place.
final class MatmulChoice implements AutoCloseable {
    /// For partial sums of cuBLASLt: what NVIDIA advises for Hopper.
    private static final long WORKSPACE = 32L << 20;

    private static final int CANDIDATES = 12;

    private static final String OWN = "own";
    private static final String PROPERTY = "jacquard.cuda.matmul";
    private static final AtomicBoolean SAID = new AtomicBoolean();

    private final Launcher launcher;
    private final MatmulKernels own;
    private final PointwiseKernels pointwise;
    private final boolean ownCompetes;
    private final @Nullable CublasLt library;
    private final @Nullable MatmulCache cache;
    private @Nullable Entry[] table = new @Nullable Entry[64];
    private int entries;

    /// What serves a shape: cuBLASLt, or with no product our own kernels.
    private static final class Entry {
        final int m;
        final int n;
        final int k;
        final int kind;
        final @Nullable CublasLtProduct product;

        Entry(int m, int n, int k, int kind, @Nullable CublasLtProduct product) {
            this.m = m;
            this.n = n;
            this.k = k;
            this.kind = kind;
            this.product = product;
        }
    }

    /// What `-Djacquard.cuda.matmul` says: `auto` (the default) measures, `own` and `cublaslt` leave no choice. On
    /// the emulator the default is `own`: NVIDIA's library needs NVIDIA's driver.
    ///
    /// @throws DeviceException if cuBLASLt is wanted and cannot be had
    static MatmulChoice open(Launcher launcher, MatmulKernels own, PointwiseKernels pointwise) {
        Gpu gpu = launcher.gpu();
        String mode = System.getProperty(PROPERTY, gpu.isEmulated() ? "own" : "auto");
        if (!usesLibrary(mode, MatmulChoice::problem, MatmulChoice::tellOnce)) {
            return new MatmulChoice(launcher, own, pointwise, null, null, false);
        }
        boolean forced = mode.equals("cublaslt");
        String identity = gpu.name() + " sm" + gpu.capability() + " x" + gpu.multiprocessors() + " driver "
                + gpu.driverVersion() + " cublaslt " + CublasLt.version() + (forced ? " alone" : "");
        MatmulCache cache = new MatmulCache(folder(), identity, System.err::println);
        return new MatmulChoice(launcher, own, pointwise, CublasLt.open(gpu), cache, !forced);
    }

    /// Whether cuBLASLt is to be opened. `problem` says why it cannot, or is empty.
    static boolean usesLibrary(String mode, Supplier<String> problem, Consumer<String> tell) {
        if (!List.of("own", "cublaslt", "auto").contains(mode)) {
            throw new IllegalArgumentException(PROPERTY + ": '" + mode + "' is not own, cublaslt or auto");
        }
        String why = mode.equals("own") ? "" : problem.get();
        if (!why.isEmpty() && mode.equals("cublaslt")) {
            throw new DeviceException("cuda: -D" + PROPERTY + "=cublaslt, and there is no cuBLASLt: " + why + "; "
                    + CublasLt.REMEDY + ", or leave matrix products to our own kernels: -D" + PROPERTY + "=own");
        }
        if (!why.isEmpty()) {
            tell.accept("cuda: no cuBLASLt here, our own kernels do all matrix products;"
                    + " './jacquard doctor --device cuda' lists where it was looked for");
        }
        return why.isEmpty() && !mode.equals("own");
    }

    private static String problem() {
        String problem = CublasLt.problem();
        return problem == null ? "" : problem;
    }

    private static void tellOnce(String line) {
        if (!SAID.getAndSet(true)) {
            System.err.println(line);
        }
    }

    private static Path folder() {
        String cache = System.getProperty("jacquard.cache");
        return (cache == null ? Path.of(System.getProperty("user.home", "."), ".cache", "jacquard") : Path.of(cache))
                .resolve("matmul");
    }

    /// With no library our own kernels do everything.
    MatmulChoice(
            Launcher launcher,
            MatmulKernels own,
            PointwiseKernels pointwise,
            @Nullable CublasLt library,
            @Nullable MatmulCache cache,
            boolean ownCompetes) {
        this.launcher = launcher;
        this.own = own;
        this.pointwise = pointwise;
        this.library = library;
        this.cache = cache;
        this.ownCompetes = ownCompetes;
        if (library != null) {
            launcher.workspace(WORKSPACE);
        }
    }

    void matmul(Tensor out, Tensor a, boolean ta, Tensor b, boolean tb, float beta, Epilogue epilogue) {
        Tensor pre = epilogue.preActivation();
        Tensor sum = pre == null ? out : pre;
        Tensor bias = epilogue.bias();
        if (library == null || !suits(sum, a, beta, bias, pre)) {
            own.matmul(out, a, ta, b, tb, beta, epilogue);
            return;
        }
        int n = out.shape().last();
        int m = Math.toIntExact(out.size() / n);
        int k = ta ? Math.toIntExact(a.size() / m) : a.shape().last();
        int kind = kind(sum, a, ta, b, tb, beta, bias);
        Entry entry = find(m, n, k, kind);
        if (entry == null) {
            entry = new Entry(m, n, k, kind, decide(library, shape(kind, m, n, k, a, sum), sum, a, b, bias));
            add(entry);
        }
        CublasLtProduct product = entry.product;
        if (product == null) {
            own.matmul(out, a, ta, b, tb, beta, epilogue);
            return;
        }
        product.run(launcher, sum, sum.address(), a, b, bias);
        if (pre != null) {
            pointwise.gelu(out, pre);
        }
    }

    private static boolean suits(Tensor sum, Tensor a, float beta, @Nullable Tensor bias, @Nullable Tensor pre) {
        return sum.size() > 0
                && a.size() > 0
                && (pre == null || beta == 0)
                && (bias == null || bias.dtype() == sum.dtype() && bias.address() % 16 == 0);
    }

    // ---- shapes seen

    private static int kind(Tensor sum, Tensor a, boolean ta, Tensor b, boolean tb, float beta, @Nullable Tensor bias) {
        int kind = (ta ? 1 : 0) | (tb ? 2 : 0) | (beta == 0 ? 0 : 4) | (bias == null ? 0 : 8);
        kind |= a.dtype().ordinal() << 4 | sum.dtype().ordinal() << 8;
        return kind | alignment(a) << 12 | alignment(b) << 16 | alignment(sum) << 20;
    }

    /// 0 to 4: of 1 to 16 bytes, the most that a kernel asks for.
    private static int alignment(Tensor t) {
        return Long.numberOfTrailingZeros(t.address() | 16);
    }

    private static CublasLt.Shape shape(int kind, int m, int n, int k, Tensor a, Tensor sum) {
        return new CublasLt.Shape(
                m,
                n,
                k,
                (kind & 1) != 0,
                (kind & 2) != 0,
                a.dtype(),
                sum.dtype(),
                (kind & 8) != 0,
                (kind & 4) != 0,
                1 << (kind >> 12 & 15),
                1 << (kind >> 16 & 15),
                1 << (kind >> 20 & 15));
    }

    private @Nullable Entry find(int m, int n, int k, int kind) {
        int at = slot(m, n, k, kind);
        for (Entry e = table[at]; e != null; e = table[at]) {
            if (e.m == m && e.n == n && e.k == k && e.kind == kind) {
                return e;
            }
            at = (at + 1) % table.length;
        }
        return null;
    }

    private int slot(int m, int n, int k, int kind) {
        int hash = ((m * 31 + n) * 31 + k) * 31 + kind;
        return Math.floorMod(hash ^ hash >>> 15, table.length);
    }

    private void add(Entry entry) {
        if (2 * ++entries > table.length) {
            @Nullable Entry[] before = table;
            table = new @Nullable Entry[2 * before.length];
            for (Entry e : before) {
                if (e != null) {
                    put(e);
                }
            }
        }
        put(entry);
    }

    private void put(Entry entry) {
        int at = slot(entry.m, entry.n, entry.k, entry.kind);
        while (table[at] != null) {
            at = (at + 1) % table.length;
        }
        table[at] = entry;
    }

    // ---- choosing

    /// The product with its algorithm, or null where our own kernels are to serve.
    private @Nullable CublasLtProduct decide(
            CublasLt library, CublasLt.Shape shape, Tensor sum, Tensor a, Tensor b, @Nullable Tensor bias) {
        CublasLtProduct product = library.product(shape);
        Algorithm chosen = null;
        String kept = cache == null ? null : cache.get(shape.toString());
        boolean known = false;
        if (OWN.equals(kept)) {
            known = ownCompetes;
        } else if (kept != null) {
            chosen = product.known(bytes(kept));
            known = chosen != null;
        }
        if (!known) {
            List<Algorithm> candidates = product.candidates(CANDIDATES, WORKSPACE);
            if (launcher.gpu().isCapturing()) {
                // nothing runs while it is recorded, so nothing is measured, or kept for other runs
                chosen = candidates.isEmpty() ? null : candidates.getFirst();
            } else {
                MatmulSearch search = new MatmulSearch(launcher, own, ownCompetes);
                chosen = search.fastest(product, candidates, sum, a, b, bias);
                if (cache != null && search.isMeasured()) {
                    cache.put(shape.toString(), chosen == null ? OWN : chosen.toString());
                }
            }
        }
        if (chosen == null) {
            product.close();
            return null;
        }
        product.use(chosen);
        return product;
    }

    private static byte[] bytes(String hexadecimal) {
        try {
            return HexFormat.of().parseHex(hexadecimal);
        } catch (IllegalArgumentException e) {
            return new byte[0];
        }
    }

    @Override
    public void close() {
        for (Entry e : table) {
            if (e != null && e.product != null) {
                e.product.close();
            }
        }
        if (library != null) {
            library.close();
        }
    }
}
