// context_switch.cpp: the only assembly of the emulator: callee-saved registers out, stack pointer over, registers in.
#include "context_switch.h"

#include <cstring>

#if defined(__x86_64__)
asm(R"(
.text
.globl emulator_switch
.hidden emulator_switch
.type emulator_switch, @function
emulator_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size emulator_switch, . - emulator_switch
)");
#elif defined(__aarch64__)
asm(R"(
.text
.globl emulator_switch
.hidden emulator_switch
.type emulator_switch, @function
emulator_switch:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x2, sp
    str x2, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
.size emulator_switch, . - emulator_switch
)");
#else
#error "the emulator runs on x86-64 and aarch64"
#endif

void* emulator::newFiber(void* stackTop, void (*entry)()) {
#if defined(__x86_64__)
    void** sp = (void**)stackTop;
    *--sp = nullptr;  // where a caller's return address would be: aligns the stack as at a function's entry
    *--sp = (void*)entry;
    sp -= 6;
    memset(sp, 0, 6 * sizeof(void*));
#else
    void** sp = (void**)stackTop - 20;
    memset(sp, 0, 20 * sizeof(void*));
    sp[11] = (void*)entry;  // x30
#endif
    return sp;
}
