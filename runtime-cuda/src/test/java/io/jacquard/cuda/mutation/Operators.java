package io.jacquard.cuda.mutation;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Finds the places of a source that can be broken, and how. Text patterns, not a parser: a finding that does not
/// compile is dropped later.
final class Operators {
    private static final Pattern SYNCHRONISATION = Pattern.compile(
            "(?:__syncthreads|__syncwarp|__threadfence\\w*|(?:ptx::)?\\w*(?:wait|fence|commit|arrive|bar_sync|expect)\\w*)"
                    + "(?:<[^<>;()]*>)?\\(");
    private static final Pattern CALL = Pattern.compile("(?<![\\w.>:])[A-Za-z_][\\w:.]*(?:<[^<>;()]*>)?\\(");
    private static final Pattern ASSIGNMENT =
            Pattern.compile("\\*?[A-Za-z_]\\w*(?:(?:\\.|->)\\w+|\\[[^;=]*?\\])* (?:[-+*/|&^]|<<|>>)?= ");
    private static final Pattern COMPARISON = Pattern.compile(" (?:<|<=|>|>=|==|!=) ");
    private static final Pattern INDEX = Pattern.compile("(?<=[\\w\\])])\\[");
    private static final String DECLARATOR = "\\w+(?:\\[[^\\]]*\\])*";
    private static final Pattern DECLARED =
            Pattern.compile("(?:(?:const|static|volatile|__shared__|alignas\\(\\w+\\)|unsigned|typename)\\s+)*"
                    + "(?!return|else)[\\w:]+(?:<.*>)?[&*]?\\s+" + DECLARATOR + "(?:,\\s*" + DECLARATOR + ")*");
    private static final Pattern DIVISION = Pattern.compile(" (?:%|/|&) ");
    private static final Pattern SHIFT = Pattern.compile(" (?:<<|>>) ");
    private static final Pattern THREAD = Pattern.compile("\\b(?:threadIdx|blockIdx)\\.[xyz]|\\bgridThread\\(\\)");
    private static final Pattern PLACE = Pattern.compile(
            "(?<![\\w.])(?:lane|warp|group|stage|phase|parity|slot|buffer|half|quad)\\b(?![\\w(.]| = )");
    private static final Pattern FACTOR = Pattern.compile(" \\*=? ");
    private static final Pattern TERM = Pattern.compile(" [-+] ");
    private static final Pattern PRIMARY =
            Pattern.compile("[-!~]?(?:\\d[\\w.]*|[A-Za-z_][\\w:]*(?:(?:\\.|->)[A-Za-z_]\\w*)*)");
    private static final Pattern IF = Pattern.compile("\\b(?:if|while) (\\()");
    private static final Pattern CHOICE = Pattern.compile(" \\? ");
    private static final Pattern EXTREME = Pattern.compile("\\b(fmaxf|fminf|max|min)(?=\\()");
    private static final Pattern NUMBER = Pattern.compile("(?<=[=(,*+-] )\\d+\\.\\d*f?(?![\\w.])|(?<= = )\\d+(?=;)");
    private static final List<String> SYMMETRIC = List.of(
            "fmaxf",
            "fminf",
            "max",
            "min",
            "__fmul_rn",
            "__fadd_rn",
            "fmaf",
            "__fmaf_rn",
            "__umulhi",
            "aligned16",
            "if",
            "for");

    private final Source source;
    private final String code;
    private final List<Mutation> found = new ArrayList<>();
    private final Map<String, Integer> seen = new HashMap<>();

    private Operators(Source source) {
        this.source = source;
        this.code = source.code;
    }

    static List<Mutation> find(Source source) {
        Operators operators = new Operators(source);
        operators.statements();
        operators.bounds();
        operators.indices();
        operators.places();
        operators.arithmetic();
        operators.conditions();
        operators.operands();
        return operators.found;
    }

    private void add(String operator, int from, int to, String before, String after, String broken) {
        add(operator, from, to, broken, new Mutation.Edit(from, to, before, after));
    }

    private void add(String operator, int from, int to, String broken, Mutation.Edit... edits) {
        if (from < to && !sizesAnArray(from)) {
            Mutation first = new Mutation(source, 1, operator, from, to, broken, List.of(edits));
            int occurrence = seen.merge(first.key(), 1, Integer::sum);
            found.add(new Mutation(source, occurrence, operator, from, to, broken, first.edits()));
        }
    }

    private String text(int from, int to) {
        return source.text.substring(from, to);
    }

    // ---- statements that go missing

    private void statements() {
        Matcher call = CALL.matcher(code);
        while (call.find()) {
            int end = Source.closing(code, call.end() - 1) + 1;
            if (source.startsStatement(call.start()) && end < code.length() && code.charAt(end) == ';') {
                boolean sync = SYNCHRONISATION.matcher(call.group()).matches();
                drop(sync ? "synchronisation" : "call", call.start(), end + 1);
            }
        }
        Matcher assignment = ASSIGNMENT.matcher(code);
        while (assignment.find()) {
            int end = code.indexOf(';', assignment.end());
            if (source.startsStatement(assignment.start()) && end > 0 && !inForHead(assignment.start())) {
                drop("assignment", assignment.start(), end + 1);
            }
        }
    }

    private void drop(String operator, int from, int to) {
        add(operator, from, to, "{ if (!mutation_on(@)) ", " }", ";");
    }

    // `for (...; ...; i += 2)`: what follows a semicolon there is no statement.
    private boolean inForHead(int at) {
        int depth = 0;
        for (int i = at - 1; i >= 0 && "{}".indexOf(code.charAt(i)) < 0; i--) {
            if (code.charAt(i) == ')') {
                depth--;
            } else if (code.charAt(i) == '(' && ++depth > 0) {
                return true;
            }
        }
        return false;
    }

    // ---- bounds and indices

    private void bounds() {
        Matcher comparison = COMPARISON.matcher(code);
        while (comparison.find()) {
            String operator = comparison.group();
            int at = comparison.start();
            int to = comparison.end();
            add("bound", at, to, "", "mutation_on(@) + ", operator + "1 + ");
            if (operator.contains("<") || operator.contains(">")) {
                add("bound", at, to, "", "-mutation_on(@) + ", operator + "-1 + ");
            }
        }
    }

    private void indices() {
        Matcher index = INDEX.matcher(code);
        while (index.find()) {
            int open = index.start();
            int close = Source.closing(code, open);
            if (close > open + 1 && !declares(open)) {
                String inner = text(open + 1, close);
                add("index", open + 1, close, "mutation_on(@) + (", ")", inner + " + 1");
            }
        }
    }

    private boolean sizesAnArray(int at) {
        int depth = 0;
        for (int i = at - 1; i >= 0 && ";{}".indexOf(code.charAt(i)) < 0; i--) {
            if (code.charAt(i) == ']') {
                depth++;
            } else if (code.charAt(i) == '[' && --depth < 0) {
                return declares(i);
            }
        }
        return false;
    }

    private boolean declares(int at) {
        int start = at;
        while (start > 0 && ";{}(".indexOf(code.charAt(start - 1)) < 0) {
            start--;
        }
        return DECLARED.matcher(code.substring(start, at).strip()).matches();
    }

    private void places() {
        Matcher thread = THREAD.matcher(code);
        while (thread.find()) {
            add("thread", thread.start(), thread.end(), "(", " + mutation_on(@))", "(" + thread.group() + " + 1)");
        }
        Matcher place = PLACE.matcher(code);
        while (place.find()) {
            add("place", place.start(), place.end(), "mutation_flip(@, ", ")", "(" + place.group() + " ^ 1)");
        }
    }

    // ---- arithmetic

    private void arithmetic() {
        operand(DIVISION, "mask", "mutation_shrink(@, ", ")", "", " / 2");
        operand(SHIFT, "shift", "mutation_or(@, ", " + 1)", "(", " + 1)");
        operand(FACTOR, "factor", "mutation_or(@, ", ", 1)", "", null);
        operand(TERM, "term", "mutation_or(@, ", ", 0)", "", null);
        Matcher number = NUMBER.matcher(code);
        while (number.find()) {
            String value = number.group();
            add("number", number.start(), number.end(), "(", " + mutation_on(@))", "(" + value + " + 1)");
        }
        Matcher extreme = EXTREME.matcher(code);
        while (extreme.find()) {
            String name = extreme.group();
            String other = name.contains("max") ? name.replace("max", "min") : name.replace("min", "max");
            int end = extreme.end();
            add(
                    "extreme",
                    extreme.start(),
                    end,
                    other,
                    new Mutation.Edit(extreme.start(), end, "mutation_", ""),
                    new Mutation.Edit(end, end + 1, "", "@, "));
        }
    }

    // The operand after an operator: a name or number with its calls, indices and members.
    private void operand(Pattern pattern, String operator, String before, String after, String open, String close) {
        Matcher matcher = pattern.matcher(code);
        while (matcher.find()) {
            int from = matcher.end();
            int to = primaryEnd(from);
            if (to > from) {
                String value = text(from, to);
                String neutral = operator.equals("factor") ? "1" : "0";
                String schemaAfter = operator.equals("shift") ? ", " + value + " + 1)" : after;
                add(operator, from, to, before, schemaAfter, close == null ? neutral : open + value + close);
            }
        }
    }

    private int primaryEnd(int from) {
        if (from < code.length() && code.charAt(from) == '(') {
            int end = Source.closing(code, from) + 1;
            // A cast: its operand belongs to it.
            boolean cast =
                    end < code.length() && (Character.isLetterOrDigit(code.charAt(end)) || code.charAt(end) == '(');
            return cast ? primaryEnd(end) : end;
        }
        Matcher primary = PRIMARY.matcher(code).region(from, code.length());
        if (!primary.lookingAt()) {
            return from;
        }
        int end = primary.end();
        while (end < code.length() && (code.charAt(end) == '(' || code.charAt(end) == '[')) {
            end = Source.closing(code, end) + 1;
        }
        return end;
    }

    // ---- conditions

    private void conditions() {
        Matcher condition = IF.matcher(code);
        while (condition.find()) {
            int open = condition.start(1);
            int close = Source.closing(code, open);
            negate(open + 1, close);
            parts(open + 1, close);
        }
        Matcher choice = CHOICE.matcher(code);
        while (choice.find()) {
            int from = conditionStart(choice.start());
            negate(from, choice.start());
            parts(from, choice.start());
        }
    }

    private void negate(int from, int to) {
        add("condition", from, to, "((bool)(", ") != (bool)mutation_on(@))", "!(" + text(from, to) + ")");
    }

    // Each operand of && counts as true, of || as false.
    private void parts(int from, int to) {
        int start = from;
        int depth = 0;
        List<int[]> ranges = new ArrayList<>();
        String joint = "";
        for (int i = from; i < to; i++) {
            char c = code.charAt(i);
            depth += "([{".indexOf(c) >= 0 ? 1 : ")]}".indexOf(c) >= 0 ? -1 : 0;
            if (depth == 0 && (code.startsWith(" && ", i) || code.startsWith(" || ", i))) {
                joint = joint.isEmpty() || joint.equals(code.substring(i + 1, i + 3))
                        ? code.substring(i + 1, i + 3)
                        : "?";
                ranges.add(new int[] {start, i});
                start = i + 4;
            }
        }
        if (joint.isEmpty() || joint.equals("?")) {
            return;
        }
        ranges.add(new int[] {start, to});
        boolean and = joint.equals("&&");
        for (int[] range : ranges) {
            String before = and ? "(mutation_on(@) || (" : "(!mutation_on(@) && (";
            add("guard", range[0], range[1], before, "))", and ? "true" : "false");
        }
    }

    private int conditionStart(int at) {
        int depth = 0;
        for (int i = at - 1; i > 0; i--) {
            char c = code.charAt(i);
            if (")]}".indexOf(c) >= 0) {
                depth++;
            } else if ("([{".indexOf(c) >= 0 && --depth < 0) {
                return i + 1;
            } else if (depth == 0 && (c == ';' || c == ',' || c == '?' || c == ':' && code.charAt(i - 1) == ' ')) {
                return skipSpace(i + 1);
            } else if (depth == 0 && c == '=' && isAssignment(i)) {
                return i + 2;
            } else if (depth == 0 && code.startsWith("return ", i)) {
                return i + "return ".length();
            }
        }
        return at;
    }

    // `x = ` and `x += `, but neither ` == ` nor ` <= `: all are set in spaces. What is assigned to is no condition.
    private boolean isAssignment(int at) {
        return code.startsWith("= ", at)
                && (code.charAt(at - 1) == ' '
                        || at > 1 && code.charAt(at - 2) == ' ' && "+-*/%|&^".indexOf(code.charAt(at - 1)) >= 0
                        || code.startsWith(" <<", at - 3)
                        || code.startsWith(" >>", at - 3));
    }

    private int skipSpace(int from) {
        int at = from;
        while (Character.isWhitespace(code.charAt(at))) {
            at++;
        }
        return at;
    }

    // ---- operands of calls

    private void operands() {
        Matcher call = CALL.matcher(code);
        while (call.find()) {
            String name = call.group().replaceAll("[<(].*", "");
            int close = Source.closing(code, call.end() - 1);
            List<int[]> arguments = arguments(call.end(), close);
            for (int i = 0; i + 1 < arguments.size() && !SYMMETRIC.contains(name); i++) {
                String a = text(arguments.get(i)[0], arguments.get(i)[1]);
                String b = text(arguments.get(i + 1)[0], arguments.get(i + 1)[1]);
                if (!a.equals(b) && simple(a) && simple(b)) {
                    int[] left = arguments.get(i);
                    int[] right = arguments.get(i + 1);
                    add(
                            "operand",
                            left[0],
                            right[1],
                            b + ", " + a,
                            new Mutation.Edit(left[0], left[1], "mutation_pick(@, ", ", " + b + ")"),
                            new Mutation.Edit(right[0], right[1], "mutation_pick(@, ", ", " + a + ")"));
                }
            }
        }
    }

    private static boolean simple(String argument) {
        return argument.matches("[\\w.\\[\\]\\->]+");
    }

    private List<int[]> arguments(int from, int to) {
        List<int[]> arguments = new ArrayList<>();
        int depth = 0;
        int start = from;
        for (int i = from; i < to; i++) {
            char c = code.charAt(i);
            depth += "([{".indexOf(c) >= 0 ? 1 : ")]}".indexOf(c) >= 0 ? -1 : 0;
            if (depth == 0 && c == ',') {
                arguments.add(new int[] {start, i});
                start = skipSpace(i + 1);
            }
        }
        arguments.add(new int[] {start, to});
        return arguments;
    }
}
