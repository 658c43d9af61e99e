// Activations that several families compute: a matrix product's epilogue must give the bits of the kernel of its own,
// because recomputing runs the pair where the first pass ran the fused one. So every multiply-add is written as one.
#pragma once
#include "kernel.cuh"

constexpr float LOG2_E = 1.44269504f;

// e^x and 1 / x. Full accuracy for f32. For the 16-bit types one instruction each, whose relative error of 2^-22 is far
// below half an ulp of theirs (2^-12 at least): with 4 bytes moved per element an H200 has time for some 24
// instructions, which the accurate ones alone would take.
template <class T>
DEVICE float exponential(float x) {
    return ptx::ex2(x * LOG2_E);
}
template <>
DEVICE float exponential<float>(float x) {
    return expf(x);
}
template <class T>
DEVICE float reciprocal(float x) {
    return ptx::rcp(x);
}
template <>
DEVICE float reciprocal<float>(float x) {
    return 1.f / x;
}

// 1 / (1 + e^-x), and its slope: sigmoid (1 - sigmoid). From e^-|x|, which neither overflows nor cancels.
template <class T>
DEVICE float sigmoid(float x, float& slope) {
    const float e = exponential<T>(-fabsf(x));
    const float r = reciprocal<T>(1.f + e);
    slope = e * r * r;
    return x >= 0.f ? r : e * r;
}

// GELU's tanh form is x sigmoid(2 u), u = sqrt(2/pi) (x + 0.044715 x^3): no 1 + tanh(u), which cancels for x < 0.
constexpr float GELU_LINEAR = 1.59576912f;  // 2 sqrt(2/pi)
constexpr float GELU_CUBIC = 0.0713548162f;  // 0.044715 times that

template <class T>
DEVICE float gelu(float x) {
    const float u = x * fmaf(GELU_CUBIC * x, x, GELU_LINEAR);
    return x * reciprocal<T>(1.f + exponential<T>(-u));
}

// The derivative of gelu.
template <class T>
DEVICE float gelu_slope(float x) {
    const float square = x * x;
    float slope;
    const float s = sigmoid<T>(x * fmaf(GELU_CUBIC, square, GELU_LINEAR), slope);
    return fmaf(x * slope, fmaf(3.f * GELU_CUBIC, square, GELU_LINEAR), s);
}

// SwiGLU: silu(gate) up.
template <class T>
DEVICE float swiglu(float gate, float up) {
    return up * (gate * reciprocal<T>(1.f + exponential<T>(-gate)));
}
