package io.jacquard.check;

/// The contract's matrix products alone.
final class LibraryContract extends DeviceContract {
    @Override
    protected String methods() {
        return "matmul";
    }
}
