package io.jacquard.cuda;

import io.jacquard.cuda.driver.CublasLt;
import io.jacquard.cuda.driver.CublasLt.Scales;
import io.jacquard.cuda.driver.CublasLtProduct;
import io.jacquard.cuda.driver.CublasLtProduct.Algorithm;
import io.jacquard.cuda.driver.Gpu;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.DeviceException;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;
import io.jacquard.tensor.spi.Scaled;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
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
///
/// Of products in low precision it takes those of 8-bit floats with a scale for each matrix or for each row.
final class MatmulChoice implements AutoCloseable {
    /// For partial sums of cuBLASLt: what NVIDIA advises for Hopper.
    private static final long WORKSPACE = 32L << 20;

    private static final int CANDIDATES = 12;

    private static final String OWN = "own";
    private static final String PROPERTY = "jacquard.cuda.matmul";
    private static final AtomicBoolean SAID = new AtomicBoolean();

    private final Launcher launcher;
    private final MatmulKernels own;
    private final ScaledKernels scaled;
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
    static MatmulChoice open(Launcher launcher, MatmulKernels own, ScaledKernels scaled, PointwiseKernels pointwise) {
        Gpu gpu = launcher.gpu();
        String mode = System.getProperty(PROPERTY, gpu.isEmulated() ? "own" : "auto");
        if (!usesLibrary(mode, MatmulChoice::problem, MatmulChoice::tellOnce)) {
            return new MatmulChoice(launcher, own, scaled, pointwise, null, null, false);
        }
        boolean forced = mode.equals("cublaslt");
        String identity = gpu.name() + " sm" + gpu.capability() + " x" + gpu.multiprocessors() + " driver "
                + gpu.driverVersion() + " cublaslt " + CublasLt.version() + (forced ? " alone" : "");
        MatmulCache cache = new MatmulCache(folder(), identity, System.err::println);
        return new MatmulChoice(launcher, own, scaled, pointwise, CublasLt.open(gpu), cache, !forced);
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
            ScaledKernels scaled,
            PointwiseKernels pointwise,
            @Nullable CublasLt library,
            @Nullable MatmulCache cache,
            boolean ownCompetes) {
        this.launcher = launcher;
        this.own = own;
        this.scaled = scaled;
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
        int kind = kind(sum, a, ta, b, tb, beta, bias, Scales.NONE);
        Entry entry = find(m, n, k, kind);
        if (entry == null) {
            CublasLtProduct product = library.product(shape(kind, m, n, k));
            LongConsumer ours = at -> own.matmul(sum, at, a, ta, b, tb, beta, Epilogue.bias(bias));
            entry = add(m, n, k, kind, decide(product, sum, a, b, bias, ours));
        }
        CublasLtProduct product = entry.product;
        if (product == null) {
            own.matmul(out, a, ta, b, tb, beta, epilogue);
        } else {
            run(product, out, sum, a, b, bias, pre);
        }
    }

    /// The product of two matrices in low precision.
    void matmul(Tensor out, Scaled a, Scaled b, float beta, Epilogue epilogue) {
        Tensor pre = epilogue.preActivation();
        Tensor sum = pre == null ? out : pre;
        Tensor bias = epilogue.bias();
        if (library == null || !suits(sum, a.values(), beta, bias, pre) || !suits(sum, a, b, bias)) {
            scaled.matmul(out, a, b, beta, epilogue);
            return;
        }
        int m = a.rows();
        int n = b.rows();
        int k = a.columns();
        Scales scales = a.blocks().isWhole() ? Scales.WHOLE : Scales.ROWS;
        int kind = kind(sum, a.values(), false, b.values(), true, beta, bias, scales);
        Entry entry = find(m, n, k, kind);
        if (entry == null) {
            CublasLtProduct product = library.product(shape(kind, m, n, k));
            product.scaledBy(a.scales(), b.scales());
            LongConsumer ours = at -> scaled.matmul(sum, at, a, b, beta, Epilogue.bias(bias));
            entry = add(m, n, k, kind, decide(product, sum, a.values(), b.values(), bias, ours));
        }
        CublasLtProduct product = entry.product;
        if (product == null) {
            scaled.matmul(out, a, b, beta, epilogue);
        } else {
            product.scaledBy(a.scales(), b.scales());
            run(product, out, sum, a.values(), b.values(), bias, pre);
        }
    }

    private void run(
            CublasLtProduct product,
            Tensor out,
            Tensor sum,
            Tensor a,
            Tensor b,
            @Nullable Tensor bias,
            @Nullable Tensor pre) {
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

    /// What cuBLASLt multiplies of 8-bit floats: not E5M2 by E5M2; with scales of whole matrices, from 8.9 on, or
    /// of all rows, from 9.0 on, since it wants those of blocks in another order; everything on 16 bytes, with rows
    /// of whole 16 bytes; and with a bias only results of 16 bits.
    private boolean suits(Tensor sum, Scaled a, Scaled b, @Nullable Tensor bias) {
        boolean floats = isFloat(a) && isFloat(b) && (a.type() == DType.F8E4M3 || b.type() == DType.F8E4M3);
        int capability = launcher.gpu().capability();
        boolean scales = a.blocks().equals(b.blocks())
                && (a.blocks().isWhole() && capability >= LowPrecisionPlan.ADA
                        || a.blocks().equals(Scaled.Blocks.ROWS) && capability >= LowPrecisionPlan.HOPPER);
        boolean aligned = alignment(a.values()) == 4 && alignment(b.values()) == 4 && alignment(sum) == 4;
        return floats
                && scales
                && aligned
                && a.columns() % 16 == 0
                && sum.dtype().bytes(b.rows()) % 16 == 0
                && (bias == null || sum.dtype() != DType.F32);
    }

    private static boolean isFloat(Scaled x) {
        return x.type() == DType.F8E4M3 || x.type() == DType.F8E5M2;
    }

    // ---- shapes seen

    private static int kind(
            Tensor sum, Tensor a, boolean ta, Tensor b, boolean tb, float beta, @Nullable Tensor bias, Scales scales) {
        int kind = (ta ? 1 : 0) | (tb ? 2 : 0) | (beta == 0 ? 0 : 4) | (bias == null ? 0 : 8);
        kind |= a.dtype().ordinal() << 4
                | b.dtype().ordinal() << 8
                | sum.dtype().ordinal() << 12;
        return kind | scales.ordinal() << 16 | alignment(a) << 20 | alignment(b) << 24 | alignment(sum) << 28;
    }

    /// 0 to 4: of 1 to 16 bytes, the most that a kernel asks for.
    private static int alignment(Tensor t) {
        return Long.numberOfTrailingZeros(t.address() | 16);
    }

    private static CublasLt.Shape shape(int kind, int m, int n, int k) {
        return new CublasLt.Shape(
                m,
                n,
                k,
                (kind & 1) != 0,
                (kind & 2) != 0,
                DType.values()[kind >> 4 & 15],
                DType.values()[kind >> 8 & 15],
                Scales.values()[kind >> 16 & 15],
                DType.values()[kind >> 12 & 15],
                (kind & 8) != 0,
                (kind & 4) != 0,
                1 << (kind >> 20 & 15),
                1 << (kind >> 24 & 15),
                1 << (kind >> 28 & 15));
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

    private Entry add(int m, int n, int k, int kind, @Nullable CublasLtProduct product) {
        Entry entry = new Entry(m, n, k, kind, product);
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
        return entry;
    }

    private void put(Entry entry) {
        int at = slot(entry.m, entry.n, entry.k, entry.kind);
        while (table[at] != null) {
            at = (at + 1) % table.length;
        }
        table[at] = entry;
    }

    // ---- choosing

    /// The product with its algorithm, or null where our own kernels are to serve; `ours` launches them into an
    /// address.
    private @Nullable CublasLtProduct decide(
            CublasLtProduct product, Tensor sum, Tensor a, Tensor b, @Nullable Tensor bias, LongConsumer ours) {
        Algorithm chosen = null;
        String shape = product.shape().toString();
        String kept = cache == null ? null : cache.get(shape);
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
                MatmulSearch search = new MatmulSearch(launcher, ownCompetes ? ours : null);
                chosen = search.fastest(product, candidates, sum, a, b, bias);
                if (cache != null && search.isMeasured()) {
                    cache.put(shape, chosen == null ? OWN : chosen.toString());
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
