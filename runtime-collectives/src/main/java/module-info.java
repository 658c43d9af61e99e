/// Ranks as processes: who launched them, and groups of them.
module io.jacquard.collectives {
    requires static transitive org.jspecify;
    requires transitive io.jacquard.core;

    exports io.jacquard.launch;
    exports io.jacquard.mpi;
}
