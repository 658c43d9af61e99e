package io.jacquard.nn;

/// How a parameter's first value is made: normal with this deviation, or constant.
///
/// @param deviation standard deviation of the normal distribution; 0 for a constant
/// @param constant the constant, 0 when normal
public record Init(float deviation, float constant) {
    public static final Init ZEROS = new Init(0f, 0f);
    public static final Init ONES = new Init(0f, 1f);

    /// Normal numbers of mean 0 and this standard deviation.
    public static Init normal(double deviation) {
        return new Init((float) deviation, 0f);
    }
}
