package io.jacquard.launch;

/// `main` that says who it is.
public final class PrintLaunch {
    private PrintLaunch() {}

    /// No arguments.
    public static void main(String[] args) {
        Launch launch = Launch.here();
        System.out.println("launch: " + launch);
        System.out.println("local: " + launch.localRank() + " of " + launch.localSize());
        System.out.println("root: " + launch.root());
    }
}
