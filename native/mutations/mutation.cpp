// mutation.cpp: which mutation is in force, and which of them kernels came past. Compiled apart from the kernels: no
// access here is checked.
static const int LIMIT = 4096;

static volatile int chosen = 0;
static volatile bool reached[LIMIT];

extern "C" int mutation_on(int number) {
    reached[number % LIMIT] = true;
    return number == chosen;
}

extern "C" int jacquard_choose_mutation(int number) {
    chosen = number;
    return 0;
}

extern "C" int jacquard_mutation_reached(int number) {
    return reached[number % LIMIT];
}
