package io.jacquard.ranks;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.jacquard.group.Flight;
import io.jacquard.group.Group;
import io.jacquard.group.Operation;
import io.jacquard.group.Operation.Kind;
import io.jacquard.group.SoloGroup;
import io.jacquard.line.Line;
import io.jacquard.line.RollCall;
import io.jacquard.tensor.Session;
import java.util.ArrayList;
import java.util.List;

/// Stands for an engine of another device: looks what it can do with its line, says so, and groups nobody.
public final class RollEngine implements GroupEngine {
    @Override
    public String kind() {
        return "cpu";
    }

    @Override
    public Group open(Line line) {
        RollCall roll = new RollCall(line);
        roll.baggage(4).set(JAVA_INT, 0, 100 + line.rank());
        Flight flight = roll.begin(Operation.of(Kind.BARRIER));
        roll.meet(flight);
        roll.end(flight);
        List<Integer> brought = new ArrayList<>();
        for (int r = 0; r < line.members().size(); r++) {
            brought.add(roll.baggage(r, 4).get(JAVA_INT, 0));
        }
        Line part = line.part(new int[] {line.rank()});
        System.out.println("rank " + line.rank() + " on " + Session.current().device() + ": " + brought + " part "
                + part.members().words());
        return new SoloGroup();
    }
}
