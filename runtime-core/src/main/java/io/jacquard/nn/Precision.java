package io.jacquard.nn;

import io.jacquard.ops.Recipe;

/// In what precision the linear layers of a model's blocks multiply. The head always does as its operands are.
///
/// @param recipe that of the blocks
/// @param ends blocks at each end of the model that multiply as their operands are, too: the stream is most sensitive
/// where it begins and where it is read
public record Precision(Recipe recipe, int ends) {
    /// All products as their operands are.
    public static final Precision DTYPE = new Precision(Recipe.DTYPE, 0);

    /// @throws IllegalArgumentException if `ends` is negative
    public Precision {
        if (ends < 0) {
            throw new IllegalArgumentException("precision: " + ends + " blocks at each end; expected none or more");
        }
    }

    /// The recipe of block `layer` of so many.
    Recipe of(int layer, int layers) {
        return layer < ends || layer >= layers - ends ? Recipe.DTYPE : recipe;
    }
}
