/// Ranks as processes and threads: who launched them, how they talk, and groups of them.
module io.jacquard.collectives {
    requires static transitive org.jspecify;
    requires transitive io.jacquard.core;
    requires java.net.http;
    requires jdk.httpserver;

    exports io.jacquard.launch;
    exports io.jacquard.line;
    exports io.jacquard.mpi;
    exports io.jacquard.ranks;

    uses io.jacquard.ranks.GroupEngine;
}
